"""What a person should look at before trusting the data, in words: the warnings on top of every paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gen.card import REQUIRED, blanks
from gen.figures.counts import SURPLUS
from gen.figures.whole import Figures
from gen.figures.wording import many, percent
from gen.record import RunRecord

# Rules of thumb: the points where a look at the texts has paid off. None of them rejects anything.
REJECTS_MUCH = 0.30
SAME_OPENINGS = 0.40
AT_CEILING = 0.80
LENGTH_BIAS = 0.50
OTHER_LANGUAGE = 0.05
LONGER_WINS = 0.75
SURPLUS_MUCH = 0.10
_MOST_NAMED = 3
SIMULATED = "Made with the simulator: never train on it."


@dataclass(frozen=True, slots=True)
class Concern:
    """One warning, one sentence; `about` names the figure that shows it; `severe` ones are about the whole data set."""

    text: str
    about: str
    severe: bool = False


def concerns(record: RunRecord, figures: Figures) -> tuple[Concern, ...]:
    """The warnings of a run, the gravest first."""
    found = [*_about_the_set(record, figures), *_about_gates(figures), *_about_texts(figures), *_about_the_card(record)]
    return tuple(sorted(found, key=lambda concern: not concern.severe))


def _about_the_set(record: RunRecord, figures: Figures) -> Iterator[Concern]:
    if figures.simulated:
        yield Concern(SIMULATED, "made", severe=True)
    if not figures.accepted:
        yield Concern("No sample was accepted.", "funnel", severe=True)
    elif figures.accepted < record.goal:
        stops = sorted({line.detail or line.stop for line in figures.table if line.stop not in ("", "goal_reached")})
        because = f": {_named(stops)}" if stops else ""
        yield Concern(f"{figures.accepted:,} of {record.goal:,} samples asked for were accepted{because}.", "table", severe=True)
    if figures.coverage.empty and figures.accepted:
        names = _named([f"{topic or 'no topic'} × {strategy}" for topic, strategy in figures.coverage.empty])
        yield Concern(
            f"{len(figures.coverage.empty)} of {len(figures.coverage.wanted)} cells have no accepted sample: {names}.", "coverage"
        )
    if record.leaks:
        yield Concern(
            f"The splits leak: {many(record.leaks, 'group')} of samples that belong together lie in more than one.", "card", severe=True
        )
    for export in record.exports:
        if export.skipped:
            reasons = _named(sorted({skipped.reason for skipped in export.skipped}))
            yield Concern(f"{many(len(export.skipped), 'sample')} could not be written as {export.format}: {reasons}.", "made")
    if record.packed and record.packed.too_long:
        yield Concern(
            f"{many(record.packed.too_long, 'sample')} of more than {record.packed.max_length:,} tokens could not be packed.", "packing"
        )


def _about_gates(figures: Figures) -> Iterator[Concern]:
    for step in figures.funnel:
        if step.gate != SURPLUS and step.entered and step.rejected / step.entered > REJECTS_MUCH:
            share = percent(step.rejected / step.entered)
            yield Concern(f"The gate {step.gate} rejected {share} of what reached it, mostly as {step.reasons[0][0]}.", "funnel")
    surplus = sum(step.rejected for step in figures.funnel if step.gate == SURPLUS)
    if surplus > SURPLUS_MUCH * max(1, figures.candidates):
        yield Concern(
            f"{percent(surplus / figures.candidates)} of the candidates were good but more than was asked for: tasks of fewer "
            "samples, or larger goals per sequence, waste less.",
            "funnel",
        )
    warning = {one.fate.partition("/")[0] for one in figures.warned}
    idle = [step.gate for step in figures.funnel if not step.rejected and step.entered >= 100 and step.gate not in warning]
    if idle:
        yield Concern(
            f"{many(len(idle), 'gate')} rejected nothing: {_named(idle)}. Fine if nothing was wrong; else their bounds are loose.", "funnel"
        )
    for scan in figures.scans:
        if scan.scanned == 0:
            yield Concern(f"The gate {scan.gate} has scanned no sample.", "funnel")


def _about_texts(figures: Figures) -> Iterator[Concern]:
    for topic, share in figures.repeated_openings[:_MOST_NAMED]:
        if share > SAME_OPENINGS:
            yield Concern(f"Topic {topic or 'without a name'}: {percent(share)} of its accepted prompts share three openings.", "words")
    for judge in figures.scores:
        if not judge.graded:
            continue
        if judge.count >= 20 and judge.at_ceiling > AT_CEILING:
            yield Concern(
                f"The judge {judge.judge} gives {percent(judge.at_ceiling)} of the samples its highest value: it hardly tells them apart.",
                "scores",
            )
        if judge.with_length is not None and judge.with_length > LENGTH_BIAS:
            yield Concern(f"The judge {judge.judge} favours long replies (correlation {judge.with_length:.2f}).", "scores")
    saturated = [one.topic or "no topic" for one in figures.novelty if one.saturated]
    if saturated:
        yield Concern(f"Saturated, so that more samples would repeat: {_named(saturated)}.", "novelty")
    yield from _about_languages(figures)
    if figures.pairs and figures.pairs.made >= 20 and figures.pairs.longer_wins > LONGER_WINS:
        yield Concern(f"The longer answer wins in {percent(figures.pairs.longer_wins)} of the pairs: a model would learn length.", "pairs")


def _about_languages(figures: Figures) -> Iterator[Concern]:
    spoken = [(code, count) for code, count in figures.reading.languages if code != "und"]
    others = sum(count for _, count in spoken[1:])
    if spoken and others > OTHER_LANGUAGE * figures.reading.looked_at:
        yield Concern(f"{percent(others / figures.reading.looked_at)} of the replies looked at are not in {spoken[0][0]}.", "languages")


def _about_the_card(record: RunRecord) -> Iterator[Concern]:
    missing = blanks(record.card)
    if missing:
        yield Concern(
            f"The data card leaves {many(len(missing), 'field')} blank: {', '.join(REQUIRED[name].lower() for name in missing)}.", "card"
        )
    if record.card.owner and record.card.owner == record.card.reviewer:
        yield Concern("Owner and reviewer are the same person.", "card")
    if record.card.usage_rights and "training" not in record.card.usage_rights:
        yield Concern("The usage rights do not include training.", "card", severe=True)


def _named(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
