"""Intervals of LRDS by block, and what they say of a band, on states that are made here."""

import numpy as np
import pytest
import torch

from mute.analyses.capture import lrds_intervals, score_layers
from mute.analyses.similarity import lrds, lrds_resampled
from mute.evaluate.inference import cluster_counts
from mute.findings.region import dip


def curve(offsets, *, items=60, noise=1.0, seed=0):
    """LRDS, and its columns of intervals, of blocks whose languages lie so far apart, all with the same meanings."""
    generator = torch.Generator().manual_seed(seed)

    def gaussian(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    meaning, way = gaussian(1, items, 20), gaussian(4, 1, 20)
    states = [meaning + offset * way + noise * gaussian(4, items, 20) for offset in offsets]
    counts = torch.from_numpy(cluster_counts(items, 400, 1))
    resampled = np.array([lrds_resampled(own, counts).numpy() for own in states])
    return [lrds(own) for own in states], lrds_intervals(resampled)


def judged(values, ends):
    return dip(values, *((ends[f"{name}_low"], ends[f"{name}_high"]) for name in ("below_first", "below_last")))


def test_languages_that_come_together_inside_make_a_band_and_others_none():
    assert judged(*curve([1.5, 0.5, 0.2, 0.6, 1.5])).exists
    assert not judged(*curve([1.5, 1.0, 0.6, 0.4, 0.2])).exists, "lowest at the end"
    assert not judged(*curve([0.2, 0.4, 0.6, 1.0, 1.5])).exists, "lowest at the beginning"


def test_blocks_that_are_alike_hardly_ever_make_a_band():
    """Of five alike blocks the interior minimum lies below both ends in 3 of 10 draws; by its intervals in few."""
    found = [curve([0.5] * 5, seed=seed) for seed in range(40)]
    by_point = sum(dip(values).exists for values, _ in found)
    assert by_point >= 8
    assert sum(judged(*own).exists for own in found) <= min(4, by_point / 2)


def test_an_interval_holds_its_estimate_and_a_difference_of_a_block_from_itself_is_none():
    values, ends = curve([1.5, 0.5, 0.2, 0.6, 1.5])
    assert set(ends) == {f"{name}_{end}" for name in ("lrds", "below_first", "below_last") for end in ("low", "high")}
    assert all((ends["lrds_low"] < values) & (values < ends["lrds_high"]))
    assert ends["below_first_low"][0] == ends["below_first_high"][0] == 0
    assert ends["below_last_low"][-1] == ends["below_last_high"][-1] == 0


def test_what_two_blocks_have_in_common_falls_out_of_their_difference():
    """Items that lie alike in both: the interval of the difference is narrower than those of the two blocks."""
    _, ends = curve([1.0, 0.5, 1.0], noise=0.05)
    width = {name: ends[f"{name}_high"][1] - ends[f"{name}_low"][1] for name in ("lrds", "below_first")}
    assert width["below_first"] < width["lrds"]


def test_layer_scores_have_them_and_resamples_do_not_change_what_was_there(random_model, encoder, corpus):
    def scores(resamples):
        model = random_model("llama")
        return score_layers(model, encoder, corpus, ["es", "en"], "domain", draws=2, seed=0, resamples=resamples)

    few, many = scores(20), scores(500)
    own = [column for column in many if column.startswith(("lrds_low", "lrds_high", "below_"))]
    assert len(own) == 6
    assert few.drop(columns=own).equals(many.drop(columns=own))
    assert not few[own].equals(many[own])
    assert (many["lrds_low"] <= many["lrds"]).all()
    assert (many["lrds"] <= many["lrds_high"]).all()
    assert many["below_first_low"].iloc[0] == pytest.approx(0)
