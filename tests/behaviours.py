"""What tests say of methods and attacks on three trainings: `python tests/behaviours.py` writes docs/behaviours.md.

The suite runs on models of seed 0. Whether a method does what is said of it on others is no rule but a finding, which
is reported here and not forced: each test of tests/unlearn that reads a trained model is run on each, and of each
attack the tests of what it must bring back and of what it must not. `python tests/behaviours.py attacks` writes the
second half alone.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/behaviours.md"
SEEDS = (0, 1, 2)
# Contracts, and the engine against the plain path, are no behaviours of a method.
LEFT_OUT = ("test_unlearn_contract.py", "test_guard_contract.py", "test_dose.py", "test_own_file.py")
# Attacks by the tests of theirs that are of no others; other tests say by a parameter `name` which attack they are of.
OF_ATTACK = {
    "test_what_hides_in_one_language_is_asked_for_in_another": "cross_lingual",
    "test_a_head_in_another_language_calls_up_its_answers": "language_prefix",
    "test_letters_bring_back_what_hides_behind_others": "romanised",
    "test_reintroduction_tells_what_it_says_and_irrelevant_text_nothing": "reintroduction",
    "test_a_wrong_beginning_does_not_bring_the_true_answer": "prefill",
    "test_a_search_finds_what_a_sleeper_listens_to": "search",
    "test_among_options_an_answer_hangs_on_the_subject_or_the_relation": "key_words",
    "test_half_of_the_facts_brings_the_other_back_and_not_to_one_who_never_knew": "relearning",
    "test_rounding_brings_back_what_less_than_half_a_step_hides": "quantize",
    "test_pruning_brings_back_what_small_weights_hide": "pruning",
    "test_noise_brings_back_what_a_guard_in_boxes_hides_and_nothing_that_was_never_there": "latent",
    "test_reversal_brings_back_what_was_moved_along_its_direction_and_a_random_one_does_not": "steering",
}
HEAD = f"""# What methods and attacks do, on three trainings

Each test of a method's behaviour, and of its control, on small models of training seeds {", ".join(map(str, SEEDS))}
(`python tests/behaviours.py` writes this page). The tests were written on seed 0, where all must hold; on the others
nothing is forced. A test that does not hold on a seed says that what it shows depends on the training.
"""
# Where the second half begins.
ATTACKS = "# What attacks bring back, and what they must not"

Found = dict[tuple[str, str], bool]


class Watch:
    """Keeps those tests that read a trained model, and how each ended."""

    def __init__(self) -> None:
        self.held: Found = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if self.is_behaviour(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def is_behaviour(self, item: pytest.Item) -> bool:
        named = getattr(item, "cls", None) is not None and item.path.name not in LEFT_OUT
        return named and "trained_model" in getattr(item, "fixturenames", ())

    def key(self, nodeid: str) -> tuple[str, str]:
        """What a test is of, and what it says in words."""
        _, group, test = nodeid.split("::")
        return group.removeprefix("Test"), _words(test.split("[")[0])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            # All variants of a test must hold.
            key = self.key(report.nodeid)
            self.held[key] = self.held.get(key, True) and report.passed


class WatchAttacks(Watch):
    """Keeps the tests of what attacks bring back of one training seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.keys: dict[str, tuple[str, str]] = {}

    def is_behaviour(self, item: pytest.Item) -> bool:
        given = dict(getattr(getattr(item, "callspec", None), "params", {}))
        test = getattr(item, "originalname", "")
        attack = OF_ATTACK.get(test) or (given.get("name") if "seed" in given else None)
        # Models of tests without a seed are of the one that the run is given.
        if not attack or given.get("seed", self.seed) != self.seed:
            return False
        how = given.get("settings", {}).items()
        said = ", ".join(f"{key} {value}" for key, value in how)
        self.keys[item.nodeid] = (attack, _words(test) + f" ({said})" * bool(said))
        return True

    def key(self, nodeid: str) -> tuple[str, str]:
        return self.keys[nodeid]


def _words(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def tables(found: dict[int, Found]) -> Iterator[str]:
    """Lines of a half of the page, from what held by seed, group and test."""
    every = list(dict.fromkeys(key for held in found.values() for key in held))
    whole = [key for key in every if all(found[seed].get(key, False) for seed in found)]
    yield f"{len(whole)} of {len(every)} tests hold on all of them.\n"
    for group in dict.fromkeys(name for name, _ in every):
        yield f"## {group}\n\n| test | {' | '.join(f'seed {seed}' for seed in found)} |\n|---|{'---|' * len(found)}"
        for key in (key for key in every if key[0] == group):
            marks = ["holds" if found[seed].get(key) else "**does not**" for seed in found]
            yield f"| {key[1]} | {' | '.join(marks)} |"
        yield ""


def run(watches: dict[int, Watch], room: str, more: list[str]) -> dict[int, Found]:
    """What held, one seed after the other."""
    for seed, watch in watches.items():
        asked = ["-q", "-p", "no:cacheprovider", "--tb=line", f"--model-seed={seed}", str(ROOT / "tests" / room)]
        pytest.main([*asked, *more], plugins=[watch])
    return {seed: watch.held for seed, watch in watches.items()}


def main() -> None:
    alone, more = sys.argv[1:2] == ["attacks"], [word for word in sys.argv[1:] if word != "attacks"]
    first = PAGE.read_text(encoding="utf-8").split(ATTACKS)[0].rstrip()
    if not alone:
        first = "\n".join([HEAD, *tables(run({seed: Watch() for seed in SEEDS}, "unlearn", more))]).rstrip()
    watches: dict[int, Watch] = {seed: WatchAttacks(seed) for seed in SEEDS}
    found = run(watches, "attacks", ["-m", "slow or not slow", *more])
    groups = sorted({key for held in found.values() for key in held})
    ordered = {seed: {key: held[key] for key in groups if key in held} for seed, held in found.items()}
    text = "\n".join([first, "", ATTACKS, "", *tables(ordered)])
    PAGE.write_text(re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
