"""`sluice gates evaluate`: how right the gates are on labelled data of your own, or on what you reviewed of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gen import plugins
from gen.errors import InputError, RecipeError
from gen.evaluation.counts import Confusion, Share
from gen.evaluation.labelled import Columns, Item, read_labelled, reviewed_items
from gen.evaluation.measure import Candidate, Decisions, Figures, decide, decided, figures
from gen.evaluation.thresholds import MIN_ITEMS, Suggestion, suggestions
from gen.files import write_jsonl
from gen.markup import visible
from gen.recipe import DEFAULT_GATES, Recipe, load, parse
from gen.run_folder import open_ledger

_PROGRESS_EVERY = 200
_IDS_SHOWN = 5
_RULES = {"best_f1": "best F1", "few_false_positives": "few false positives"}


@dataclass(frozen=True, slots=True)
class _Measured:
    items: Sequence[Item]
    gates: Sequence[Candidate]
    decisions: Decisions
    unreadable: int = 0


def command(
    labelled: Annotated[Path, typer.Argument(metavar="LABELLED|RUN", help="A dataset with a label column, or a reviewed run's folder.")],
    gates: Annotated[str, typer.Option(help="Measure these gates, names separated by commas, with their defaults.")] = "",
    recipe: Annotated[Path | None, typer.Option(help="Measure the gates of this recipe.")] = None,
    label: Annotated[str, typer.Option(help="The column with the label; else keep, duplicate or label.")] = "",
    rejected_as: Annotated[str, typer.Option(help="The label's values that mean it ought to be rejected, separated by commas.")] = "",
    gate_column: Annotated[str, typer.Option(help="The column that says which gate a bad record is for.")] = "gate",
    reason_column: Annotated[str, typer.Option(help="The column that says for which reason.")] = "reason",
    pair: Annotated[str, typer.Option(help="The two columns of a pair of texts.")] = "a,b",
    most_false_positives: Annotated[float, typer.Option(min=0, max=1, help="The share that the second suggestion keeps to.")] = 0.01,
    suggest: Annotated[bool, typer.Option("--suggest/--no-suggest", help="Look for better thresholds.")] = True,
    out: Annotated[Path | None, typer.Option(help="Write the records that were decided wrongly to this JSON Lines file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Tell how right the gates are on labelled data: precision, recall, F1 and the share of good records rejected, with 95 % intervals.

    A label is `keep: true|false` (or `label: keep|reject`); `gate` and `reason` may say what a bad record ought to be rejected for. Pairs
    (`a`, `b`, `duplicate: true|false`) measure the gates against duplicates. Of a run the samples judged by `sluice review` are taken.
    """
    if recipe is not None and gates:
        raise InputError("give --recipe or --gates, not both")
    one, comma, other = (part.strip() for part in pair.partition(","))
    if not (one and comma and other):
        raise InputError(f"--pair {pair!r}: name two columns, as in --pair a,b")
    columns = Columns(label, _split(rejected_as), gate_column, reason_column, (one, other))
    chain = _of_recipe(load(recipe)) if recipe is not None else _named(gates) if gates else []
    measured = _of_run(labelled, chain) if labelled.is_dir() else _of_file(labelled, chain, columns, live=_live(as_json))
    found = figures(measured.items, measured.decisions)
    better = list(_suggested(measured, most_false_positives, live=_live(as_json))) if suggest else []
    if out is not None:
        write_jsonl(out, _mistakes(measured.items, found))
    if as_json:
        print(json.dumps(_as_json(measured, found, better), ensure_ascii=False))
    else:
        print("\n".join(_told(measured, found, better, most_false_positives)))


def _of_file(file: Path, chain: list[Candidate], columns: Columns, *, live: bool) -> _Measured:
    read = read_labelled(file, columns)
    if not read.items:
        raise InputError(f"{file}: no labelled record in it{_unread(read.unreadable)}")
    chain = chain or _named(",".join(DEFAULT_GATES))
    chain = [one for one in chain if not getattr(plugins.find("gates", one.name), "reads_scores", False)]
    if all(item.before is not None for item in read.items):
        chain = [one for one in chain if hasattr(plugins.find("gates", one.name), "remember")]
    if not chain:
        raise InputError("none of these gates can be measured on this: pairs are for gates against duplicates, a judge is not asked here")
    decisions = decide(read.items, chain, told=_progress("judged", len(read.items)) if live else lambda _: None)
    return _Measured(read.items, chain, decisions, sum(read.unreadable.values()))


