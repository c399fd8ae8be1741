"""The top of the page: what run this is, its tiles, and the warnings in words."""

from __future__ import annotations

from collections.abc import Iterator

from gen.figures.concerns import REJECTS_MUCH, SIMULATED, concerns
from gen.figures.counts import SURPLUS
from gen.figures.measures import interval
from gen.figures.whole import Figures
from gen.figures.wording import UNKNOWN, dates, percent, usd
from gen.markup import html
from gen.record import RunRecord

_LINKS = ("accepted.jsonl", "rejected.jsonl", "data-card.md", "quality-report.md", "README.md")


def header(record: RunRecord, figures: Figures) -> str:
    """The name, one line of facts, and links to the other files of the folder."""
    models = f"{len(record.models)} model{'s' if len(record.models) != 1 else ''}"
    stop = record.sessions[-1].stop.replace("_", " ") if record.sessions else ""
    facts = [f"seed {record.seed}", stop, models, f"recipe {record.recipe_hash[:12]}", dates(record)]
    links = "".join(f'<a href="{name}">{name}</a>' for name in _LINKS)
    simulated = f'<p class="simulated" role="alert">{html(SIMULATED)}</p>' if figures.simulated else ""
    line = html(" · ".join(fact for fact in facts if fact))
    return f'<header><h1>{html(record.name)}</h1><p class="quiet">{line}</p><nav>{links}</nav></header>{simulated}'


def tiles(record: RunRecord, figures: Figures) -> str:
    """The numbers that decide, each a link to its figure."""
    return f'<div class="tiles">{"".join(_tiles(record, figures))}</div>'


def warnings(record: RunRecord, figures: Figures) -> str:
    """What to look at first; the simulator's warning has its own place above."""
    found = [concern for concern in concerns(record, figures) if concern.text != SIMULATED]
    if not found:
        return ""
    kinds = {True: ' class="severe"', False: ""}
    items = "".join(f'<li{kinds[concern.severe]}>{html(concern.text)} <a href="#{concern.about}">see</a></li>' for concern in found)
    return f'<div class="warnings"><h2>Look at this first</h2><ul>{items}</ul></div>'


def _tiles(record: RunRecord, figures: Figures) -> Iterator[str]:
    short = figures.accepted < record.goal
    goal = f"of {record.goal:,} asked for" if record.goal else "samples accepted"
    yield _tile("table", f"{figures.accepted:,}", goal, bad=short or not figures.accepted)
    yield _tile("funnel", percent(figures.accepted / max(1, figures.candidates)), f"yield of {figures.candidates:,} candidates")
    yield _tile("cost", usd(figures.cost.per_accepted) if figures.accepted else UNKNOWN, "USD per accepted")
    if record.reviewed:
        good, of = record.reviewed
        low, high = interval(good, of)
        yield _tile("made", f"{good} / {of}", f"reviewed good, {100 * low:.0f}–{100 * high:.0f} %")
    empty = len(figures.coverage.empty)
    yield _tile("coverage", f"{empty:,}", f"empty of {len(figures.coverage.wanted):,} cells", bad=empty > 0)
    strict = [step for step in figures.funnel if step.gate != SURPLUS and step.entered and step.rejected / step.entered > REJECTS_MUCH]
    yield _tile("funnel", f"{len(strict)}", f"gates rejecting over {percent(REJECTS_MUCH)}")
    if figures.pairs:
        yield _tile("pairs", f"{figures.pairs.made:,}", "preference pairs")


def _tile(anchor: str, value: str, label: str, *, bad: bool = False) -> str:
    kind = "tile bad" if bad else "tile"
    return f'<a class="{kind}" href="#{anchor}"><b>{html(value)}</b><span>{html(label)}</span></a>'
