"""Texts to read: a stratified sample, and an example of every rejection."""

from __future__ import annotations

from collections.abc import Iterator

from gen.exporters.report.page import Card, open_table, section
from gen.figures.whole import Figures
from gen.figures.wording import many
from gen.markup import cut, html
from gen.types import Malformed, Outcome, Sample

_SHOWN = 2_000  # characters of one turn in a sample
_SHOWN_IN_EXAMPLE = 500
_SHOWN_IN_SUMMARY = 120


def reading(figures: Figures) -> Iterator[Card]:
    """What gates warned of, the drawn samples whole, then the examples folded."""
    if figures.warned:
        yield _warned(figures)
    if figures.reading.samples:
        yield _samples(figures)
    if figures.reading.families:
        yield _families(figures)
    if figures.reading.examples:
        yield _examples(figures)


def _warned(figures: Figures) -> Card:
    rows = [(one.fate, name, detail, "accepted" if kept else "rejected") for one in figures.warned for name, detail, kept in one.first]
    counts = ", ".join(f"{one.fate} {one.count:,}" for one in figures.warned)
    caption = f"What gates name without rejecting it: {counts}. A person decides; `sluice show RUN ID` tells each one's story."
    return section("warnings", "Warnings to read", caption, open_table(("Warning", "Id", "Detail", "Fate"), rows), wide=True)


def _samples(figures: Figures) -> Card:
    drawn = figures.reading.samples
    content = "".join(_outcome(outcome, _SHOWN) for outcome in drawn)
    caption = f"{len(drawn)} candidates drawn at random over topics, strategies and reasons. No figure replaces reading them."
    return section("samples", "Samples to read", caption, content, wide=True)


def _examples(figures: Figures) -> Card:
    counts = {f"{step.gate}/{reason}": count for step in figures.funnel for reason, count in step.reasons}
    content = "".join(
        f"<details><summary>{html(fate)} · {counts.get(fate, len(outcomes)):,}</summary>"
        f"{''.join(_outcome(outcome, _SHOWN_IN_EXAMPLE) for outcome in outcomes)}</details>"
        for fate, outcomes in figures.reading.examples
    )
    caption = "Good: reading them, you would have rejected them too."
    return section("rejections", "Examples of each rejection", caption, content, wide=True)


def _families(figures: Figures) -> Card:
    content = "".join(
        f"<details><summary>{many(size, 'candidate')} · {html(_shortened(members[0]))}</summary>"
        f"{''.join(_outcome(outcome, _SHOWN_IN_EXAMPLE) for outcome in members)}</details>"
        for size, members in figures.reading.families
    )
    caption = "Candidates that a gate found too much like an accepted one; the largest families. Good: you would keep one, too."
    return section("families", "Families of near-duplicates", caption, content, wide=True)


def _shortened(outcome: Outcome) -> str:
    asked = outcome.item.last("user") if isinstance(outcome.item, Sample) else ""
    return cut(" ".join(asked.split()), _SHOWN_IN_SUMMARY)


def _outcome(outcome: Outcome, limit: int) -> str:
    failure, task = outcome.failure, outcome.task
    fate = "<b>accepted</b>" if failure is None else f'<b class="lost">rejected</b> {html(f"{failure.gate}/{failure.reason}")}'
    facts = [
        failure.detail if failure else "",
        task.topic,
        task.strategy,
        f"attempt {task.attempt + 1}",
        *_opinions(outcome),
        outcome.item.id,
    ]
    line = html(" · ".join(fact for fact in facts if fact))
    return f'<article class="sample"><p class="fate">{fate} · {line}</p>{_texts(outcome, limit)}</article>'


def _opinions(outcome: Outcome) -> list[str]:
    if isinstance(outcome.item, Malformed):
        return []
    return [f"{judge} {'unreadable' if score.value is None else f'{score.value:g}'}" for judge, score in outcome.item.scores.items()]


def _texts(outcome: Outcome, limit: int) -> str:
    if isinstance(outcome.item, Malformed):
        return _turn("received", outcome.item.text, limit) if outcome.item.text else '<p class="quiet">No text was received.</p>'
    return "".join(_turn(message.role, message.content, limit) for message in outcome.item.messages)


def _turn(role: str, text: str, limit: int) -> str:
    kind = "turn assistant" if role == "assistant" else "turn"
    return f'<div class="{kind}"><em>{html(role)}</em><div class="said" dir="auto">{html(cut(text, limit))}</div></div>'
