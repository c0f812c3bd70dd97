"""The numbers and curves by which DVC compares studies."""

import math

from made_up import ABOUT, ERASES_AND_KEEPS, THE_PAPER, make_tables, many
from mute.findings import outcomes, primary
from mute.findings.results import Results


def test_numbers_are_the_primary_outcomes_at_the_target():
    made = make_tables(THE_PAPER)
    target = made["bands"].query("algorithm == 'rmu' and view == 'target'")["block"].item()
    found = outcomes.numbers(Results(made, {**ABOUT, "primary": ["K heldout", "C worst", "recovery retrain_20"]}))
    k, c, b = THE_PAPER[str(target)][1:]
    own = found["outcomes"]["llama"]
    assert own["rmu"] == {"band": str(target), "K_heldout": k, "C_worst": c, "recovery_retrain_20": b}
    # Edited as a whole: what is asked of the target has no number there.
    assert own["gradient_ascent"] == {"band": "full", "K_heldout": 0.0, "C_worst": 0.0}
    assert found["cells"]["all"] == sum(n for key, n in found["cells"].items() if key != "all") == len(made["cells"])
    assert found["gates"] == {"all": len(made["gates"]), "passed": len(made["gates"])}


def test_a_gate_that_is_missed_and_a_cell_that_fails_are_counted():
    made = make_tables(THE_PAPER, status="not_reached", gate=False)
    found = outcomes.numbers(Results(made, ABOUT))
    assert found["gates"]["passed"] < found["gates"]["all"]
    assert found["cells"] == {"all": 4, "not_reached": 4}


def test_several_trainings_have_names_without_dots_and_commas():
    found = outcomes.numbers(Results(many([THE_PAPER, {**THE_PAPER, "0": ERASES_AND_KEEPS}]), ABOUT))
    assert list(found["outcomes"]) == ["llama_training_seed_0", "llama_training_seed_1"]


def test_curves_have_one_row_per_block():
    made = make_tables(THE_PAPER)
    table = outcomes.by_block(Results(made, ABOUT))
    assert list(table["block"]) == [0, 1, 2]
    assert set(table["algorithm"]) == {"rmu"}, "gradient ascent edited no single block"
    assert list(table["K_heldout"]) == [THE_PAPER[str(block)][1] for block in range(3)]
    assert list(table["K_worst"]) == list(table["K_heldout"]), "in the made-up study all languages are alike"
    assert list(table["C_heldout"]) == [THE_PAPER[str(block)][2] for block in range(3)]
    empty = outcomes.by_block(Results({}, ABOUT))
    assert list(empty.columns) == list(table.columns)
    assert outcomes.numbers(Results({}, ABOUT))["outcomes"] == {}
    assert not any(isinstance(v, float) and math.isnan(v) for v in outcomes.numbers(Results({}))["cells"].values())


def test_a_declared_outcome_that_is_no_measure_stops_nothing():
    """The configuration names outcomes before anything is measured; a slip there must not cost the study's results."""
    about = {**ABOUT, "primary": ["K heldout", "knowledge heldout"]}
    results = Results(many([THE_PAPER] * 2), about)
    assert set(primary.table(results)["outcome"]) == {"K heldout"}
    found = outcomes.numbers(results)["outcomes"]
    assert all(set(own["rmu"]) == {"band", "K_heldout"} for own in found.values())
