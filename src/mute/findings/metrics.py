"""The measures that a table of scores can hold, by name. Imports no pandas.

docs/tables.md says what each of them is. A table may hold others, which measures of a study's own have put there.
"""

from collections.abc import Collection

from mute.names import unknown_name

# Those that attacks share, so that only the column `attack` says what they are of: K after an attack, the same less
# what it gives of the oracle, the share of what was forgotten that it brings back beyond the oracle's, and what it
# gives of base and oracle. Others have a name of their own.
SHARED = ("R", "recovery", "regained", "R_base", "R_oracle")
# What attacks that ask otherwise give as surrogates, likewise by attack.
SURROGATES = (
    *("surrogate_far", "surrogate_base", "surrogate_oracle", "psg_delta_accuracy_oracle"),
    *(f"psg_{kind}{metric}" for kind in ("", "plain_", "delta_") for metric in ("accuracy", "probability", "min_k")),
)
# Parts of others, references and kinds of answers, which a short summary leaves out.
_DETAILS = """
chance majority UE_source UE_heldout retain_seen_strict retain_unseen_strict
B_base B_oracle B_mixed_base B_mixed_oracle B_retrained_base B_retrained_oracle bypass_base confusion_base
C_parts C_sentences C_reading C_translation C_translation_seen C_translation_unseen C_facts C_fidelity
reading_forget reading_forget_base reading_forget_oracle
answers_right answers_other_value answers_other_language answers_other_both answers_unknown answers_neither
facts_asked
"""
DETAILS = frozenset((*SHARED[3:], *SURROGATES, *_DETAILS.split()))
_HEADLINES = """
K leak confusion B B_mixed B_retrained C excess_damage KL_retain KL_sentences MI accuracy_option accuracy_strict unknown
K_paired script_gap
retain_strict retain_option bystander_strict
accuracy_per_token accuracy_per_char accuracy_share K_per_token K_per_char
retain_per_token retain_per_char retain_share
truth_ratio forget_quality ks
tofu_probability tofu_rouge tofu_chrf tofu_truth_ratio tofu_utility tofu_forget_quality tofu_ks
"""
METRICS = DETAILS.union((*SHARED[:3], *_HEADLINES.split()))

# Means over languages that scores have: source and held-out ones, all, the held-out one in which it looks worst, and
# the held-out ones whose script is, or is not, one of the source languages'.
GROUPS = ("source", "heldout", "all", "worst", "same_script", "other_script")
# Outcomes that are no score of one block: how far the target is ahead of the other blocks, and what comes back after
# an attack, which stands in the place of a group.
MERIT, RECOVERY = "target merit", "recovery"


class UnknownMetricError(ValueError):
    """A measure that no table has and no measure is called: a slip in what asks for it, and not a missing number."""


def check(metric: str, held: Collection[str] = ()) -> None:
    """Raise UnknownMetricError, which names the nearest, for a measure neither of METRICS nor `held` by the tables."""
    if metric not in METRICS and metric not in held:
        raise UnknownMetricError(unknown_name("metric", metric, {*METRICS, *held}))


def outcome_problem(text: str) -> str:
    """What is wrong with the name of a primary outcome, "" if nothing: a measure and a group, or what goes beyond."""
    parts = text.split()
    if text == MERIT or (len(parts) == 2 and (parts[0] == RECOVERY or parts[1] in GROUPS)):
        return ""
    allowed = (
        f"a measure and one of {', '.join(GROUPS)}, such as 'K worst', or '{MERIT}', or '{RECOVERY}' and an attack"
    )
    return f"must be {allowed}, not {text!r}"
