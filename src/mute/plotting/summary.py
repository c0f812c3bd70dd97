"""The report's first page as HTML, and the same summary as text for a terminal."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from types import ModuleType

from mute.bands import is_block
from mute.findings import by_language, findings, limits, trainings, verdicts
from mute.findings.by_language import Worst
from mute.findings.results import Case, Number, Results
from mute.plotting import figures, known, page, properties, robustness, tofu
from mute.plotting.registry import LAST, NOTEBOOKS, of_notebook
from mute.store import artifacts

# Scores of an edit. A mean over held-out languages stands only beside the worst of them.
COLUMNS = ("K worst", "K source", "leak, other scripts", "leak, same script", "C worst", "confusion worst")
# What a terminal shows of them, by name and width.
_SHORT = {"K worst": 24, "K source": 21, "C worst": 24, "leak, other scripts": 21, "leak, same script": 21}
# What stands behind a block on a terminal.
_MARKS = {"ok": "", "diverged": "×", "no_edit": "=", "destroyed": "†", "nothing_to_forget": "∅"}
_MARKS_WORDS = (
    "*: erasure in the source languages not reached; =: nothing changed; †: destroyed, less than half of the source "
    "languages' capability left; ×: diverged, no score; ∅: the model had nothing to forget. None of them counts."
)
NO_INTERVAL = (
    "[no interval]: in too many resamples of the items the number is not defined, mostly because the model before the "
    "edit is then no longer above its floor; such a number decides nothing."
)
LEVEL_WORDS = (
    f"95 % intervals in brackets, over items only. {NO_INTERVAL} A dash: there is no number. For K that is where the "
    "model before the edit was within five points of its floor (the oracle, or guessing where there is none), where "
    "the edit has no score, or where no language is asked; for leak, where no held-out language is of such a script; "
    "for confusion, where answers are the same in all languages."
)
_GATE_WORDS = (
    "Shares of questions before any edit, of models and oracles. A dash: no gate asks for it, as for what an oracle "
    "was never taught."
)


def write(results: Results, drawn: Sequence[Path | str], summary: Path | str, index: Path | str) -> None:
    """Write the page twice: as `summary` (.rst, for Snakemake's report) and as `index` (.html, to be opened alone)."""
    # Both lie in the folder of results; links lead from there to the project's files.
    project = Path(os.path.relpath(".", Path(index).parent))
    body = page.fragment(parts(results, {Path(path).stem: Path(path) for path in drawn}, project))
    artifacts.write_text(summary, page.restructured(body))
    artifacts.write_text(index, page.document(f"MUTE: {_study(results)}", body))


def parts(results: Results, drawn: Mapping[str, Path], project: Path) -> list[str]:
    """The page, piece by piece; `project` is the path from the page to the project's files."""
    ordered = sorted((name for name in drawn if _has(results, name)), key=_place)
    first = [name for name in ordered[:1] if _place(name) == 0]
    found = [page.heading(1, f"MUTE: what the study “{_study(results)}” found"), _contents(results)]
    # What was found, before any word about it.
    found += [_figure(results, name, drawn, project) for name in first]
    answer = findings.answer(results)
    found += [page.paragraph(findings.QUESTION, "question"), page.definitions(answer)]
    found.append(page.paragraph(findings.status_words(results)))
    how = findings.how(results)
    without = any("[no interval]" in words for _, words in answer)
    found.append(page.paragraph(f"{how} {NO_INTERVAL}" if without else how, "small"))
    found += [page.heading(2, "Model by model", "models"), page.paragraph(LEVEL_WORDS, "small")]
    for case in results.cases:
        found += _case(results, case)
    found.append(page.heading(2, "Figures", "figures"))
    for name in ordered:
        if name not in (*first, properties.FIGURE, robustness.FIGURE):
            found += [page.heading(3, _words(name)[0]), _figure(results, name, drawn, project)]
    if lacking := [_words(name)[0] for name in sorted(drawn, key=_place) if name not in ordered]:
        found.append(
            page.paragraph(f"Left out, for this study has nothing that they show: {'; '.join(lacking)}.", "small")
        )
    found += [page.heading(2, "Every edit", "edits"), page.paragraph(LEVEL_WORDS, "small"), _edits(results)]
    found += _diverged(results)
    found += known.section(results)
    for part in (robustness, properties):
        own = _figure(results, part.FIGURE, drawn, project) if part.FIGURE in ordered else ""
        found += part.section(results, own)
    found += tofu.section(results)
    found += [page.heading(2, "Gates", "gates"), page.paragraph(_GATE_WORDS, "small"), _gates(results)]
    found += [page.heading(2, "What cannot be concluded", "limits"), page.bullets(limits.limits(results))]
    found += [page.heading(2, "The study", "study"), *_facts(results)]
    return found


def _figure(results: Results, name: str, drawn: Mapping[str, Path], project: Path) -> str:
    title, caption = _words(name)
    return page.figure(drawn[name], title, caption, _origin(results, name, project))


def _contents(results: Results) -> str:
    links = {"models": "models", "figures": "figures", "edits": "every edit"}
    links |= {part.ANCHOR: part.TITLE for part in (known, robustness, properties, tofu) if part.has(results)}
    links |= {"gates": "gates", "limits": "what cannot be concluded", "study": "the study"}
    return f"<nav>{' '.join(page.link(f'#{anchor}', words) for anchor, words in links.items())}</nav>"


def _study(results: Results) -> str:
    return str(results.about.get("study", "study"))


def _module(name: str) -> ModuleType | None:
    """The module of a figure, whether from the registry or from a notebook."""
    if name in NOTEBOOKS:
        return of_notebook(name)
    return figures.load(name) if name in figures.names() else None


def _has(results: Results, name: str) -> bool:
    """Whether the study has what a figure shows."""
    return name not in figures.names() or figures.has(name, results)


def _words(name: str) -> tuple[str, str]:
    """Title and caption of a figure."""
    module = _module(name)
    return (module.TITLE, module.CAPTION) if module else (name.replace("_", " "), "")


def _place(name: str) -> int:
    """Where a figure stands on the page; those that do not say follow, as they come."""
    return getattr(_module(name), "PLACE", LAST)


def _origin(results: Results, name: str, project: Path) -> str:
    """Links to what made a figure: its rule, the study's configuration, and its code."""
    own = name not in NOTEBOOKS
    rule = "draw_figures" if own else NOTEBOOKS[name]
    code = [f"src/mute/plotting/figures/{name}.py"]
    if not own:
        code = [f"workflow/notebooks/{name}.py.ipynb", f"src/mute/plotting/{name}.py"]
    parts = {"rule": [("workflow/rules/figures.smk", rule)]}
    parts["configuration"] = [(path, path) for path in results.about.get("files", [])]
    parts["code"] = [(path, path) for path in code]

    def shown(path: str, words: str) -> str:
        # Where a wheel brought the project there is nothing to link to that others have at the same place.
        return page.link((project / path).as_posix(), words) if Path(path).exists() else page.text(words)

    linked = (f"{word} {', '.join(starmap(shown, targets))}" for word, targets in parts.items() if targets)
    return f"<small>Made by: {'; '.join(linked)}.</small>"


def _case(results: Results, case: Case) -> list[str]:
    source, heldout = results.languages(case)
    words = f"Source languages {' '.join(source)}; held-out languages {' '.join(heldout)}; {case.protocol} protocol"
    words += f": {verdicts.PROTOCOLS[case.protocol]}." if case.protocol in verdicts.PROTOCOLS else "."
    found = [page.heading(3, results.name(case)), page.paragraph(words, "small")]
    if results.below_gate(case):
        missed = findings.gate_words(results, case, 99)
        found.append(page.paragraph(f"Below its gate: {missed}. Its numbers are shown; they decide nothing."))
    if nothing := results.nothing_to_forget(case):
        found.append(page.paragraph(nothing))
    rows = []
    for name in results.algorithms(case):
        for label, band in findings.landmarks(results, case, name):
            who = (name.replace("_", " "), results.intent(name) or "–", label, band, _status(results, case, name, band))
            rows.append((*who, *_values(results, case, name, band), *_recovery(results, case, name, band)))
    head = ("algorithm", "objective", "which", "block", "status", *COLUMNS, *_doses(results))
    found.append(page.table(head, rows))
    regimes, said = [], []
    for name in results.algorithms(case):
        if results.blocks(case, name):
            lines = findings.algorithm_words(results, case, name)
            said.append((name.replace("_", " "), " ".join(lines)))
            regimes += [
                (
                    name.replace("_", " "),
                    finding.regime.words,
                    "–" if finding.block is None else str(finding.block),
                    verdicts.say(finding.verdict),
                    findings.condition_words(finding),
                    findings.elsewhere_words(finding),
                )
                for finding in verdicts.find_regimes(results, case, name)
            ]
    columns = ("algorithm", "regime", "block", "verdict", "because", "blocks with this pattern")
    return [*found, page.definitions(said), page.table(columns, regimes)] if regimes else found


def _values(results: Results, case: Case, name: str, band: str) -> list[Worst | Number]:
    """The scores of COLUMNS."""
    k, c, confusion = (by_language.worst(results, case, name, band, metric) for metric in ("K", "C", "confusion"))
    other, same = (_leak(results, case, name, band, group) for group in (by_language.OTHER, by_language.SAME))
    return [k, results.number(case, name, band, "K", "source"), other, same, c, confusion]


def _leak(results: Results, case: Case, name: str, band: str, group: str) -> Number:
    return by_language.mean(results, case, name, band, "leak", group)


def _doses(results: Results) -> list[str]:
    """Columns of what retraining brings back, a dose each."""
    return [f"recovery worst, {attack.replace('_', ' ')}" for attack in by_language.doses(results)]


def _recovery(results: Results, case: Case, name: str, band: str) -> list[Worst]:
    return [
        by_language.worst(results, case, name, band, "recovery", attack=attack) for attack in by_language.doses(results)
    ]


def _status(results: Results, case: Case, name: str, band: str) -> str:
    return results.status(case, name, band).replace("_", " ")


def _edits(results: Results) -> str:
    rows = []
    for case in results.cases:
        gate = "below gate" if results.below_gate(case) else "passed"
        for reference in ("base", "oracle"):
            values = _values(results, case, reference, "")
            if any(values):
                nothing = [Number()] * (1 + len(_doses(results)))
                rows.append((results.name(case), reference, "–", "–", "", "", gate, *values, *nothing))
        for name in results.algorithms(case):
            views = results.views(case, name)
            for band in results.bands(case, name):
                named = [view for view in ("target", "shallow", "deep") if band in map(str, views.get(view, []))]
                status = _status(results, case, name, band)
                values = _values(results, case, name, band)
                merit = verdicts.merit(results, case, name, band)
                who = (results.name(case), name.replace("_", " "), results.intent(name) or "–")
                keys = (*who, band, ", ".join(named), status, gate)
                rows.append((*keys, *values, *_recovery(results, case, name, band), merit))
    keys = ("model", "edit", "objective", "block", "view", "status", "gate")
    return page.table((*keys, *COLUMNS, *_doses(results), "merit C − K, worst"), rows)


def _diverged(results: Results) -> list[str]:
    """Which cells diverged, and when: they have no score, so that nothing else tells of them."""
    rows = findings.divergences(results)
    if not rows:
        return []
    words = (
        "A loss, a gradient or the model itself was no number, and the run was stopped there. A dash: there was no "
        "step or no loss before."
    )
    columns = ("model and setting", "edit", "block", "step", "last finite loss")
    return [page.heading(3, "Diverged"), page.paragraph(words, "small"), page.table(columns, rows)]


def _gates(results: Results) -> str:
    table, lines = results.tables["gates"], results.about.get("gates", {})
    rows = []
    keys = ["model", "training_seed", "oracle", "measure"]
    for key, own in table.groupby(keys, sort=False):
        model, seed, oracle, measure = map(str, tuple(key))  # ty: ignore[invalid-argument-type]
        each = own[own["language"] != ""]
        mean = own.loc[own["language"] == "", "value"]
        value = float(mean.iloc[0]) if len(mean) else float(each["value"].mean())
        worst = each.sort_values(["value", "language"]).iloc[0] if len(each) else None
        lowest = "" if worst is None else f"{worst['value']:.2f} ({worst['language']})"
        name = measure if measure in ("recall", "transfer") else "abilities"
        gate = float(lines.get(name, "nan")) if measure != "never_taught" else float("nan")
        passed = "below gate" if (own["passed"].astype(str) == "False").any() else "passed"
        who = f"{model}, training seed {seed}" + (f", oracle without {oracle}" if oracle else "")
        rows.append((who, measure.replace("_", " "), value, lowest, gate, passed))
    return page.table(("model", "measure", "mean", "lowest language", "gate", "result"), rows)


def _facts(results: Results) -> list[str]:
    about = results.about
    lines = [
        ("Cells", findings.status_words(results)),
        ("Protocols", ", ".join(sorted({case.protocol for case in results.all_cases}))),
        ("Algorithms", ", ".join(dict.fromkeys(n for case in results.all_cases for n in results.algorithms(case)))),
        ("Corpus", str(about.get("source", ""))),
        ("Primary outcomes, declared before the run", ", ".join(about.get("primary", []))),
        ("Gates", ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in about.get("gates", {}).items())),
    ]
    models = about.get("models", {})
    keys = ("pretrained", "revision", "family", "blocks", "hidden", "heads", "vocabulary", "steps")
    keys = tuple(key for key in keys if any(key in model for model in models.values()))
    rows = [(name, *(m.get(k, "") for k in keys), " ".join(m.get("languages", []))) for name, m in models.items()]
    found = [page.definitions((name, words) for name, words in lines if words)]
    if rows:
        found.append(page.table(("model", *keys, "languages"), rows))
    files = "tables/ holds every number, figures/ every figure, notebooks/ the two executed notebooks."
    return [*found, page.paragraph(f"Beside this page: {files} report.html shows how each file was made.", "small")]


