"""The tables of a study, and the columns of each that findings, figures and pages read. Imports no pandas."""

from mute.bands import KEYS

_MODEL = ("model", "training_seed", "forget_set")
# Every table that `make_tables` writes, in its order.
TABLES: dict[str, tuple[str, ...]] = {
    "cells": (*KEYS, "status", "steps", "strength", "size", "diverged_at", "last_loss", "gate"),
    "scores": (
        *(*KEYS, "attack", "status", "language", "group", "metric", "facts"),
        *("value", "low", "high", "n", "floor", "gate"),
    ),
    "layers": (*_MODEL, "block", "cka", "lrds", "sads"),
    "regions": (*_MODEL, "rule", "alpha", "chosen", "blocks", "reason", "lrds_ceiling", "cka_floor", "band_exists"),
    "bands": (*_MODEL, "algorithm", "view", "rule", "block"),
    "gates": ("model", "training_seed", "oracle", "measure", "language", "value", "passed", "n"),
    "lens": (*KEYS, "language", "block", "affected", "probability", "hit", "n"),
    "profiles": (*KEYS, "analysis", "measure", "block", "language", "value", "n"),
    "attacks": (*KEYS, "attack", "victim", "ended", "reason"),
    "curves": (),
    "languages": ("model", "language", "other", "overlap", "same_script", "same_family"),
    "properties": (
        *("model", "sources", "forget_set", "language", "script", "family", "branch"),
        *("same_script", "same_family", "same_branch", "answer_overlap", "prompt_overlap"),
    ),
}
# How a missing value of a column is filled: with "", with NaN, or with 0.
TEXT = {
    *("model", "algorithm", "band", "sources", "retain", "forget_set", "protocol", "attack", "status", "gate"),
    *("language", "group", "metric", "facts", "floor", "rule", "blocks", "reason", "view", "measure", "oracle"),
    *("analysis", "victim", "ended", "band_exists"),
    *("script", "family", "branch"),
}
NUMBERS = {
    *("value", "low", "high", "n", "probability", "hit"),
    *("cka", "lrds", "sads", "diverged_at", "last_loss"),
    *("overlap", "same_script", "same_family", "same_branch", "answer_overlap", "prompt_overlap"),
}
WHOLE_NUMBERS = {"training_seed", "seed", "block"}