def _of_run(run: Path, chain: list[Candidate]) -> _Measured:
    """The reviewed samples, by the verdicts on record; by what the gates named say now where some are named."""
    ledger = open_ledger(run, to_read=True)
    with closing(ledger):
        text = ledger.fact("recipe")
        if text is None:
            raise InputError(f"{run} has not been run yet: it knows no recipe")
        own = _of_recipe(parse(text, run / "recipe.yaml"))
        items, outcomes = reviewed_items(ledger, [one.name for one in own])
    if not items:
        raise InputError(f"{run}: nobody has reviewed a sample of it yet: `sluice review {run}` asks")
    if chain:
        return _Measured(items, chain, decide(items, chain))
    return _Measured(items, own, decided(items, outcomes, [one.name for one in own]))


def _suggested(measured: _Measured, most: float, *, live: bool) -> Iterator[Suggestion]:
    for number, gate in enumerate(measured.gates):
        if live:
            _progress("thresholds", len(measured.gates))(number + 1)
        yield from suggestions(measured.items, gate, most_false_positives=most)
    if live:
        print("\r\033[K", end="", file=sys.stderr)


def _of_recipe(recipe: Recipe) -> list[Candidate]:
    lines = [(line.name, {key: value for key, value in line.options.items() if key != "mode"}) for line in recipe.config.gates]
    return [Candidate(name, options) for name, options in lines]


def _named(names: str) -> list[Candidate]:
    chain = [Candidate(name, {}) for name in _split(names)]
    try:
        for one in chain:
            plugins.find("gates", one.name)
    except RecipeError as error:
        raise InputError(f"--gates: {error}") from error
    try:
        for one in chain:
            one.build()
    except RecipeError as error:
        raise InputError(f"--gates: {error}; options are given in a recipe, by --recipe") from error
    return chain


def _told(measured: _Measured, found: Sequence[Figures], better: Sequence[Suggestion], most: float) -> Iterator[str]:
    bad = sum(not item.keep for item in measured.items)
    unread = f"; {measured.unreadable} lines could not be read" if measured.unreadable else ""
    good = len(measured.items) - bad
    yield f"{len(measured.items)} labelled: {bad} ought to be rejected, {good} kept{unread}; 95 % intervals in brackets"
    width = max(len(row.name) for one in found for row in (one, *one.reasons)) + 2
    yield f"{'gate':<{width}}{'bad':>6}{'good':>7}  {'precision':<21}{'recall':<21}{'F1':<21}{'good rejected':<21}"
    for one in found:
        yield _line(one, one.name, width)
        yield from (_line(row, f"  {row.name.partition('/')[2]}", width) for row in one.reasons)
    if any(not one.attributed for one in found[1:]):
        yield "~ no label names this gate: its recall counts all that is bad, other gates' business too"
    wrong = [(one.name, kind, ids) for one in found[1:] for kind, ids in (("false positives", one.false_positives),) if ids]
    for name, kind, ids in wrong:
        more = f" and {len(ids) - _IDS_SHOWN} more (--out writes all)" if len(ids) > _IDS_SHOWN else ""
        yield f"{name}, {kind}: {', '.join(visible(one)[:60] for one in ids[:_IDS_SHOWN])}{more}"
    if better:
        yield f"thresholds for these records, once with at most {most:.1%} of the good rejected; expected: by cross-validation, on others"
    for each in better:
        yield from _suggestion(each)
    if not better and measured.gates:
        yield f"no threshold suggested: no gate here has one that finds any, and {MIN_ITEMS} good and {MIN_ITEMS} bad records of its own"