def terminal(results: Results, folder: Path, width: int = 100) -> str:
    """The summary in plain lines, and where to look for more."""
    lines = [f"MUTE study in {folder}", ""]
    for name, words in [*findings.answer(results), ("Statuses", findings.status_words(results))]:
        lines += textwrap.wrap(f"{name}: {words}", width, initial_indent="* ", subsequent_indent="  ")
    for case in results.cases:
        failed = results.below_gate(case)
        verdict = f"below its gate: {findings.gate_words(results, case)}" if failed else "passes its gates"
        verdict = "nothing to forget" if results.nothing_to_forget(case) and not failed else verdict
        lines += ["", f"{results.name(case)} ({verdict})", *_terminal_case(results, case, width)]
    lines += ["", *textwrap.wrap(f"{LEVEL_WORDS} {_MARKS_WORDS}", width)]
    seen = [folder / name for name in ("report.html", "index.html") if (folder / name).is_file()]
    lines += [f"Look at: {path}" for path in seen]
    return "\n".join(lines) + "\n"


def _terminal_case(results: Results, case: Case, width: int) -> list[str]:
    """A line for each landmark worth one, and the regimes beneath."""
    lines, regimes = [_columns("", "block", *_SHORT)], []
    for name in results.algorithms(case):
        algorithm = name.replace("_", " ")
        for label, band in findings.landmarks(results, case, name):
            if label in ("shallow", "deep", "shallow, deep"):
                continue
            mark = _MARKS.get(results.status(case, name, band), "*")
            where = f"{band}{mark} {label if is_block(band) else ''}"
            values = dict(zip(COLUMNS, map(str, _values(results, case, name, band))))
            lines.append(_columns(algorithm, where, *(values[column] for column in _SHORT)))
        if intent := results.intent(name):
            regimes.append(f"  objective, {algorithm}: {intent}")
        if back := _recovered(results, case, name):
            regimes += textwrap.wrap(back, width, initial_indent="  ", subsequent_indent="    ")
        if results.blocks(case, name):
            said = [f"{f.regime.name} {verdicts.say(f.verdict)}" for f in verdicts.find_regimes(results, case, name)]
            regimes += textwrap.wrap(
                f"regimes, {algorithm}: {', '.join(said)}", width, initial_indent="  ", subsequent_indent="    "
            )
    return [*lines, *regimes]


def _recovered(results: Results, case: Case, name: str) -> str:
    """What retraining brings back of the worst held-out language at the target, by dose; "" where nobody has tried."""
    block = trainings.target(results, case, name)
    words = zip(by_language.doses(results), _recovery(results, case, name, block) if block else ())
    said = ", ".join(f"{attack.replace('_', ' ')} {number}" for attack, number in words if number)
    return f"recovery at block {block}, {name.replace('_', ' ')}, worst language: {said}" if said else ""


def _columns(algorithm: str, where: str, *values: str) -> str:
    cells = "".join(f"{value:<{width}}" for value, width in zip(values, _SHORT.values()))
    return f"  {algorithm:<16}{where:<26}{cells}".rstrip()
