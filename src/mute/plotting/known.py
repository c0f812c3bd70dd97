"""What a pretrained model knew before any edit, language by language, as a section of the report's page."""

from mute.findings import by_language
from mute.findings.results import MISSING, Case, Number, Results
from mute.plotting import page

TITLE, ANCHOR = "What the model knew", "known"
_WORDS = (
    ("known facts", "facts to be forgotten that the model knows by the first wording, there and in the deciding "
     "languages: these alone are unlearned and asked."),
    ("accuracy", "share of them that the untouched model has right by the wording that scores: what is lacking to 1 is "
     "lost from one wording to another, before any edit."),
    ("guess", "the same when another subject is named, whose answer is no option: K = 0 is here."),
    ("room", "accuracy less guess: where it is small K is uncertain, and where it is 0.05 or less there is none."),
    ("bits per character", "on sentences that state no fact: how well the untouched model reads the language."),
)  # fmt: skip


def has(results: Results) -> bool:
    """Whether a model of the study was asked what it knew."""
    return "guess" in results.metrics


def section(results: Results) -> list[str]:
    """The section, piece by piece; [] of a study whose models were all taught."""
    if not has(results):
        return []
    found = [
        page.heading(2, TITLE, ANCHOR),
        page.definitions((name, words) for name, words in _WORDS),
        page.paragraph(
            "95 % intervals over facts and sentences, in brackets. A dash: nothing to read it from.", "small"
        ),
    ]
    cases = {(case.model, case.training_seed, case.forget_set): case for case in results.cases}
    return [*found, *(_table(results, case) for case in cases.values())]


def _table(results: Results, case: Case) -> str:
    source, heldout = results.languages(case)
    codes = [*source, *heldout]

    def base(metric: str, facts: str | None) -> dict[str, Number]:
        return by_language.by_language(results, case, "base", "", metric, codes, facts=facts)

    rows = []
    accuracy, guesses, bits = base("accuracy_option", "all"), base("guess", "all"), base("bits_per_character", None)
    for code in codes:
        right, guess = accuracy.get(code, MISSING), guesses.get(code, MISSING)
        room = f"{right.value - guess.value:.2f}" if right and guess else "–"
        who = (case.model, code, "source" if code in source else "held out", str(right.n) if right else "–")
        rows.append((*who, right, guess, room, bits.get(code, MISSING)))
    return page.table(("model", "language", "", *(name for name, _ in _WORDS)), rows)
