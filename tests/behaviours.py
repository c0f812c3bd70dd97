"""What tests say of methods on models of three training seeds: `python tests/behaviours.py` writes docs/behaviours.md.

The suite runs on models of seed 0. Whether a method does what is said of it on others is no rule but a finding, which
is reported here and not forced: each test of tests/unlearn that reads a trained model is run on each.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/behaviours.md"
SEEDS = (0, 1, 2)
# Contracts, and the engine against the plain path, are no behaviours of a method.
LEFT_OUT = ("test_unlearn_contract.py", "test_guard_contract.py", "test_dose.py", "test_own_file.py")
HEAD = f"""# What methods do, on three trainings

Each test of a method's behaviour, and of its control, on small models of training seeds {", ".join(map(str, SEEDS))}
(`python tests/behaviours.py` writes this page). The tests were written on seed 0, where all must hold; on the others
nothing is forced. A test that does not hold on a seed says that what it shows depends on the training.
"""


class Watch:
    """Keeps those tests that read a trained model, and how each ended."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bool] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if self._is_behaviour(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    @staticmethod
    def _is_behaviour(item: pytest.Item) -> bool:
        named = getattr(item, "cls", None) is not None and item.path.name not in LEFT_OUT
        return named and "trained_model" in getattr(item, "fixturenames", ())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        _, group, test = report.nodeid.split("::")
        key = (group.removeprefix("Test"), test.split("[")[0].removeprefix("test_").replace("_", " "))
        if report.when == "call" or report.failed:
            # All variants of a test must hold.
            self.held[key] = self.held.get(key, True) and report.passed


def page(found: dict[int, dict[tuple[str, str], bool]]) -> Iterator[str]:
    """The lines of the page, from what held by seed, group and test."""
    every = list(dict.fromkeys(key for held in found.values() for key in held))
    whole = [key for key in every if all(found[seed].get(key, False) for seed in found)]
    yield f"{HEAD}\n{len(whole)} of {len(every)} tests hold on all of them.\n"
    for group in dict.fromkeys(name for name, _ in every):
        yield f"## {group}\n\n| test | {' | '.join(f'seed {seed}' for seed in found)} |\n|---|{'---|' * len(found)}"
        for key in (key for key in every if key[0] == group):
            marks = ["holds" if found[seed].get(key) else "**does not**" for seed in found]
            yield f"| {key[1]} | {' | '.join(marks)} |"
        yield ""


def main() -> None:
    found = {}
    for seed in SEEDS:
        watch = Watch()
        asked = ["-q", "-p", "no:cacheprovider", "--tb=line", f"--model-seed={seed}", str(ROOT / "tests/unlearn")]
        pytest.main([*asked, *sys.argv[1:]], plugins=[watch])
        found[seed] = watch.held
    PAGE.write_text("\n".join(page(found)).rstrip() + "\n", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
