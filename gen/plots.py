"""Plots as SVG text: bars, heat, ridge, lines, dots. No library, no script, the same bytes for the same numbers.

Each function takes numbers that are ready to draw and returns one or more `<svg>`; it computes nothing about the data. Colours are CSS
variables of the page (`STYLE` brings them, with a set of their own in the dark): blue and orange of Okabe and Ito's palette, which
colour-blind readers tell apart; the second one is hatched as well, so that colour is never the only sign. Every text is escaped here.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gen.markup import html, visible

WIDTH = 560  # units of the view box: about a column of the report
_LETTER = 7.0  # average width of a letter at 12 px in the widest of the usual interface fonts
_GAP = 10

STYLE = """
:root{--paper:#fff;--page:#f6f7f9;--ink:#1a1d21;--muted:#5b6470;--grid:#dfe3e8;--kept:#0072b2;--lost:#d55e00;--bad:#b3261e;--note:#fff6e5}
@media (prefers-color-scheme:dark){:root{--paper:#16191d;--page:#0f1114;--ink:#e8eaed;--muted:#a3abb5;--grid:#30363d;--kept:#56b4e9;
--lost:#e69f00;--bad:#ff8a80;--note:#2b2413}}
svg.plot{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.plot text{fill:var(--ink)}.plot .m{fill:var(--muted)}.plot .on{fill:var(--paper)}.plot .r{text-anchor:end}.plot .c{text-anchor:middle}
.plot .kept{fill:var(--kept)}.plot .lost{fill:var(--lost)}.plot .hatch{stroke:var(--paper);stroke-width:2;opacity:.6}
.plot .faint{stroke:var(--muted);stroke-width:1;opacity:.5}.plot .empty{fill:none;stroke:var(--grid)}
.plot .grid{stroke:var(--grid);stroke-width:1}.plot .mark{stroke:var(--ink);stroke-width:2}.plot .range{stroke:var(--ink);stroke-width:1.2}
.plot .line{fill:none;stroke:var(--kept);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.plot .area{fill:var(--kept);fill-opacity:.3}.plot .limit{stroke:var(--lost);stroke-width:1.5;stroke-dasharray:4 3}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(205px,1fr));gap:.8rem}.multiples svg.plot{max-width:330px}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: how much was kept and lost, in any unit, and the text at its end."""

    label: str
    kept: float
    lost: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` is printed; `shade` from 0 to 1; `hatched` marks what should not be empty."""

    value: str
    shade: float
    tip: str = ""
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Ridge:
    """A distribution: `heights` at equal steps over the axis, 0 to 1; `low`, `middle`, `high` as positions on it, 0 to 1."""

    label: str
    heights: tuple[float, ...]
    low: float
    middle: float
    high: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot of a line: points as (x, y) in data units, in order of x; `foot` stands under the axis beside its name."""

    title: str
    points: tuple[tuple[float, float], ...]
    note: str = ""
    foot: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A share with its interval, all from 0 to 1."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: position from 0 to 1 and its text."""

    at: float
    text: str


def bars(label: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars, kept and lost end to end; the longest row fills the plot."""
    left, right = _label_space([row.label for row in rows]), _label_space([row.note for row in rows], most=170)
    space = WIDTH - left - right - 2 * _GAP
    longest = max((row.kept + row.lost for row in rows), default=0) or 1
    hatch, pattern = _hatch(label)
    parts = [pattern]
    for place, row in enumerate(rows):
        top = 4 + place * 26
        kept, lost = space * row.kept / longest, space * row.lost / longest
        inside = [_text(left, top + 14, _fit(row.label, left), "r"), _rect(left + _GAP, top, kept, 19, "kept")]
        if row.lost:
            inside += [_rect(left + _GAP + kept, top, lost, 19, "lost"), _rect(left + _GAP + kept, top, lost, 19, "", fill=hatch)]
        inside.append(_text(left + 2 * _GAP + kept + lost, top + 14, _fit(row.note, right), "m"))
        parts.append(_group(f"{row.label}: {row.note or _short(row.kept)}", inside))
    return _svg(label, 8 + 26 * len(rows), parts)


def heat(label: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[Cell]]) -> str:
    """A grid with the number in each cell. At most 40 rows are readable; the caller folds the rest."""
    left = _label_space(rows)
    wide = min(170.0, (WIDTH - left - _GAP) / max(1, len(columns)))
    slanted = any(_width(column) > wide - 6 for column in columns)
    head = 78 if slanted else 22
    hatch, pattern = _hatch(label, "faint")
    parts = [pattern]
    for at, column in enumerate(columns):
        x = left + _GAP + wide * at
        if slanted:
            turn = f' transform="rotate(-32 {_n(x + wide * 0.3)} {head - 8})"'
            parts.append(_text(x + wide * 0.3, head - 8, _fit(column, 120), "m", extra=turn))
        else:
            parts.append(_text(x + wide / 2, head - 8, column, "m c"))
    for down, row in enumerate(rows):
        y = head + 26 * down
        parts.append(_text(left, y + 16, _fit(row, left), "r"))
        for at, cell in enumerate(cells[down]):
            x = left + _GAP + wide * at
            shade = 0.1 + 0.8 * min(1.0, max(0.0, cell.shade))
            box = _rect(x + 1, y + 1, wide - 2, 24, "kept", extra=f' fill-opacity="{_n(shade)}"')
            if cell.hatched:
                box = _rect(x + 1, y + 1, wide - 2, 24, "empty") + _rect(x + 1, y + 1, wide - 2, 24, "", fill=hatch)
            number = _text(x + wide / 2, y + 17, cell.value, "c on" if shade > 0.55 and not cell.hatched else "c")
            parts.append(_group(cell.tip or f"{row}, {columns[at]}: {cell.value}", [box, number]))
    return _svg(label, head + 26 * len(rows) + 6, parts)


def ridge(label: str, rows: Sequence[Ridge], ticks: Sequence[Tick], axis: str) -> str:
    """One distribution above the other on one axis; below each its 5 to 95 % range with the median."""
    left, right = _label_space([row.label for row in rows]), _label_space([row.note for row in rows], most=120)
    space = WIDTH - left - right - 2 * _GAP
    start, step, tall = left + _GAP, 50, 36
    bottom = 6 + step * len(rows)
    parts = [_line(start + space * tick.at, 2, start + space * tick.at, bottom, "grid") for tick in ticks]
    for place, row in enumerate(rows):
        base = 4 + step * place + tall
        stride = space / max(1, len(row.heights) - 1)
        top = " ".join(f"L{_n(start + stride * at)} {_n(base - tall * height)}" for at, height in enumerate(row.heights))
        low, middle, high = (start + space * position for position in (row.low, row.middle, row.high))
        inside = [
            f'<path class="area" d="M{_n(start)} {_n(base)} {top} L{_n(start + space)} {_n(base)}Z"/>',
            _line(low, base + 4, high, base + 4, "range"),
            _line(middle, base, middle, base + 8, "mark"),
            _text(left, base - 4, _fit(row.label, left), "r"),
            _text(start + space + _GAP, base - 4, _fit(row.note, right), "m"),
        ]
        parts.append(_group(f"{row.label}: {row.note}", inside))
    parts += [_text(start + space * tick.at, bottom + 14, tick.text, "m c") for tick in ticks]
    parts.append(_text(start + space / 2, bottom + 31, axis, "m c"))
    return _svg(label, bottom + 38, parts)


def lines(label: str, panels: Sequence[Panel], *, x_axis: str, y_axis: str, top: float | None = None) -> str:
    """Small multiples on one scale, each a picture of its own, so that they wrap on a phone. `top` ends the y axis if given."""
    highest = top if top is not None else max((y for panel in panels for _, y in panel.points), default=1.0)
    furthest = max((x for panel in panels for x, _ in panel.points), default=1.0)
    drawn = "".join(_panel(label, panel, highest or 1.0, furthest or 1.0, x_axis, y_axis) for panel in panels)
    return f'<div class="multiples">{drawn}</div>'


def line(label: str, points: Sequence[tuple[float, float]], *, x_axis: str, y_axis: str) -> str:
    """One line over the width of a column."""
    highest, furthest = max((y for _, y in points), default=1.0) or 1.0, max((x for x, _ in points), default=1.0) or 1.0
    return _panel(label, Panel("", tuple(points)), _nice(highest), furthest, x_axis, y_axis, wide=WIDTH, tall=200)


def dots(label: str, rows: Sequence[Dot], axis: str) -> str:
    """Shares from 0 to 100 % as dots with their intervals."""
    left, right = _label_space([row.label for row in rows]), _label_space([row.note for row in rows], most=150)
    space = WIDTH - left - right - 2 * _GAP
    start, bottom = left + _GAP, 8 + 24 * len(rows)
    parts = [_line(start + space * at / 4, 2, start + space * at / 4, bottom, "grid") for at in range(5)]
    for place, row in enumerate(rows):
        y = 16 + 24 * place
        inside = [
            _text(left, y + 4, _fit(row.label, left), "r"),
            _line(start + space * row.low, y, start + space * row.high, y, "range"),
            f'<circle class="kept" cx="{_n(start + space * row.value)}" cy="{y}" r="5"/>',
            _text(start + space + _GAP, y + 4, _fit(row.note, right), "m"),
        ]
        parts.append(_group(f"{row.label}: {row.note}", inside))
    parts += [_text(start + space * at / 4, bottom + 14, f"{25 * at} %", "m c") for at in range(5)]
    parts.append(_text(start + space / 2, bottom + 31, axis, "m c"))
    return _svg(label, bottom + 38, parts)


def columns(label: str, rows: Sequence[Bar], axis: str, limit: float | None = None) -> str:
    """Upright bars, lost beside kept; `limit` draws a dashed line before the column at that position (2.0 is before the third)."""
    start, space, tall = 44.0, WIDTH - 54.0, 150.0
    highest = _nice(max((max(row.kept, row.lost) for row in rows), default=1.0) or 1.0)
    wide, both = space / max(1, len(rows)), any(row.lost for row in rows)
    hatch, pattern = _hatch(label)
    parts = [pattern]
    for at in range(3):
        y = 12 + tall * (1 - at / 2)
        parts += [_line(start, y, start + space, y, "grid"), _text(start - 6, y + 4, _short(highest * at / 2), "m r")]
    every = max(1, -(-len(rows) // 12))
    for at, row in enumerate(rows):
        x, bar = start + wide * at, min(34.0, wide * 0.42)
        kept, lost = tall * row.kept / highest, tall * row.lost / highest
        middle = x + wide / 2
        inside = [_rect(middle - (bar if both else bar / 2), 12 + tall - kept, bar - 1, kept, "kept")]
        inside += [_rect(middle + 1, 12 + tall - lost, bar - 1, lost, kind, fill=fill) for kind, fill in (("lost", ""), ("", hatch))]
        parts.append(_group(f"{row.label}: {row.note}", inside))
        if at % every == 0:
            parts.append(_text(middle, 12 + tall + 16, row.label, "m c"))
    if limit is not None:
        parts.append(_line(start + wide * limit, 4, start + wide * limit, 12 + tall, "limit"))
    parts.append(_text(start + space / 2, 12 + tall + 34, axis, "m c"))
    return _svg(label, tall + 54, parts)


def _panel(label: str, panel: Panel, highest: float, furthest: float, x_axis: str, y_axis: str, *, wide: int = 260, tall: int = 130) -> str:
    head = 20 if panel.title else 4
    left, space, room = 46.0, wide - 60.0, tall - head - 38.0
    parts = [_text(left, 13, _fit(panel.title, space), "")] if panel.title else []
    for at in range(3):
        y = head + 8 + room * (1 - at / 2)
        parts += [_line(left, y, left + space, y, "grid"), _text(left - 5, y + 4, _short(highest * at / 2), "m r")]
    spots = [(left + space * x / furthest, head + 8 + room * (1 - min(1.0, y / highest))) for x, y in panel.points]
    if len(spots) > 1:
        parts.append(f'<polyline class="line" points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in spots)}"/>')
    parts += [f'<circle class="kept" cx="{_n(x)}" cy="{_n(y)}" r="2.6"/>' for x, y in spots[-1:]]
    floor = head + 8 + room
    parts += [_text(left, floor + 14, "0", "m c"), _text(left + space, floor + 14, _short(furthest), "m r")]
    parts.append(_text(left + space / 2, floor + 27, _fit(f"{x_axis} · {panel.foot}" if panel.foot else x_axis, space), "m c"))
    name = f"{label}: {panel.title}, {panel.note or y_axis}" if panel.title else label
    return _svg(name, tall, [_group(f"{panel.title or label}: {panel.note or y_axis}", parts)], wide=wide)


def _svg(label: str, height: float, parts: Sequence[str], wide: int = WIDTH) -> str:
    return f'<svg class="plot" role="img" aria-label="{html(label)}" viewBox="0 0 {wide} {_n(height)}">{"".join(parts)}</svg>'


def _group(tip: str, parts: Sequence[str]) -> str:
    return f"<g><title>{html(tip)}</title>{''.join(parts)}</g>"


def _text(x: float, y: float, text: str, kind: str, *, extra: str = "") -> str:
    return f'<text x="{_n(x)}" y="{_n(y)}" class="{kind}"{extra}>{html(text)}</text>' if text else ""


def _rect(x: float, y: float, wide: float, tall: float, kind: str, *, fill: str = "", extra: str = "") -> str:
    if wide <= 0 or tall <= 0:
        return ""
    look = (f' class="{kind}"' if kind else "") + (f' fill="{fill}"' if fill else "")
    return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(tall)}" rx="2"{look}{extra}/>'


def _line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<line x1="{_n(x)}" y1="{_n(y)}" x2="{_n(to_x)}" y2="{_n(to_y)}" class="{kind}"/>'


def _hatch(label: str, kind: str = "hatch") -> tuple[str, str]:
    """The reference to a pattern of slanted lines and its definition, named after the plot so that names on one page differ."""
    name = "h" + hashlib.sha256(label.encode("utf-8", "replace")).hexdigest()[:8]
    stroke = f'<line x1="0" y1="0" x2="0" y2="6" class="{kind}"/>'
    shape = f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">{stroke}</pattern>'
    return f"url(#{name})", f"<defs>{shape}</defs>"


def _width(text: str) -> float:
    return _LETTER * sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text[:200])


def _label_space(labels: Sequence[str], most: float = 200) -> float:
    return min(most, max((_width(label) for label in labels), default=0) + 4)


def _fit(text: str, space: float) -> str:
    """The text on one line and cut to the space, with an ellipsis; it is escaped later."""
    plain = " ".join(visible(text[:300]).split())
    if _width(plain) <= space:
        return plain
    short = plain[: max(1, int(space / _LETTER) - 1)]
    while len(short) > 1 and _width(short) > space - _LETTER:
        short = short[:-1]
    return short.rstrip() + "…"


def _nice(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten: the end of an axis."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value)


def _short(value: float) -> str:
    """An axis number in a few characters.

    >>> [_short(number) for number in (0, 0.05, 0.00012, 12, 1500, 2_000_000)]
    ['0', '0.05', '0.00012', '12', '1.5k', '2M']
    """
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if 0 < abs(value) < 0.001 else f"{value:.3g}"


def _n(value: float) -> str:
    """A coordinate: one decimal is a tenth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
