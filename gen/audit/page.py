"""audit.html: the audit on one page without a script, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log10

from gen.audit.duplicates import Family
from gen.audit.findings import Finding, findings, where
from gen.audit.measures import Audit, Balance, Lengths
from gen.audit.targets import Place, place_text
from gen.audit.texts import CONTRADICTIONS_SHOWN, LEAKS_SHOWN, MEMBERS_SHOWN, Said
from gen.exporters.report.page import Card, open_table, page, picture, section
from gen.figures.wording import many, percent
from gen.markup import cut, html
from gen.plots import Bar, Ridge, Tick, bars, columns, ridge

_BARS, _CELL = 15, 220
_SIMULATED = "The simulator wrote part of this: it is for trying the tool out, never for training a model."


def audit_page(title: str, audit: Audit, said: Mapping[Place, Said]) -> str:
    """The whole document. `said` holds the texts that it quotes."""
    found = findings(audit)
    top = _header(title, audit) + _tiles(audit, found)
    return page(f"Audit of {title}", top, [_findings(audit, found), *_shape(audit), *_content(audit), *_to_read(audit, said)])


def _header(title: str, audit: Audit) -> str:
    files = ", ".join(f"{target.name} {count:,}" for target, count in zip(audit.targets, audit.survey.records, strict=True))
    banner = f'<p class="simulated" role="alert">{html(_SIMULATED)}</p>' if audit.survey.simulated else ""
    line = f"{many(audit.records, 'record')} ({files})" if len(audit.targets) > 1 else many(audit.records, "record")
    return f'<header><h1>Audit of {html(title)}</h1><p class="quiet">{html(line)} · {html(audit.tokens_by)}</p></header>{banner}'


def _tiles(audit: Audit, found: Sequence[Finding]) -> str:
    issues = sum(one.issue for one in found)
    unfit = sum(audit.count(name) for name in ("unreadable", "structure", "roles", "empty"))
    near = audit.duplicates.near
    scanned = audit.count("pii") + audit.count("secrets")
    tiles = [
        _tile("findings", f"{issues}" if issues else "none", "issues" if issues != 1 else "issue", bad=issues > 0),
        _tile("findings", f"{audit.records:,}", "records"),
        _tile("findings", f"{unfit:,}", "not well-formed", bad=unfit > 0),
        _tile(
            "duplicates", percent(near / audit.records), "near-duplicates", bad=any(one.code == "duplicates" and one.issue for one in found)
        ),
        _tile("tokens", f"{audit.tokens.median:,}", "tokens, median" + (" (estimated)" if audit.estimated else "")),
        _tile("findings", f"{scanned:,}", "secrets or personal data", bad=scanned > 0),
    ]
    if len(audit.targets) > 1:
        tiles.append(
            _tile("leaks", f"{audit.duplicates.leaking_families:,}", "leaks between splits", bad=audit.duplicates.leaking_families > 0)
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(anchor: str, value: str, label: str, *, bad: bool = False) -> str:
    return f'<a class="{"tile bad" if bad else "tile"}" href="#{anchor}"><b>{html(value)}</b><span>{html(label)}</span></a>'


def _findings(audit: Audit, found: Sequence[Finding]) -> Card:
    caption = "Issues should be mended before training; notes are for a person to read."
    if not found:
        return section("findings", "Findings", caption, "<p>Nothing was found.</p>", wide=True)
    return section("findings", "Findings", caption, "".join(_finding(one, audit) for one in found), wide=True)


def _finding(one: Finding, audit: Audit) -> str:
    kind = '<b class="lost">issue</b>' if one.issue else "<b>note</b>"
    at = where(one, audit)
    lines = f"{html(one.text)}{f'<br>at {html(at)}' if at else ''}"
    cure = f'<br><span class="quiet">mend: {_code(one.cure)}</span>' if one.cure else ""
    return f'<div class="sample"><p class="fate">{kind}</p><p>{lines}{cure}</p></div>'


def _code(text: str) -> str:
    """Our own sentence as HTML, what stands between backticks as code."""
    return "".join(f"<code>{html(part)}</code>" if at % 2 else html(part) for at, part in enumerate(text.split("`")))


def _shape(audit: Audit) -> Iterator[Card]:
    ridges = [_ridge("prompts", audit.prompts, audit), _ridge("replies", audit.replies, audit)]
    svg = ridge("Words per prompt and reply", ridges, _ticks(audit), "words, logarithmic")
    rows = [_row("prompts", audit.prompts), _row("replies", audit.replies), _row(audit.tokens_by, audit.tokens)]
    head = ("", "mean", "5 %", "median", "95 %", "longest")
    caption = "Good: one hill each. The line below spans the middle 90 %, its mark is the median."
    yield section("lengths", "Lengths", caption, picture(svg, head, rows))
    yield _tokens(audit)
    yield _bars_card(
        "turns",
        "Turns",
        "Answers in a record.",
        [(f"{turns}", count) for turns, count in sorted(audit.survey.turns.items())],
        audit.records,
    )
    roles = [(order or "no message", count) for order, count in _ranked(audit.survey.roles)]
    yield _bars_card("roles", "Roles", "Good: few orders, each ending with the assistant.", roles, audit.records)


def _tokens(audit: Audit) -> Card:
    rows = [Bar(f"{last:,}", count, note=f"{first:,} to {last:,}: {count:,}") for first, last, count in audit.bins]
    limit = next((float(at + 1) for at, (_, last, _) in enumerate(audit.bins) if last == audit.max_length), None)
    numbers = [(f"{first:,} to {last:,}", count) for first, last, count in audit.bins]
    if audit.max_length:
        caption = f"{audit.truncated:,} records ({percent(audit.truncated / audit.records)}) are longer than {audit.max_length:,}."
    else:
        caption = f"95 % have up to {audit.tokens.p95:,}; `--max-length` says how many a bound would cut."
    legend = '<p class="legend"><span><i class="dash"></i>max length</span></p>' if limit is not None else ""
    svg = columns("Tokens per record", rows, f"up to so many {audit.tokens_by}", limit)
    return section("tokens", "Tokens", caption, picture(svg, ("Tokens", "Records"), numbers, legend=legend))


def _content(audit: Audit) -> Iterator[Card]:
    survey = audit.survey
    yield _bars_card(
        "languages", "Languages of the replies", "und: code, numbers or too little to tell.", _ranked(survey.languages), audit.records
    )
    yield from map(_balance, audit.balances)
    if survey.pairs.count:
        yield _pairs(audit)
    yield _families(audit)
    caption = "Good: no opening stands out."
    yield _bars_card("prompt-openings", "First words of the prompts", caption, _ranked(survey.prompt_openings), audit.records)
    yield _bars_card("reply-openings", "First words of the replies", caption, _ranked(survey.reply_openings), audit.records)


def _balance(one: Balance) -> Card:
    head = f"{len(one.values):,} values, the most frequent {one.ratio:,.1f} times as often as the rarest."
    values = list(one.values)
    if len(values) > _BARS:
        values = [*values[: _BARS - 5], *values[-5:]]
        head += f" Shown: the first {_BARS - 5} and the last 5."
    return _bars_card(f"field-{one.name}", f"Balance of {one.name}", head, values, one.total)


def _pairs(audit: Audit) -> Card:
    pairs = audit.survey.pairs
    equal = pairs.count - pairs.longer - pairs.shorter
    caption = (
        f"{many(pairs.count, 'pair')}; the chosen answer has {abs(pairs.median_difference):,} words"
        f" {'more' if pairs.median_difference >= 0 else 'fewer'} (median). Good: length does not decide."
    )
    rows = [("chosen is longer", pairs.longer), ("as long", equal), ("chosen is shorter", pairs.shorter)]
    return _bars_card("pairs", "Preference pairs by length", caption, rows, pairs.count, noun="Pairs")


def _families(audit: Audit) -> Card:
    sizes = [(f"{size} records", count) for size, count in audit.duplicates.sizes]
    caption = "Prompts with at least 70 % of their content words in common. Good: few families, and small ones."
    return _bars_card("duplicates", "Near-duplicate families by size", caption, sizes, sum(count for _, count in sizes), noun="Families")


def _to_read(audit: Audit, said: Mapping[Place, Said]) -> Iterator[Card]:
    families = [family for family in audit.duplicates.largest if any(place in said for place in family.places)]
    if families:
        caption = f"Of each of the largest families up to {MEMBERS_SHOWN} members, as they stand in the files."
        yield section("largest", "The largest families", caption, "".join(_family(one, audit, said) for one in families), wide=True)
    if len(audit.targets) > 1:
        yield _leaks(audit, said)
    yield _contradictions(audit, said)


def _family(family: Family, audit: Audit, said: Mapping[Place, Said]) -> str:
    shown = [place for place in family.places[:MEMBERS_SHOWN] if place in said]
    rows = [(place_text(place, audit.targets), cut(said[place].prompt, _CELL), cut(said[place].reply, _CELL)) for place in shown]
    rest = f", {family.size - len(rows):,} more not shown" if family.size > len(rows) else ""
    return f"<h3>{many(family.size, 'record')}{rest}</h3>{open_table(('Where', 'Prompt', 'Answer'), rows)}"


def _leaks(audit: Audit, said: Mapping[Place, Said]) -> Card:
    rows = [
        (place_text(place, audit.targets), cut(said[place].prompt, _CELL))
        for leak in audit.duplicates.leaks[:LEAKS_SHOWN]
        for place in (leak.learnt, leak.held)
        if place in said
    ]
    caption = "Records of one split that ask nearly what another split asks. Good: none." if rows else "None."
    return section("leaks", "Leaks between splits", caption, open_table(("Where", "Prompt"), rows) if rows else "", wide=True)


def _contradictions(audit: Audit, said: Mapping[Place, Said]) -> Card:
    rows = [
        (f"{place_text(place, audit.targets)} ({one.kind})", cut(said[place].prompt, _CELL), cut(said[place].reply, _CELL))
        for one in audit.contradictions.named[:CONTRADICTIONS_SHOWN]
        for place in (one.first, one.second)
        if place in said
    ]
    count = audit.contradictions.count
    caption = (
        f"{count:,} answers contradict an earlier one to the same question, in number, in yes and no or in what they choose. Read both."
        if count
        else "None."
    )
    content = open_table(("Where", "Question", "Answer"), rows) if rows else ""
    return section("contradictions", "Answers that contradict each other", caption, content, wide=True)


def _bars_card(anchor: str, title: str, caption: str, rows: Sequence[tuple[str, int]], whole: int, *, noun: str = "Records") -> Card:
    """Counts as bars, the shares those of `whole`."""
    svg = bars(title, [Bar(name, count, note=f"{count:,} ({percent(count / max(1, whole))})") for name, count in rows[:_BARS]])
    return section(anchor, title, caption, picture(svg, ("", noun), rows[:100]) if rows else "<p>None.</p>")


def _ridge(label: str, lengths: Lengths, audit: Audit) -> Ridge:
    low, middle, high = (audit.position(value) for value in (lengths.low, lengths.median, lengths.p95))
    return Ridge(label, lengths.heights, low, middle, high, f"median {lengths.median:,}")


def _row(name: str, lengths: Lengths) -> tuple[str | float, ...]:
    return name, round(lengths.mean, 1), lengths.low, lengths.median, lengths.p95, lengths.longest


def _ticks(audit: Audit) -> list[Tick]:
    return [Tick(audit.position(10**power), f"{10**power:,}") for power in range(int(log10(audit.axis)) + 1)]


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:100]
