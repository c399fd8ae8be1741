"""The figures about the work: cost, attempts, pairs, packing, and how the set was made."""

from __future__ import annotations

from collections.abc import Iterator

from gen.card import blanks, stated
from gen.exporters.report.page import KEPT_AND_LOST, Card, open_table, picture, section
from gen.figures.counts import Recovery
from gen.figures.measures import CostLine, Pairs, interval
from gen.figures.whole import Figures
from gen.figures.wording import UNKNOWN, gate_options, longer, many, percent, total_cost, usd
from gen.markup import html
from gen.plots import Bar, Dot, bars, columns, dots, line
from gen.record import Packed, RunRecord


def work(record: RunRecord, figures: Figures) -> Iterator[Card]:
    """One card per figure that has numbers."""
    yield _cost(figures)
    if len(figures.attempts) > 1:
        yield _attempts(figures)
    if figures.pairs:
        yield _pairs(figures.pairs)
    if record.packed:
        yield _packing(record.packed)
    yield _card(record)
    yield _made(record, figures)


def _cost(figures: Figures) -> Card:
    cost = figures.cost
    per = f"{cost.calls_per_accepted:.1f} replies per accepted sample. " if cost.calls_per_accepted else ""
    caption = (
        f"Whole cost {total_cost(figures)}. {per}Good: a line that settles; one that rises says that the last samples were hard to get."
    )
    content = ""
    if len(cost.curve) > 1:
        svg = line("Cost per accepted sample as the run went on", cost.curve, x_axis="accepted samples", y_axis="USD per accepted so far")
        numbers = [(at, usd(value)) for at, value in cost.curve]
        content += f"<h3>USD per accepted, so far</h3>{picture(svg, ('Accepted', 'USD per accepted'), numbers)}"
    for title, lines in (("By model", cost.by_model), ("By step", cost.by_step)):
        content += f"<h3>{title}</h3>{_cost_bars(title, lines)}" if lines else ""
    return section("cost", "Cost", caption, content)


def _cost_bars(title: str, lines: tuple[CostLine, ...]) -> str:
    """By cost where all prices are known, else by tokens."""
    priced = all(one.cost is not None for one in lines) and any(one.cost for one in lines)
    rows = [
        Bar(one.name, (one.cost or 0.0) if priced else one.input_tokens + one.output_tokens, note=usd(one.cost) if priced else _tokens(one))
        for one in lines[:12]
    ]
    numbers = [(one.name, one.calls, one.input_tokens, one.output_tokens, usd(one.cost)) for one in lines]
    return picture(
        bars(f"{'Cost' if priced else 'Tokens'} {title.lower()}", rows), ("Name", "Replies", "Tokens in", "Tokens out", "Cost"), numbers
    )


def _tokens(one: CostLine) -> str:
    return f"{one.input_tokens + one.output_tokens:,} tokens"


def _attempts(figures: Figures) -> Card:
    rows = [Bar(f"attempt {attempt}", kept, asked - kept, f"{kept:,} of {asked:,}") for attempt, asked, kept in figures.attempts]
    caption = (
        "What asking again brought. Good: later attempts that are few and often succeed; "
        "a reason that never recovers is not worth asking again."
    )
    numbers = [(str(attempt), asked, kept) for attempt, asked, kept in figures.attempts]
    content = picture(bars("Accepted by attempt", rows), ("Attempt", "Candidates", "Accepted"), numbers, legend=KEPT_AND_LOST)
    if figures.recoveries:
        marks = [
            Dot(
                one.fate,
                one.accepted / one.asked_again,
                *interval(one.accepted, one.asked_again),
                f"{one.accepted:,} of {one.asked_again:,}",
            )
            for one in figures.recoveries[:15]
        ]
        svg = dots("Recovered by reason", marks, "accepted when asked again, with 95 % interval")
        table = [(one.fate, one.asked_again, one.accepted, one.calls, usd(one.cost), _per_recovered(one)) for one in figures.recoveries]
        head = ("Reason", "Asked again", "Accepted", "Calls", "Cost", "Per recovered")
        content += f"<h3>Recovered, by the reason of the rejection</h3>{picture(svg, head, table)}"
    return section("attempts", "Attempts", caption, content)