def _suggestion(one: Suggestion) -> Iterator[str]:
    if one.value == one.current:
        yield f"  {one.gate}: {one.option}: {one.value} as it is, for {_RULES[one.rule]}"
        return
    unset = "no bound" if one.current is None else one.current
    yield f"  {one.gate}: {one.option}: {one.value} instead of {unset}, for {_RULES[one.rule]}"
    for name, counts in (("expected", one.expected), ("on these", one.chosen_on), ("now", one.present)):
        rate, recall = _shown(counts.false_positive_rate), _shown(counts.recall)
        yield f"      {name:<9} F1 {_shown(counts.f1)}, recall {recall}, good rejected {rate}"


def _line(one: Figures, name: str, width: int) -> str:
    """A reason that no label names has no recall: nobody knows what it missed."""
    counts, of_reason = one.counts, "/" in one.name
    unknown = of_reason and not one.attributed
    mark = "" if one.attributed or of_reason else "~"
    shares = (counts.precision, None if unknown else counts.recall, None if unknown else counts.f1, counts.false_positive_rate)
    cells = [_shown(share) + (mark if place in (1, 2) and share else "") for place, share in enumerate(shares)]
    return (
        f"{name:<{width}}{'' if unknown else counts.positives:>6}{counts.negatives:>7}  {''.join(f'{cell:<21}' for cell in cells)}".rstrip()
    )


def _shown(share: Share | None) -> str:
    return "-" if share is None else f"{share.value:.3f} [{share.low:.3f}–{share.high:.3f}]"


def _mistakes(items: Sequence[Item], found: Sequence[Figures]) -> Iterator[dict[str, Any]]:
    """One row per wrong decision, gate by gate, with the record's texts."""
    by_id = {item.id: item for item in items}
    for one in found[1:]:
        for kind, ids in (("false_positive", one.false_positives), ("false_negative", one.false_negatives)):
            for name in ids:
                item = by_id[name]
                both = (*(item.before.messages if item.before else ()), *item.sample.messages)
                messages = [{"role": message.role, "content": message.content} for message in both]
                labels = {"keep": item.keep, "labelled_gate": item.gate, "labelled_reason": item.reason}
                yield {"id": name, "gate": one.name, "error": kind} | labels | {"messages": messages}


def _as_json(measured: _Measured, found: Sequence[Figures], better: Sequence[Suggestion]) -> dict[str, Any]:
    return {
        "items": len(measured.items),
        "unreadable": measured.unreadable,
        "figures": [_figures(one) for one in found],
        "suggestions": [
            {
                "gate": one.gate,
                "option": one.option,
                "rule": one.rule,
                "current": one.current,
                "value": one.value,
                "expected": _counts(one.expected),
                "chosen_on": _counts(one.chosen_on),
                "present": _counts(one.present),
            }
            for one in better
        ],
    }


def _figures(one: Figures) -> dict[str, Any]:
    wrong = {"false_positives": list(one.false_positives), "false_negatives": list(one.false_negatives)}
    rest = {"attributed": one.attributed, "left_out": one.others, "reasons": [_figures(row) for row in one.reasons]}
    unknown = {"recall": None, "f1": None} if "/" in one.name and not one.attributed else {}
    return {"name": one.name} | _counts(one.counts) | unknown | {"ids": wrong} | rest


def _counts(one: Confusion) -> dict[str, Any]:
    counted = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    shares = ("precision", "recall", "f1", "false_positive_rate")
    told: dict[str, Any] = {name: getattr(one, name) for name in counted}
    for name in shares:
        share: Share | None = getattr(one, name)
        told[name] = None if share is None else {"value": share.value, "low": share.low, "high": share.high}
    return told


def _progress(what: str, of: int) -> Any:
    def show(done: int) -> None:
        if done % _PROGRESS_EVERY == 0 or done == of or what != "judged":
            print(f"\r\033[K{what}: {done:,} of {of:,}", end="", file=sys.stderr, flush=True)

    return show


def _live(as_json: bool) -> bool:
    return sys.stderr.isatty() and not as_json


def _unread(unreadable: Any) -> str:
    return f"; {', '.join(f'{count} {reason}' for reason, count in sorted(unreadable.items()))}" if unreadable else ""


def _split(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
