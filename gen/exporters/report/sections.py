"""The figures about the texts: funnel, coverage, lengths, scores, novelty, words, languages."""

from __future__ import annotations

from collections.abc import Iterator

from gen.exporters.report.page import KEPT_AND_LOST, Card, open_table, picture, section
from gen.figures.counts import Grid, shown_topics
from gen.figures.measures import Lengths, Scores, own_figures
from gen.figures.whole import Figures
from gen.figures.wording import CATEGORY_COLUMNS, categories, percent
from gen.plots import Bar, Cell, Panel, Ridge, Tick, bars, columns, heat, lines, ridge

_NO_TOPIC = "(no topic)"
_MOST_PANELS = 24
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


def sections(figures: Figures) -> Iterator[Card]:
    """One card per figure that has numbers, in the order in which they should be read."""
    yield _funnel(figures)
    yield _coverage(figures.coverage)
    if figures.lengths:
        yield _lengths(figures.lengths)
    yield from (_scores(figures, one, place) for place, one in enumerate(own_figures(figures.scores)))
    yield _table(figures)
    if figures.novelty:
        yield _novelty(figures)
    if figures.openings:
        yield _openings(figures)
    if figures.reading.languages:
        yield _languages(figures)
    if figures.duplicates:
        yield _duplicates(figures)


def _funnel(figures: Figures) -> Card:
    rows = [Bar("candidates", figures.candidates, note=f"{figures.candidates:,}")]
    rows += [Bar(step.gate, step.kept, step.rejected, f"{step.kept:,} kept, {step.rejected:,} out") for step in figures.funnel]
    numbers = [
        (step.gate, step.entered, step.rejected, step.kept, ", ".join(f"{reason} {count:,}" for reason, count in step.reasons))
        for step in figures.funnel
    ]
    caption = (
        "Every candidate once: kept or rejected at the gate that decided its fate. "
        "Good: no single gate takes most of it, and none is there for nothing."
    )
    content = picture(
        bars("Candidates kept and rejected at each gate", rows),
        ("Gate", "Reached", "Rejected", "Kept", "Reasons"),
        numbers,
        legend=KEPT_AND_LOST,
    )
    return section("funnel", "Funnel", caption, content)


def _coverage(grid: Grid) -> Card:
    shown = shown_topics(grid)
    most = max(grid.accepted.values(), default=0) or 1
    cells = [[_cell(grid, topic, strategy, most) for strategy in grid.strategies] for topic in shown]
    svg = heat("Accepted samples by topic and strategy", [topic or _NO_TOPIC for topic in shown], grid.strategies, cells)
    rows = [
        (topic or _NO_TOPIC, strategy, grid.accepted.get((topic, strategy), 0), grid.asked.get((topic, strategy), 0))
        for topic in grid.topics
        for strategy in grid.strategies
    ]
    folded = f" Of {len(grid.topics):,} topics, the emptiest 20 and the fullest 10 are drawn." if len(shown) < len(grid.topics) else ""
    caption = f"Accepted samples. Good: no empty cell and even shades, unless shares were meant to differ.{folded}"
    return section("coverage", "Coverage", caption, picture(svg, ("Topic", "Strategy", "Accepted", "Candidates"), rows))


def _cell(grid: Grid, topic: str, strategy: str, most: int) -> Cell:
    accepted, asked = grid.accepted.get((topic, strategy), 0), grid.asked.get((topic, strategy), 0)
    wanted = (topic, strategy) in grid.wanted
    tip = f"{topic or _NO_TOPIC}, {strategy}: {accepted:,} accepted of {asked:,} candidates"
    return Cell(f"{accepted:,}" if wanted or accepted else "–", accepted / most, tip, hatched=wanted and not accepted)


def _table(figures: Figures) -> Card:
    rows = [
        (
            line.topic or _NO_TOPIC,
            line.strategy,
            line.accepted,
            line.candidates,
            percent(line.yielded),
            line.median_prompt_words,
            line.median_reply_words,
            (line.detail or line.stop).replace("_", " "),
        )
        for line in figures.table
    ]
    head = ("Topic", "Strategy", "Accepted", "Candidates", "Yield", "Prompt words", "Reply words", "Ended")
    table = open_table(head, rows)
    if len(rows) > 20:
        table = f"<details><summary>{len(rows):,} rows</summary>{table}</details>"
    return section("table", "Topics and strategies", "Medians are of accepted samples. Good: yields of a kind.", table, wide=True)


def _lengths(figure: Lengths) -> Card:
    rows = [
        Ridge(
            f"{one.strategy}, {one.part}",
            one.heights,
            figure.position(one.low),
            figure.position(one.middle),
            figure.position(one.high),
            f"median {one.middle:,}",
        )
        for one in figure.spreads
    ]
    ticks = [Tick(figure.position(at), f"{at // 1000}k" if at >= 1000 else str(at)) for at in _TICKS if figure.first <= at <= figure.last]
    numbers = [(one.strategy, one.part, one.count, one.low, one.middle, one.high) for one in figure.spreads]
    caption = "Accepted prompts and replies in words; the line spans 5 to 95 %. Good: wide hills; a needle means that all texts are alike."
    svg = ridge("Lengths of accepted prompts and replies", rows, _thinned(ticks), "words, logarithmic")
    return section("lengths", "Lengths", caption, picture(svg, ("Strategy", "Part", "Samples", "5 %", "Median", "95 %"), numbers))


