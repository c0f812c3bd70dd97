"""The board as one page that works from the disk: filters, columns that sort, no network; whatever was sent is text."""

import json
import math
from collections.abc import Iterable, Sequence

from mute.bands import Languages
from mute.findings.by_language import Worst
from mute.findings.results import Number
from mute.plotting import page
from mute.plotting.page import text
from mute.publishing.board.form import Submission
from mute.publishing.board.shelf import Place
from mute.publishing.board.text import values, worst_in

TITLE = "The board: what is left in the worst language, at what cost, and what brings it back"
# What an attack's number is.
WORDS = {"regained": "of what was forgotten", "recovery": "K after it less the oracle's"}
# Nothing from elsewhere is loaded, whatever the page holds.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_FILTERS = {
    "league": "compared with each other",
    "objective": "objective",
    "family": "family",
    "architecture": "architecture",
    "script": "script of the held-out language",
    "status": "status",
    "shelf": "from",
}
# Head, and what it is in words.
_COLUMNS = {
    "rank": "place by K in the worst held-out language, with its 95 % interval, of how many measured entries",
    "method": "as the study calls it, and the method",
    "band": "blocks that changed",
    "model": "architecture, languages unlearned in, protocol",
    "objective": "what the method is meant to do, and its family",
    "K, worst language": "knowledge left in the held-out language that keeps most: 1 untouched, 0 never knew",
    "K, sources": "knowledge left in the languages that unlearning read",
    "C, worst language": "capability kept in the held-out language that keeps least: 1 nothing lost",
    "brings back, most": "the attack that brings most back, in the language in which it does",
    "cost": "steps of training and texts that they pass; of guards forward passes added to a prompt and to a text",
    "trainings": "trained models that the numbers are of, and what became of the cells",
    "from": "study or submission, and whether its rows were computed again from its tables",
}
_STYLE = """
.mute{max-width:none}
.mute .filters{display:flex;flex-wrap:wrap;gap:.5rem 1rem;margin:1rem 0;padding:0;border:0}
.mute .filters label{font-size:.85em;color:#444;display:flex;flex-direction:column}
.mute select,.mute input{font:inherit;font-size:.95rem;padding:.25rem;border:1px solid #888;border-radius:3px;
background:#fff;color:#222;max-width:22rem}
.mute th button{font:inherit;font-weight:600;background:none;border:0;padding:.2rem 0;cursor:pointer;
color:#222;text-align:left}
.mute th button::after{content:" \\2195";color:#767676}
.mute th[aria-sort=ascending] button::after{content:" \\2191";color:#222}
.mute th[aria-sort=descending] button::after{content:" \\2193";color:#222}
.mute :focus-visible{outline:3px solid #1f5fbf;outline-offset:1px}
.mute td .more{display:block;color:#555;font-size:.9em}
.mute td .interval{display:block}
.mute td{max-width:22rem;overflow-wrap:break-word;white-space:normal}
.mute td.number{white-space:nowrap}
.mute td details summary{cursor:pointer;color:#1f5fbf}
.mute .wide{max-height:85vh;overflow:auto;border:1px solid #ccc}
.mute thead th{position:sticky;top:0;z-index:1}
.mute tr[hidden]{display:none}
.mute td.silent,.mute td:first-child{max-width:9rem}
.mute td.silent{color:#555}
.mute td .more,.mute td.cost{min-width:7.5rem}
@media (max-width:640px){.mute{padding:.5rem}.mute .filters{gap:.4rem 4%}
.mute .filters label{width:48%}.mute select,.mute input{width:100%;max-width:none;box-sizing:border-box}
.mute td:nth-child(2),.mute th:nth-child(2){position:sticky;left:0;background:#fff;
border-right:1px solid #ccc;max-width:8rem}.mute thead th:nth-child(2){z-index:2}}
@media print{.mute .filters{display:none}.mute .wide{max-height:none;overflow:visible}}
"""
# Without it the page is a whole table. It writes text alone, never HTML.
_SCRIPT = """
(function () {
  var table = document.querySelector('#board'), body = table.tBodies[0], rows = Array.from(body.rows);
  var count = document.querySelector('#count'), search = document.querySelector('#search');
  var selects = Array.from(document.querySelectorAll('.filters select')), k = 5;
  rows.forEach(function (row) {
    row.scripts = JSON.parse(row.dataset.scripts);
    row.whole = row.cells[k].cloneNode(true);
  });
  // Names are found with spaces, too.
  function plain(text) { return text.toLowerCase().replace(/_/g, ' '); }
  function show() {
    var shown = 0, words = plain(search.value), script = document.querySelector('#script').value;
    rows.forEach(function (row) {
      var fits = selects.every(function (s) {
        return !s.value || (s.id === 'script' ? s.value in row.scripts : row.dataset[s.id] === s.value);
      }) && (!words || plain(row.textContent).indexOf(words) >= 0);
      row.hidden = !fits;
      shown += fits ? 1 : 0;
      var cell = row.whole.cloneNode(true), own = script && row.scripts[script];
      if (own) { cell.textContent = own[0]; cell.dataset.sort = own[1]; }
      row.replaceChild(cell, row.cells[k]);
    });
    count.textContent = shown + ' of ' + rows.length + ' rows';
  }
  function key(row, i) {
    var cell = row.cells[i], value = cell.dataset.sort;
    return value === undefined ? cell.textContent : value === '' ? NaN : +value;
  }
  Array.from(table.tHead.rows[0].cells).forEach(function (th, i) {
    var button = document.createElement('button');
    button.type = 'button';
    button.textContent = th.textContent;
    th.textContent = '';
    th.appendChild(button);
    button.addEventListener('click', function () {
      var up = th.getAttribute('aria-sort') !== 'ascending';
      Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute('aria-sort'); });
      th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      rows.sort(function (a, b) {
        var x = key(a, i), y = key(b, i);
        if (typeof x === 'number' && typeof y === 'number') {
          return isNaN(x) ? (isNaN(y) ? 0 : 1) : isNaN(y) ? -1 : up ? x - y : y - x;
        }
        return (up ? 1 : -1) * String(x).localeCompare(String(y), undefined, { numeric: true });
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
  selects.forEach(function (s) { s.addEventListener('change', show); });
  search.addEventListener('input', show);
  document.querySelector('.filters').hidden = false;
  show();
}());
"""


