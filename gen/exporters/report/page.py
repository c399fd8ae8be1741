"""The shell of the page: its security policy, its style, and the frame of a figure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gen.markup import html, html_table
from gen.plots import STYLE

_VIEW_BOX = re.compile(r'viewBox="0 0 \d{1,5} (\d{1,6})')

POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_CSS = """
*{box-sizing:border-box}html{color-scheme:light dark;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.wrap{max-width:1240px;margin:0 auto;padding:1.6rem 1.2rem 3rem}
a{color:var(--kept)}h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:0 0 .2rem}
h3{font-size:.95rem;margin:1.2rem 0 .4rem}p{margin:.3rem 0}.quiet,.caption{color:var(--muted)}.caption{font-size:.9rem;margin:0 0 .8rem}
header nav{margin:.5rem 0 0;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;font-size:.92rem}
.simulated{border:2px solid var(--bad);color:var(--bad);font-weight:700;border-radius:8px;padding:.6rem .9rem;margin:1rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.8rem;margin:1.2rem 0}
.tile{background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:.7rem .9rem;text-decoration:none;color:inherit;
display:block}
a.tile:hover{border-color:var(--kept)}.tile b{display:block;font-size:1.45rem;line-height:1.25;font-variant-numeric:tabular-nums;
overflow-wrap:anywhere}
.tile span{font-size:.85rem;color:var(--muted);display:block}.tile.bad b{color:var(--bad)}
.warnings{background:var(--note);border:1px solid var(--grid);border-radius:10px;padding:.8rem 1rem;margin:0 0 1.2rem}
.warnings ul{margin:.3rem 0 0;padding-left:1.2rem}.warnings li{margin:.15rem 0;overflow-wrap:anywhere}.warnings .severe{font-weight:650}
main,.column{display:grid;grid-template-columns:minmax(0,1fr);gap:1.1rem;align-content:start}
section{background:var(--paper);border:1px solid var(--grid);border-radius:10px;padding:1rem 1.1rem;min-width:0;scroll-margin-top:.6rem}
.columns{display:grid;grid-template-columns:minmax(0,1fr);gap:1.1rem}
@media (min-width:1060px){.columns{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem;color:var(--muted);margin:0 0 .5rem}
.legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.35rem;vertical-align:-.08rem;background:var(--kept)}
.legend i.lost{background:repeating-linear-gradient(45deg,var(--lost) 0 3px,color-mix(in srgb,var(--lost) 55%,var(--paper)) 3px 5px)}
.legend i.dash{height:0;border-top:2px dashed var(--lost);border-radius:0;background:none;vertical-align:.2rem}
details{margin:.7rem 0 0}summary{cursor:pointer;color:var(--muted);font-size:.9rem}
.scroll{overflow-x:auto;max-height:28rem;overflow-y:auto;margin-top:.5rem}
table{border-collapse:collapse;font-size:.88rem}#table table{width:100%}th{text-align:left;font-weight:600;color:var(--muted)}
th,td{padding:.28rem 0;border-bottom:1px solid var(--grid);vertical-align:top;overflow-wrap:break-word;min-width:3.2rem}
#largest table,#leaks table,#contradictions table{width:100%;table-layout:fixed}
:is(#largest,#leaks,#contradictions) :is(th,td){overflow-wrap:anywhere}:is(#largest,#leaks,#contradictions) th:first-child{width:8.5rem}
th,td{padding-right:1.3rem}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.unfolded{max-height:none}
.sample{border-top:1px solid var(--grid);padding:.8rem 0 .3rem}.sample:first-of-type{border-top:0}
.sample .fate{font-size:.88rem;color:var(--muted);overflow-wrap:anywhere}.fate b{color:var(--kept)}.fate b.lost{color:var(--lost)}
.turn{margin:.45rem 0;padding-left:.8rem;border-left:3px solid var(--grid)}.turn.assistant{border-color:var(--kept)}
.turn em{font-style:normal;font-size:.78rem;color:var(--muted);display:block}
.said{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;max-height:22rem;overflow-y:auto}
footer{color:var(--muted);font-size:.88rem;margin-top:1.6rem}
@media (max-width:560px){.wrap{padding:1rem .7rem 2rem}section{padding:.8rem .75rem}
.tiles{grid-template-columns:1fr 1fr}.tile b{font-size:1.2rem}
.plot-scroll{overflow-x:auto}.plot-scroll>svg.plot{min-width:430px}}
@media print{body{background:#fff}section,.tile{break-inside:avoid}.scroll,.said{max-height:none}}
"""

KEPT_AND_LOST = '<p class="legend"><span><i></i>accepted</span><span><i class="lost"></i>rejected</span></p>'


@dataclass(frozen=True, slots=True)
class Card:
    """One framed figure as HTML; `height` is an estimate in pixels, by which two columns are kept about even."""

    markup: str
    wide: bool
    height: float


def page(name: str, top: str, cards: Iterable[Card]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{html(name)} · Sluice report</title><style>{STYLE}{_CSS}</style></head>\n"
        f'<body><div class="wrap">{top}\n<main>{_arranged(cards)}\n</main></div></body></html>\n'
    )


def section(anchor: str, title: str, caption: str, content: str, *, wide: bool = False) -> Card:
    """A card with a title and a caption that says what is good. `content` is HTML, the rest text."""
    markup = f'\n<section id="{anchor}"><h2>{html(title)}</h2><p class="caption">{html(caption)}</p>{content}</section>'
    return Card(markup, wide, _height(content))


def picture(svg: str, head: Sequence[str], rows: Iterable[Sequence[str | int | float]], *, legend: str = "") -> str:
    """A plot with its numbers folded below it."""
    numbers = f'<details><summary>Numbers</summary><div class="scroll">{html_table(head, rows)}</div></details>'
    return f'{legend}<div class="plot-scroll">{svg}</div>{numbers}'


def open_table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    """A table that is read as it stands."""
    return f'<div class="scroll unfolded">{html_table(head, rows)}</div>'


def _arranged(cards: Iterable[Card]) -> str:
    """Wide cards over the whole width; those between them in two columns, each card below the shorter one."""
    parts: list[str] = []
    columns, heights = ["", ""], [0.0, 0.0]
    for card in [*cards, Card("", wide=True, height=0)]:
        if not card.wide:
            shorter = heights.index(min(heights))
            columns[shorter] += card.markup
            heights[shorter] += card.height
            continue
        if any(columns):
            parts.append(f'\n<div class="columns"><div class="column">{columns[0]}</div><div class="column">{columns[1]}</div></div>')
            columns, heights = ["", ""], [0.0, 0.0]
        parts.append(card.markup)
    return "".join(parts)


def _height(content: str) -> float:
    """Pictures at their own height, 34 pixels a table row that is not folded away, and the frame."""
    first, *rest = content.split("<details>")
    unfolded = first + "".join(part.partition("</details>")[2] for part in rest)
    pictures = [float(height) for height in _VIEW_BOX.findall(content)]
    return 130 + sum(pictures) + 40 * len(pictures) + 34 * unfolded.count("<tr>") + 40 * unfolded.count("<h3>")