def _thinned(ticks: list[Tick]) -> list[Tick]:
    """Ticks far enough apart to be read."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= 0.09:
            kept.append(tick)
    return kept


def _scores(figures: Figures, figure: Scores, place: int) -> Card:
    rows = [Bar(f"{value:g}", kept, lost, f"{kept:,} accepted, {lost:,} rejected") for value, kept, lost in figure.binned]
    content = picture(
        columns(f"Scores by {figure.judge}", rows, f"score by {figure.judge}", _limit(figure)),
        ("Score", "Accepted", "Rejected"),
        [(f"{value:g}", kept, lost) for value, kept, lost in figure.values],
        legend=KEPT_AND_LOST.replace("</p>", f'<span><i class="dash"></i>{figure.bounds}</span></p>') if figure.bounds else KEPT_AND_LOST,
    )
    parts = categories(figures.scores, figure.judge)
    content += open_table(CATEGORY_COLUMNS, parts) if parts else ""
    return section(f"scores-{place + 1}" if place else "scores", f"Scores by {figure.judge}", _about_scores(figure), content)


def _about_scores(figure: Scores) -> str:
    opinions = f"{figure.count:,} opinions, {figure.unreadable:,} unreadable"
    if figure.maximum is not None:
        return f"{opinions}. Good: nearly all of them far below the maximum."
    if not figure.graded:
        return f"{opinions}."
    ceiling = f"{percent(figure.at_ceiling)} at the highest value."
    bias = "" if figure.with_length is None else f" Correlation with the reply's length: {figure.with_length:+.2f}."
    return f"{opinions}; {ceiling}{bias} Good: several values in use, and no pull towards long replies."


def _limit(figure: Scores) -> float | None:
    """Where the dashed line stands: before the first column that reaches the minimum, or behind the last one within the maximum."""
    if figure.minimum is not None:
        return float(sum(value < figure.minimum for value, _, _ in figure.binned))
    if figure.maximum is not None:
        return float(sum(value <= figure.maximum for value, _, _ in figure.binned))
    return None


def _novelty(figures: Figures) -> Card:
    worst = sorted(figures.novelty, key=lambda one: (not one.saturated, one.points[-1][1]))[:_MOST_PANELS]
    place = {topic: at for at, topic in enumerate(figures.coverage.topics)}
    shown = sorted(worst, key=lambda one: place[one.topic])
    panels = [
        Panel(one.topic or _NO_TOPIC, one.points, f"last window {percent(one.points[-1][1])}", "saturated" if one.saturated else "")
        for one in shown
    ]
    svg = lines("Novelty by topic", panels, x_axis="accepted", y_axis="share of new word pairs", top=1.0)
    rows = [
        (one.topic or _NO_TOPIC, percent(one.points[0][1]), percent(one.points[-1][1]), "yes" if one.saturated else "")
        for one in figures.novelty
    ]
    folded = f" The {_MOST_PANELS} topics with the least are drawn." if len(shown) < len(figures.novelty) else ""
    caption = (
        "Share of the word pairs in accepted prompts that their topic had not seen before, window by window. "
        f"Good: a line that stays up; one that sinks says that the topic repeats itself.{folded}"
    )
    content = picture(svg, ("Topic", "First window", "Last window", "Saturated"), rows)
    return section("novelty", "Novelty as the run went on", caption, content, wide=True)


def _openings(figures: Figures) -> Card:
    rows = [Bar(words, count, note=f"{count:,} · {percent(share)}") for words, count, share in figures.openings]
    caption = "The commonest first three words of accepted prompts. Good: a long flat list; a few tall bars mean one mould."
    numbers = [(words, count, percent(share)) for words, count, share in figures.openings]
    content = picture(bars("Opening words of accepted prompts", rows), ("First words", "Prompts", "Share"), numbers)
    return section("words", "How prompts begin", caption, content)


def _languages(figures: Figures) -> Card:
    looked = figures.reading.looked_at
    rows = [Bar(code, count, note=f"{count:,} · {percent(count / looked)}") for code, count in figures.reading.languages[:20]]
    caption = f"Detected in {looked:,} accepted replies (und: too short or code; mixed: several). Good: the language asked for, alone."
    numbers = [(code, count) for code, count in figures.reading.languages]
    return section(
        "languages", "Languages", caption, picture(bars("Languages of accepted replies", rows), ("Language", "Replies"), numbers)
    )


def _duplicates(figures: Figures) -> Card:
    rows = [Bar(topic or _NO_TOPIC, asked - out, out, f"{out:,} of {asked:,}") for topic, asked, out in figures.duplicates[:20]]
    caption = (
        "Candidates rejected because they repeat another one, per topic. Good: few; many mean that the topic or its seeds are too narrow."
    )
    numbers = [(topic or _NO_TOPIC, asked, out) for topic, asked, out in figures.duplicates]
    legend = '<p class="legend"><span><i></i>other candidates</span><span><i class="lost"></i>duplicates</span></p>'
    content = picture(bars("Duplicates by topic", rows), ("Topic", "Candidates", "Duplicates"), numbers, legend=legend)
    return section("duplicates", "Duplicates", caption, content)