def page_text(places: Sequence[Place], floor: float, forms: Iterable[Submission]) -> str:
    """The whole page."""
    ordered = sorted(places, key=_order)
    parts = [
        f"<style>{_STYLE}</style>",
        page.heading(1, TITLE),
        page.paragraph(_how(floor), "small"),
        _filters(ordered),
        '<p id="count" class="small" aria-live="polite"></p>',
        _table(ordered),
        page.heading(2, "The columns", "columns"),
        page.definitions(_COLUMNS.items()),
        page.heading(2, "Where the rows come from", "from"),
        page.table(_SENT, map(_sent, forms)),
    ]
    body = page.fragment(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(TITLE)}</title>\n</head>\n<body>\n{body}<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _how(floor: float) -> str:
    return (
        f"A place goes to what keeps {floor:g} or more of capability, in the worst held-out language and in the "
        "sources; 1 leaves least knowledge in the worst held-out language. Entries are compared that were trained and "
        "asked alike. Intervals hold 95 %: over the trainings where there are two or more, and of one training over "
        "its facts, which says nothing of another model. Two places whose intervals overlap are not told apart. What "
        "has no place says why."
    )


def _order(place: Place) -> tuple:
    left = place.entry.k.number.value
    return (
        place.shelf != "here",
        *place.entry.league,
        place.rank.place is None,
        place.rank.place or 0,
        math.isnan(left),
        left,
    )


def _filters(places: Sequence[Place]) -> str:
    found = []
    for name, words in _FILTERS.items():
        options = dict.fromkeys(value for place in places for value in _values(place, name) if value)
        listed = list(options) if name == "league" else sorted(options)
        inner = "".join(f'<option value="{text(value)}">{text(value)}</option>' for value in listed)
        found.append(
            f'<label for="{name}">{text(words)}<select id="{name}">'
            f'<option value="">all</option>{inner}</select></label>'
        )
    found.append('<label for="search">search<input id="search" type="search" autocomplete="off"></label>')
    return f'<fieldset class="filters" hidden>{"".join(found)}</fieldset>'


def _values(place: Place, name: str) -> tuple[str, ...]:
    if name == "league":
        return (_league_key(place),)
    return (place.shelf,) if name == "shelf" else values(place, name)


