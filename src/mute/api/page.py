"""The page of `mute forget`: one file without outside resources, which says what is left in which language."""

import json
import math
from collections.abc import Callable, Sequence

from mute.api.outcome import Left, Outcome
from mute.findings.results import Number
from mute.plotting import page
from mute.plotting.page import bullets, heading, paragraph, table, text

_STYLE = """
.mute .lead{font-size:1.1rem;margin:.5rem 0;max-width:52rem}
.mute .warn{border-left:4px solid #8a1220;padding:.2rem 0 .2rem .8rem}
.mute .charts{display:flex;flex-wrap:wrap;gap:1.5rem 3rem;margin:1.2rem 0}
.mute .charts figure{margin:0;flex:1 1 24rem;max-width:34rem}
.mute .charts figcaption{font-weight:600;color:#222;font-size:.95rem;margin-bottom:.2rem}
.mute svg{width:100%;height:auto;display:block}
.mute pre{font:.85rem/1.45 ui-monospace,"DejaVu Sans Mono",monospace;background:#f5f5f5;padding:.7rem;
overflow-x:auto;margin:.4rem 0}
.mute .how th{border-bottom:1px solid #ddd;color:#555}
.mute .how td{white-space:normal;max-width:44rem}
.mute .key span{margin-right:1.2rem;white-space:nowrap}
.mute .key i{display:inline-block;width:.75em;height:.75em;border-radius:50%;margin-right:.4em;vertical-align:-.05em}
"""
_FORGET, _KEEP, _BEFORE, _GUESS, _INK = "#b3261e", "#00695c", "#9e9e9e", "#555555", "#222222"
_WIDTH, _NAME, _RIGHT, _ROW, _TOP = 520, 150, 20, 34, 26


def document(outcome: Outcome) -> str:
    """The page, whole."""
    title = f"What is left of “{outcome.domain}” in {outcome.model}"
    parts = [f"<style>{_STYLE}</style>", heading(1, title)]
    parts += [
        f'<p class="lead{" warn" if outcome.status != "ok" and not number else ""}">{text(line)}</p>'
        for number, line in enumerate(outcome.headline())
    ]
    if outcome.status != "diverged":
        parts += _charts(outcome)
        parts += [heading(2, "What was to be forgotten"), _forgotten(outcome)]
        parts.append(
            paragraph(
                "Right: the answer is likelier than every other option. Left of it, K: what the model knew beyond "
                "guessing and still knows; 1 as before, 0 as guessing. In brackets 95 % intervals over facts.",
                "small",
            )
        )
        parts += [heading(2, "What was to be kept"), _kept(outcome)]
        parts.append(
            paragraph(
                "Other facts of the file, of which training read none. Kept of it: knowledge beyond guessing, relative "
                f"to before. Kept: the whole interval lies above {0.9}; less than before: it lies below 1.",
                "small",
            )
        )
    parts += [heading(2, "What these numbers do not say"), bullets(outcome.caveats())]
    parts += [heading(2, "How it was done"), *_how(outcome)]
    parts += [heading(2, "To use it"), *_use(outcome)]
    return page.document(title, page.fragment(parts))


def _charts(outcome: Outcome) -> list[str]:
    own = outcome.languages
    key = (
        f'<p class="key small"><span><i style="background:{_BEFORE}"></i>before</span>'
        f'<span><i style="background:{_FORGET}"></i><i style="background:{_KEEP}"></i>after, with its interval</span>'
        f'<span><b style="color:{_GUESS}">|</b> guessing</span><span>* read by unlearning</span></p>'
    )
    forgotten = _chart(own, "to be forgotten", _FORGET, lambda one: (one.before, one.after, one.guessed))
    kept = _chart(own, "to be kept", _KEEP, lambda one: (one.kept_before, one.kept_after, None))
    return [
        '<div class="charts">'
        f"<figure><figcaption>To be forgotten: right answers</figcaption>{forgotten}</figure>"
        f"<figure><figcaption>To be kept: right answers</figcaption>{kept}</figure></div>",
        key,
    ]


def _chart(
    rows: Sequence[Left],
    words: str,
    colour: str,
    numbers: Callable[[Left], tuple[Number, Number, Number | None]],
) -> str:
    """Languages below each other: before, after with its interval, and guessing, as shares of right answers."""
    height = _TOP + _ROW * len(rows) + 8
    across = _WIDTH - _NAME - _RIGHT

    def at(share: float) -> str:
        return f"{_NAME + across * min(max(share, 0), 1):.1f}"

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" font-family="system-ui,sans-serif" font-size="13">',
        f"<title>Right answers on facts {words}, before and after, by language</title>",
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path d="M{at(share)} {_TOP - 6}V{height - 4}" stroke="#e0e0e0"/>')
        parts.append(
            f'<text x="{at(share)}" y="{_TOP - 11}" text-anchor="middle" fill="#666" font-size="11">{share:.0%}</text>'
        )
    for place, own in enumerate(rows):
        y = _TOP + _ROW * place + _ROW // 2
        before, after, guessed = numbers(own)
        star = " *" if own.read else ""
        parts.append(
            f'<text x="{_NAME - 14}" y="{y + 4}" text-anchor="end" fill="{_INK}" '
            f'font-weight="{600 if own.read else 400}">{text(own.name)}{star}</text>'
        )
        if guessed:
            parts.append(f'<path d="M{at(guessed.value)} {y - 9}v18" stroke="{_GUESS}" stroke-width="1.5"/>')
        if before and after:
            parts.append(
                f'<path d="M{at(before.value)} {y}H{at(after.value)}" stroke="{_BEFORE}" stroke-dasharray="2 3"/>'
            )
        if after and not math.isnan(after.low):
            parts.append(
                f'<path d="M{at(after.low)} {y}H{at(after.high)}" stroke="{colour}" stroke-width="3" '
                'stroke-opacity=".45" stroke-linecap="round"/>'
            )
        if before:
            parts.append(
                f'<circle cx="{at(before.value)}" cy="{y}" r="5" fill="#fff" stroke="{_BEFORE}" stroke-width="3"/>'
            )
        if after:
            parts.append(
                f'<circle cx="{at(after.value)}" cy="{y}" r="5.5" fill="{colour}">'
                f"<title>{text(own.name)}: {after}</title></circle>"
            )
    return "".join([*parts, "</svg>"])


