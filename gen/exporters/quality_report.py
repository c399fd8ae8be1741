"""quality-report.md: the figures of a run as text, for a terminal, a pull request or a mail. The same numbers as on report.html."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gen.figures.concerns import SIMULATED, concerns
from gen.figures.counts import Recovery
from gen.figures.measures import interval, own_figures
from gen.figures.whole import Figures
from gen.figures.wording import CATEGORY_COLUMNS, UNKNOWN, categories, longer, percent, total_cost, usd
from gen.markup import cut, fenced, markdown, markdown_table
from gen.record import Packed, RunRecord
from gen.types import Malformed, Outcome

_SHOWN = 1_200  # characters of a text


@dataclass(frozen=True)
class QualityReport:
    """The report as Markdown."""

    takes: ClassVar[str] = "run"
    file: ClassVar[str] = "quality-report.md"

    def text(self, record: RunRecord, figures: Figures) -> str:
        return "\n\n".join(block.rstrip() for block in _blocks(record, figures) if block) + "\n"


def _blocks(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield f"# Quality report: {markdown(record.name)}"
    if figures.simulated:
        yield f"> [!CAUTION]\n> **{SIMULATED}**"
    yield _summary(record, figures)
    warnings = [concern.text for concern in concerns(record, figures) if concern.text != SIMULATED]
    yield "## Look at this first\n\n" + ("\n".join(f"- {markdown(text)}" for text in warnings) or "Nothing stands out.")
    yield from _funnel(figures)
    yield from _by_topic(figures)
    yield from _texts(figures)
    yield from _scores(figures)
    yield from _cost(record, figures)
    yield from _attempts(figures)
    yield from _pairs(figures)
    if record.packed:
        yield "## Packing\n\n" + _packed(record.packed)
    yield from _warned(figures)
    yield from _to_read(figures)


def _summary(record: RunRecord, figures: Figures) -> str:
    goal = f" of {record.goal:,} asked for" if record.goal else ""
    per = usd(figures.cost.per_accepted) if figures.accepted else UNKNOWN
    rows = [
        ("Accepted", f"{figures.accepted:,}{goal}"),
        ("Candidates", f"{figures.candidates:,}, of which {figures.rejected:,} rejected"),
        ("Yield", percent(figures.accepted / max(1, figures.candidates))),
        ("Cost", total_cost(figures)),
        ("Cost per accepted", per),
    ]
    if record.reviewed:
        good, of = record.reviewed
        low, high = interval(good, of)
        rows.append(("Reviewed good", f"{good} of {of} ({percent(low)} to {percent(high)} with 95 % confidence)"))
    return markdown_table(("", ""), rows)


def _funnel(figures: Figures) -> Iterator[str]:
    yield "## Funnel"
    yield "Every candidate once, at the gate that decided its fate."
    yield markdown_table(
        ("Gate", "Reached it", "Rejected", "Kept", "Reasons"),
        [
            (step.gate, step.entered, step.rejected, step.kept, ", ".join(f"{reason} {count:,}" for reason, count in step.reasons))
            for step in figures.funnel
        ],
    )


def _warned(figures: Figures) -> Iterator[str]:
    if figures.warned:
        yield "## Warnings to read"
        yield f"What gates name without rejecting it: {', '.join(f'{one.fate} {one.count:,}' for one in figures.warned)}. A person decides."
        yield markdown_table(
            ("Warning", "Id", "Detail", "Fate"),
            [(one.fate, name, detail, "accepted" if kept else "rejected") for one in figures.warned for name, detail, kept in one.first],
        )


def _by_topic(figures: Figures) -> Iterator[str]:
    yield "## Topics and strategies"
    yield markdown_table(
        ("Topic", "Strategy", "Accepted", "Candidates", "Yield", "Prompt words", "Reply words", "Ended"),
        [
            (
                line.topic or "(none)",
                line.strategy,
                line.accepted,
                line.candidates,
                percent(line.yielded),
                line.median_prompt_words,
                line.median_reply_words,
                line.detail or line.stop,
            )
            for line in figures.table
        ],
    )
    if figures.duplicates:
        yield "### Rejected as duplicates"
        yield markdown_table(("Topic", "Candidates", "Duplicates"), [(topic or "(none)", *counts) for topic, *counts in figures.duplicates])


def _texts(figures: Figures) -> Iterator[str]:
    if figures.lengths:
        yield "## Lengths of accepted texts, in words"
        rows = [(one.strategy, one.part, one.low, one.middle, one.high) for one in figures.lengths.spreads]
        yield markdown_table(("Strategy", "Part", "5 %", "Median", "95 %"), rows)
    if figures.reading.languages:
        yield f"## Languages of {figures.reading.looked_at:,} accepted replies"
        yield markdown_table(("Language", "Replies"), figures.reading.languages)
    if figures.openings:
        yield "## How accepted prompts begin"
        yield markdown_table(
            ("First words", "Prompts", "Share"), [(words, count, percent(share)) for words, count, share in figures.openings]
        )
    if figures.novelty:
        yield "## Novelty"
        yield "Share of word pairs in accepted prompts not seen before in their topic, in its first and its last window."
        yield markdown_table(
            ("Topic", "First", "Last", ""),
            [
                (one.topic or "(none)", percent(one.points[0][1]), percent(one.points[-1][1]), "saturated" if one.saturated else "")
                for one in figures.novelty
            ],
        )


def _scores(figures: Figures) -> Iterator[str]:
    for judge in own_figures(figures.scores):
        yield f"## Scores by {markdown(judge.judge)}"
        compared = f"a gate compares them: {judge.bounds}" if judge.bounds else "no gate compares them"
        unreadable = f", {judge.unreadable:,} unreadable" if judge.unreadable else ""
        ceiling = f"; {percent(judge.at_ceiling)} at the highest value" if judge.graded else ""
        yield f"{judge.count:,} opinions{unreadable}; {compared}{ceiling}."
        yield markdown_table(("Score", "Accepted", "Rejected"), [(f"{value:g}", kept, lost) for value, kept, lost in judge.binned])
        if rows := categories(figures.scores, judge.judge):
            yield "Its categories:"
            yield markdown_table(CATEGORY_COLUMNS, rows)


def _cost(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield "## Cost"
    yield f"Replies that candidates on record were made from: {figures.cost.calls:,}. Cost: {total_cost(figures)}."
    for title, lines in (("Model", figures.cost.by_model), ("Step", figures.cost.by_step)):
        rows = [(line.name, line.calls, line.input_tokens, line.output_tokens, usd(line.cost)) for line in lines]
        yield markdown_table((title, "Replies", "Tokens in", "Tokens out", "Cost"), rows)
    sessions = [
        (one.started, f"{one.seconds:,.0f} s", one.requests, one.cache_hits, one.retries, one.rate_limited, usd(one.cost), one.stop)
        for one in record.sessions
    ]
    yield markdown_table(("Started", "Took", "Requests", "Cache hits", "Retries", "429s", "Paid", "Ended"), sessions)


def _attempts(figures: Figures) -> Iterator[str]:
    if len(figures.attempts) < 2:
        return
    yield "## Attempts"
    yield markdown_table(("Attempt", "Candidates", "Accepted"), [(str(attempt), *counts) for attempt, *counts in figures.attempts])
    rows = [
        (one.fate, one.asked_again, one.accepted, percent(one.accepted / one.asked_again), one.calls, usd(one.cost), _per_recovered(one))
        for one in figures.recoveries
    ]
    yield markdown_table(("Asked again for", "Times", "Accepted", "Recovered", "Calls", "Cost", "Per recovered"), rows)


def _per_recovered(one: Recovery) -> str:
    return usd(one.per_accepted) if one.accepted else "–"


def _pairs(figures: Figures) -> Iterator[str]:
    if not figures.pairs:
        return
    pairs = figures.pairs
    yield "## Preference pairs"
    yield (
        f"{pairs.made:,} made; the longer answer wins in {percent(pairs.longer_wins)}; "
        f"the chosen one is {longer(pairs.median_difference)} (median)."
    )
    sources = [(name, count, UNKNOWN if margin is None else f"{margin:g}") for name, count, margin in pairs.sources]
    yield markdown_table(("Source", "Pairs", "Median margin"), sources)
    yield markdown_table(("Source", "Dropped because", "Pairs"), pairs.dropped)


def _packed(packed: Packed) -> str:
    fill = packed.tokens / max(1, packed.rows * packed.max_length)
    return markdown_table(
        ("", ""),
        [
            ("Tokenizer", packed.tokenizer),
            ("Samples", f"{packed.samples:,}, and {packed.too_long:,} too long for a row"),
            ("Rows", f"{packed.rows:,} of {packed.max_length:,} tokens, {percent(fill)} full"),
            ("Tokens", f"{packed.tokens:,}, of which {packed.loss_tokens:,} are trained on"),
        ],
    )


def _to_read(figures: Figures) -> Iterator[str]:
    if not figures.reading.samples:
        return
    yield "## Samples to read"
    yield "Drawn at random over topics, strategies and reasons. No figure replaces reading them."
    for outcome in figures.reading.samples:
        yield from _outcome(outcome)
    yield "## An example of each rejection"
    for fate, outcomes in figures.reading.examples:
        yield f"### {markdown(fate)}"
        for outcome in outcomes[:1]:
            yield from _outcome(outcome)


def _outcome(outcome: Outcome) -> Iterator[str]:
    failure = outcome.failure
    fate = "accepted" if failure is None else f"rejected: {failure.gate}/{failure.reason}"
    detail = f" ({failure.detail})" if failure and failure.detail else ""
    place = f"{outcome.task.topic or 'no topic'}, {outcome.task.strategy}, attempt {outcome.task.attempt + 1}"
    yield f"**{markdown(fate)}**{markdown(detail)} · {markdown(place)} · `{markdown(outcome.item.id)}`"
    if isinstance(outcome.item, Malformed):
        yield fenced(cut(outcome.item.text, _SHOWN)) if outcome.item.text else "No text was received."
        return
    yield fenced("\n\n".join(f"{message.role}: {cut(message.content, _SHOWN)}" for message in outcome.item.messages))


PLUGIN = QualityReport