def _league_key(place: Place) -> str:
    entry = place.entry
    return f"{entry.model}, unlearned in {Languages(entry.sources).words}, {entry.forget_set} ({entry.setup[:6]})"


def _table(places: Sequence[Place]) -> str:
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in _COLUMNS)
    body = "\n".join(map(_row, places))
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="the board"><table id="board">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(place: Place) -> str:
    entry = place.entry
    scripts = {}
    for script in values(place, "script"):
        worst = worst_in(place, script)
        scripts[script] = [str(worst), "" if not worst else f"{worst.number.value:.6g}"]
    data = {name: (_values(place, name) or ("",))[0] for name in _FILTERS if name != "script"}
    data["scripts"] = json.dumps(scripts, ensure_ascii=False, allow_nan=False)
    attributes = "".join(f' data-{name}="{text(value)}"' for name, value in data.items())
    method = entry.method if entry.method != entry.algorithm else ""
    cells = [
        _rank(place),
        _words(entry.algorithm, method),
        _words(entry.band),
        _words(entry.model, f"{entry.sources}, {entry.protocol}, retain {entry.retain}"),
        _words(entry.objective or "–", entry.family),
        _number(entry.k),
        _number(entry.k_source),
        _number(entry.c),
        _back(place),
        _cost(place),
        _words(f"{entry.counted}", f"{entry.statuses.replace('_', ' ')}{f'; dose {entry.dose}' if entry.dose else ''}"),
        _words(place.shelf, place.origin),
    ]
    return f"<tr{attributes}>{''.join(cells)}</tr>"


def _rank(place: Place) -> str:
    rank = place.rank
    if rank.place is None:
        return f'<td class="silent" data-sort="">{text(rank.why or "–")}</td>'
    more = f'<span class="more">{text(rank.why)}</span>' if rank.why else ""
    return (
        f'<td class="number" data-sort="{rank.place}"><b>{rank.place}</b> [{rank.low}, {rank.high}] '
        f'<span class="more">of {rank.of}</span>{more}</td>'
    )


def _words(words: str, more: str = "") -> str:
    return f"<td>{text(words)}{f'<span class={chr(34)}more{chr(34)}>{text(more)}</span>' if more else ''}</td>"


def _number(value: Number | Worst) -> str:
    number, language = value if isinstance(value, Worst) else (value, "")
    if not number:
        return '<td class="number" data-sort="">–</td>'
    estimate, _, interval = str(number).partition(" ")
    return (
        f'<td class="number" data-sort="{number.value:.6g}">{text(estimate)} <b>{text(language)}</b> '
        f'<span class="interval">{text(interval)}</span></td>'
    )


def _back(place: Place) -> str:
    best = place.entry.back
    if best is None:
        return '<td class="number" data-sort="">–</td>'
    lines = (f"{own.attack}: {own.worst}, {WORDS[own.measure]}" for own in place.entry.attacks)
    listed = "".join(f'<span class="more">{text(line)}</span>' for line in lines)
    number, language = best.worst
    estimate, _, interval = str(number).partition(" ")
    return (
        f'<td data-sort="{number.value:.6g}">{text(estimate)} <b>{text(language)}</b> {text(interval)}'
        f'<span class="more">{text(best.attack)}, {text(WORDS[best.measure])}</span>'
        f"<details><summary>{len(place.entry.attacks)} attacks</summary>{listed}</details></td>"
    )


def _cost(place: Place) -> str:
    steps, took = place.entry.steps, place.budget
    said = [] if math.isnan(steps) else [f"{steps:.0f} steps"]
    if not math.isnan(took.get("texts_trained", math.nan)):
        said.append(f"{took['texts_trained']:.0f} texts")
    if not math.isnan(took.get("passes_prompt", math.nan)):
        said.append(f"+{took['passes_prompt']:g} passes a prompt, +{took['passes_text']:g} a text")
    value = "" if math.isnan(steps) else f"{steps:.6g}"
    return f'<td class="cost" data-sort="{value}">{text(", ".join(said) or "–")}</td>'


_SENT = ("name", "sender", "contact", "licence", "code", "what was run", "origin", "versions", "configuration")


def _sent(form: Submission) -> tuple[str, ...]:
    versions = ", ".join(f"{name} {version}" for name, version in form.versions.items())
    who = (form.name, form.sender or "–", form.contact or "–", form.licence, form.code or "–")
    return (*who, form.description, form.origin or "–", versions or "–", form.config_digest)
