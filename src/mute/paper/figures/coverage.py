"""RMU by edited block, by forget set and by the languages that the retain texts cover."""

from matplotlib.figure import Figure

from mute.findings import by_language, trainings
from mute.findings.published import Published
from mute.findings.results import Results
from mute.plotting import panels, style

TITLE = "Retain coverage by forget set and block"
CAPTION = (
    "RMU by edited block and by what the retain texts cover (source languages alone, with fact-free text in the "
    "others, all languages), for each forget set: a whole domain, which words give away, and a conjunctive set, which "
    "only subject and relation together do. Control: a word filter in front of the model and, beneath each title, how "
    "well a probe separates forget from retain prompts at the first block (0.5: not at all). 95 % intervals over facts."
)
LOOKS = dict(zip(trainings.COVERAGES, (("#D55E00", "o"), ("#E69F00", "s"), ("#0072B2", "^"))))
MEASURES = (("K", "knowledge left (K)"), ("C", "capability kept (C)"))


def draw(results: Results, published: Published) -> Figure:
    cases = trainings.coverage_cases(results)
    sets = list(dict.fromkeys(case.forget_set for case in cases))
    figure = style.new_figure(8.4, max(2.7 * len(sets), 1.5) + 0.6)
    if not sets:
        style.missing(figure.add_subplot(), "this study varies no retain coverage")
    for row, forget_set in enumerate(sets):
        own = [case for case in cases if case.forget_set == forget_set]
        apart = results.curve(own[0]).get("separability", [])
        note = f"separability {apart.iloc[0]:.2f}" if len(apart) else ""
        for column, (metric, words) in enumerate(MEASURES):
            axes = figure.add_subplot(len(sets), 2, 2 * row + column + 1)
            style.title(axes, f"{own[0].model}, {forget_set}: {words}, worst held-out", note)
            for i, case in enumerate(own):
                colour, marker = LOOKS[case.retain]
                bands = results.blocks(case, "rmu")
                numbers = [by_language.worst(results, case, "rmu", band, metric).number for band in bands]
                hollow = [not results.reached(case, "rmu", band) for band in bands]
                places = [int(band) + 0.1 * (i - 1) for band in bands]
                panels.points(axes, places, numbers, colour=colour, marker=marker, hollow=hollow)
                panels.mark_statuses(axes, results, case, "rmu", shift=0.1 * (i - 1))
                gate = by_language.worst(results, case, "word_filter", "full", metric).number
                if gate:
                    panels.line_at(axes, gate.value, "word filter", colour=style.GREY)
            axes.set(ylim=(-0.15, 1.15), xlabel="edited block", ylabel=words)
            axes.locator_params(axis="x", integer=True)
    keys = [style.line_key(f"retain: {name}", c, marker=m) for name, (c, m) in LOOKS.items()]
    style.legend(
        figure, [*keys, style.line_key("word filter", style.GREY, linestyle="--"), *panels.status_keys(results)]
    )
    return figure


def has(results: Results) -> bool:
    return bool(trainings.coverage_cases(results))