def _forgotten(outcome: Outcome) -> str:
    head = ("language", "unlearning read it", "facts", "right before", "right after", "guessing", "left of it, K", "so")
    return table(
        head,
        [
            (
                own.name,
                "yes" if own.read else "no",
                own.before.n,
                own.before,
                own.after,
                own.guessed.value,
                own.knowledge,
                own.verdict,
            )
            for own in outcome.languages
        ],
    )


def _kept(outcome: Outcome) -> str:
    head = ("language", "unlearning read it", "facts", "right before", "right after", "kept of it", "so")
    return table(
        head,
        [
            (
                own.name,
                "yes" if own.read else "no",
                own.kept_before.n,
                own.kept_before,
                own.kept_after,
                own.kept,
                own.kept_verdict,
            )
            for own in outcome.languages
        ],
    )


def _how(outcome: Outcome) -> list[str]:
    about = outcome.patch.about
    strength = "–" if about["strength"] is None else f"{about['strength']:g}"
    rows = [
        ("model", outcome.model),
        ("algorithm", str(about["algorithm"])),
        ("may change", outcome.blocks),
        ("why there", outcome.why),
        ("strength that was kept", strength),
        ("steps", "–" if about["steps"] is None else str(about["steps"])),
        ("status", outcome.status),
        ("seed", str(about["seed"])),
    ]
    found = [
        '<table class="how">' + "".join(f"<tr><th>{text(k)}</th><td>{text(v)}</td></tr>" for k, v in rows) + "</table>"
    ]
    if outcome.layers is not None:
        found.append(_layers(outcome))
    found.append(
        f"<details><summary>settings of {text(about['algorithm'])}</summary>"
        f"<pre>{text(json.dumps(about['settings'], indent=1, ensure_ascii=False, allow_nan=False))}</pre></details>"
    )
    return found


def _layers(outcome: Outcome) -> str:
    """CKA and LRDS by block, the latter as a share of its largest, and where the band is."""
    scores = outcome.layers
    assert scores is not None
    cka, lrds = scores["cka"].tolist(), scores["lrds"].tolist()
    largest, height, left, wide = max(*lrds, 1e-12), 130, 40, 460
    step = wide / max(len(cka) - 1, 1)

    def line(values: Sequence[float], colour: str) -> str:
        at = " ".join(f"{left + step * i:.1f},{height - 20 - 100 * max(v, 0):.1f}" for i, v in enumerate(values))
        return f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="2"/>'

    bands = outcome.band if isinstance(outcome.band, list) else []
    marks = "".join(
        f'<rect x="{left + step * b - 6:.1f}" y="10" width="12" height="{height - 30}" fill="{_FORGET}" opacity=".15"/>'
        for b in bands
    )
    every = max(1, len(cka) // 12)
    numbers = "".join(
        f'<text x="{left + step * i:.1f}" y="{height - 5}" text-anchor="middle" fill="#666">{i}</text>'
        for i in range(0, len(cka), every)
    )
    return (
        f'<figure style="max-width:34rem"><svg viewBox="0 0 520 {height}" role="img" '
        f'font-family="system-ui,sans-serif" font-size="11"><title>CKA and LRDS by block</title>{marks}'
        f'<path d="M{left} {height - 20}H{left + wide}" stroke="#bbb"/>{line(cka, _KEEP)}'
        f"{line([value / largest for value in lrds], _BEFORE)}{numbers}</svg>"
        f'<figcaption>By block: <b style="color:{_KEEP}">CKA</b>, how alike states of the languages are, 0 to 1; '
        f'<b style="color:#757575">LRDS</b>, how far they tell the language, as a share of its largest. Shaded: what '
        "could change.</figcaption></figure>"
    )


def _use(outcome: Outcome) -> list[str]:
    code = (
        "import mute\n\n"
        f"model, tokenizer = mute.open_model({outcome.model!r})\n"
        "with mute.patched(model, mute.load_patch('patch')):\n    ...  # the changed model\n"
    )
    found = [f"<pre>{text(code)}</pre>"]
    if outcome.exported:
        found.append(paragraph("The whole changed model lies in model/, an ordinary model directory."))
    else:
        found.append(paragraph("The same call with --export writes the whole changed model, too."))
    found.append(paragraph("measures.csv and measures-before.csv hold every measure (docs/tables.md).", "small"))
    return found
