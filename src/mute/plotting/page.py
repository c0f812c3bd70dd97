"""HTML without outside resources: escaping, tables that stay readable on a phone and on paper, figures as data."""

import base64
import html
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mute.findings.by_language import Worst
from mute.findings.results import Number

Cell = str | int | float | Number | Worst

STYLE = """
.mute{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;color:#222;
background:#fff;max-width:72rem;margin:0 auto;padding:1rem;text-align:left}
.mute h1{font-size:1.6rem;line-height:1.2;margin:.2rem 0 1rem}
.mute h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:2px solid #222}
.mute h3{font-size:1.05rem;margin:1.4rem 0 .4rem}
.mute p,.mute li{margin:.35rem 0}
.mute ul{padding-left:1.2rem;list-style:disc}
.mute .question{font-size:1.1rem;font-weight:600}
.mute dl{margin:.8rem 0}
.mute dt{font-weight:600;margin-top:.6rem}
.mute dd{margin:.1rem 0 0 1rem}
.mute .small,.mute figcaption{font-size:.85em;color:#555}
.mute .wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
.mute table{border-collapse:collapse;font-size:.82em;margin:.5rem 0;width:auto}
.mute th,.mute td{padding:.2rem .4rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
.mute th{border-bottom:2px solid #666;white-space:nowrap;background:#fff;font-weight:600}
.mute th[data-sortable]{cursor:pointer}
.mute td{white-space:nowrap}
.mute td.number{font-variant-numeric:tabular-nums}
.mute td.long{white-space:normal;min-width:15rem}
.mute td .interval{color:#666;font-size:.9em}
.mute td.yes{color:#0b5d2e;font-weight:600}
.mute td.no{color:#8a1220;font-weight:600}
.mute td.open{color:#555;font-style:italic}
.mute figure{margin:1rem 0}
.mute figure img{width:100%;min-width:38rem;height:auto;display:block;margin:0}
.mute nav a{margin-right:.9rem;white-space:nowrap}
.prose:has(.mute){max-width:76rem!important}
.items-center:has(.mute){align-items:flex-start!important}
.items-start:has(.mute){flex-wrap:wrap}
@media print{.mute{font-size:10px;max-width:none;padding:0}.mute td.long{min-width:0}.mute nav{display:none}
.mute figure,.mute tr{break-inside:avoid}.mute h2,.mute h3{break-after:avoid}.mute .wide{overflow:visible}
.mute figure img{min-width:0;width:auto;max-width:100%!important;max-height:20cm}}
"""
# The page is whole without it: it only lets a click on a heading sort a table.
SORT = """
document.querySelectorAll('.mute th').forEach(function (th) {
  th.setAttribute('data-sortable', '');
  th.onclick = function () {
    var body = th.closest('table').tBodies[0], up = th.dataset.up !== '1';
    var key = function (row) {
      var cell = row.cells[th.cellIndex], value = cell.dataset.sort;
      return value === undefined ? cell.textContent : value === '' ? NaN : +value;
    };
    th.dataset.up = up ? '1' : '0';
    Array.from(body.rows).sort(function (a, b) {
      var x = key(a), y = key(b);
      if (typeof x === 'number' && typeof y === 'number') return isNaN(x) ? 1 : isNaN(y) ? -1 : up ? x - y : y - x;
      return (up ? 1 : -1) * String(x).localeCompare(String(y), undefined, { numeric: true });
    }).forEach(function (row) { body.appendChild(row); });
  };
});
"""
# What docutils takes as one line is limited; within base64 a break means nothing.
LINE = 8000
LONG = 32  # letters of a text that may wrap in a table
_MARKS = {"shows": "yes", "does not show": "no", "not decided": "open", "passed": ""}
_MARKS |= dict.fromkeys(("below gate", "diverged", "destroyed", "no edit", "nothing to forget"), "no")


def text(value: object) -> str:
    return html.escape(str(value))


def paragraph(words: str, kind: str = "") -> str:
    return f"<p{_kind(kind)}>{text(words)}</p>"


def link(target: str, words: str) -> str:
    return f'<a href="{text(target)}">{text(words)}</a>'


def bullets(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


def definitions(lines: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(words)}</dd>" for name, words in lines) + "</dl>"


def heading(level: int, words: str, anchor: str = "") -> str:
    return f"<h{level}{f' id={chr(34)}{text(anchor)}{chr(34)}' if anchor else ''}>{text(words)}</h{level}>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table in a frame that scrolls by itself; numbers carry their value, so that sorting is by value."""
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    # A row a line: the report's reader refuses a page with a line of more than 10,000 characters.
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: Cell) -> str:
    language = ""
    if isinstance(value, Worst):
        value, language = value
    if isinstance(value, Number):
        if not value:
            return '<td class="number" data-sort="">–</td>'
        estimate, _, interval = str(value).partition(" ")
        return (
            f'<td class="number" data-sort="{value.value:.6g}">{text(estimate)} {_named(language)}'
            f'<span class="interval">{text(interval)}</span></td>'
        )
    if isinstance(value, float):
        shown = "–" if math.isnan(value) else f"{value:.2f}"
        return f'<td class="number" data-sort="{"" if math.isnan(value) else f"{value:.6g}"}">{shown}</td>'
    if isinstance(value, int):
        return f'<td class="number" data-sort="{value}">{value}</td>'
    return f"<td{_kind(_MARKS.get(value, 'long' if len(value) > LONG else ''))}>{text(value)}</td>"


def _named(language: str) -> str:
    return f"<b>{text(language)}</b> " if language else ""


def figure(path: Path, title: str, caption: str, origin: str = "") -> str:
    """A figure inside the page, as data; a click opens the file beside it. origin: where it comes from, as HTML."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    data = "\n".join(data[i : i + LINE] for i in range(0, len(data), LINE))
    # A small figure is not blown up to the width of the page.
    width = re.search(r'<svg[^>]* width="([0-9.]+)pt"', path.read_text(encoding="utf-8")[:2000])
    most = f'style="max-width:{1.7 * float(width[1]):.0f}px" ' if width else ""
    from_ = f"<br>{origin}" if origin else ""
    return (
        f'<figure><div class="wide"><a href="figures/{text(path.name)}"><img alt="{text(title)}" {most}'
        f'src="data:image/svg+xml;base64,{data}"></a></div><figcaption>{text(caption)}{from_}</figcaption></figure>'
    )


def fragment(parts: Iterable[str]) -> str:
    """The page's body with its own style, to stand in any document."""
    return f'<div class="mute"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div>\n"


def document(title: str, body: str) -> str:
    """A page that stands alone."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n</head>\n<body>\n{body}<script>{SORT}</script>\n</body>\n</html>\n"
    )


def restructured(body: str) -> str:
    """The same as reStructuredText for Snakemake's report, which reads it as a Jinja template first."""
    lines = "\n".join(f"   {line}" for line in body.splitlines())
    return f"{{% raw %}}\n\n.. raw:: html\n\n{lines}\n\n{{% endraw %}}\n"


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