def _pairs(figure: Pairs) -> Card:
    caption = (
        f"{figure.made:,} pairs; the longer answer wins in {percent(figure.longer_wins)}, "
        f"the chosen one is {longer(figure.median_difference)} (median). Good: clear margins, and length that does not decide."
    )
    content = ""
    if figure.margins:
        margins = [Bar(f"{margin:g}", count, note=f"{count:,} pairs") for margin, count in _few(figure.margins)]
        numbers = [(f"{margin:g}", count) for margin, count in figure.margins]
        content += picture(columns("Margins of the pairs", margins, "margin: chosen minus rejected score"), ("Margin", "Pairs"), numbers)
    sources = [(name, count, UNKNOWN if margin is None else f"{margin:g}") for name, count, margin in figure.sources]
    content += open_table(("Source", "Pairs", "Median margin"), sources)
    if figure.dropped:
        content += open_table(("Source", "Dropped because", "Pairs"), figure.dropped)
    return section("pairs", "Preference pairs", caption, content)


def _few(margins: tuple[tuple[float, int], ...]) -> list[tuple[float, int]]:
    """The margins themselves, or rounded to whole steps when there are too many to draw."""
    if len(margins) <= 20:
        return list(margins)
    step = max(margins[-1][0] - margins[0][0], 1e-9) / 12
    sums: dict[float, int] = {}
    for margin, count in margins:
        at = round(margins[0][0] + step * int((margin - margins[0][0]) / step), 2)
        sums[at] = sums.get(at, 0) + count
    return list(sums.items())


def _packing(packed: Packed) -> Card:
    fill = packed.tokens / max(1, packed.rows * packed.max_length)
    caption = "Samples joined into rows of equal length. Good: rows nearly full, nothing too long."
    rows = [
        ("Tokenizer", packed.tokenizer),
        ("Rows", f"{packed.rows:,} of {packed.max_length:,} tokens"),
        ("Full", percent(fill)),
        ("Samples packed", f"{packed.samples:,}"),
        ("Too long", f"{packed.too_long:,}"),
        ("Tokens trained on", f"{packed.loss_tokens:,} of {packed.tokens:,}"),
    ]
    if packed.longest:
        mean = packed.tokens / max(1, packed.samples)
        per = f"mean {mean:,.0f}, median {packed.median:,}, 95 % {packed.p95:,}, longest {packed.longest:,}"
        cut_off = percent(packed.too_long / max(1, packed.samples + packed.too_long))
        rows += [("Tokens of a sample", per), (f"Over {packed.max_length:,}", f"{cut_off}, left out whole")]
    svg = bars("Rows filled", [Bar("rows", fill, 1 - fill, percent(fill))])
    return section("packing", "Packing", caption, svg + open_table(("", ""), rows))


def _card(record: RunRecord) -> Card:
    missing = set(blanks(record.card))
    names = ("owner", "owner_approved", "reviewer", "reviewer_approved", "license", "usage_rights", "sensitivity", "retention", "deletion")
    rows = [(name.replace("_", " "), stated(record.card, name)) for name in names]
    caption = f"Blank: {many(len(missing), 'field')}. Good: none." if missing else "Every field is stated."
    splits = list(dict.fromkeys(split for export in record.exports for split in export.rows))
    content = open_table(("Field", "Stated"), rows)
    if splits:
        exports: list[tuple[str | int, ...]] = [
            (f"{export.folder}/", *(export.rows.get(split, 0) for split in splits)) for export in record.exports
        ]
        content += f"<h3>Splits, kept together by {html(record.split_by)}</h3>{open_table(('Folder', *splits), exports)}"
    return section("card", "Data card and splits", caption, content)


def _made(record: RunRecord, figures: Figures) -> Card:
    content = open_table(("Model", "Provider", "Id"), [(one.name, one.provider, one.model) for one in record.models])
    content += "<h3>Gates</h3>" + open_table(("Gate", "Options"), [(gate.name, gate_options(gate)) for gate in record.gates])
    prompts = [tuple(name.partition("@")[::2]) for name in record.prompts]
    content += f"<details><summary>{many(len(prompts), 'prompt')}</summary>{open_table(('Prompt', 'Hash'), prompts)}</details>"
    sessions = [
        (
            one.started,
            f"{one.seconds:,.0f} s",
            one.requests,
            one.cache_hits,
            one.retries,
            one.rate_limited,
            usd(one.cost),
            one.stop.replace("_", " "),
        )
        for one in record.sessions
    ]
    head = ("Started", "Took", "Requests", "Cache hits", "Retries", "429s", "Paid", "Ended")
    content += f"<details><summary>{many(len(sessions), 'session')}</summary>{open_table(head, sessions)}</details>"
    simulated = " Replies came from the simulator." if figures.simulated else ""
    caption = f"Recipe {record.recipe_hash}, seed {record.seed}, Sluice {record.version}, written on {record.date}.{simulated}"
    return section("made", "How this was made", caption, content)


def _per_recovered(one: Recovery) -> str:
    return usd(one.per_accepted) if one.accepted else "–"
