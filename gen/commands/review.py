"""`sluice review`: judge a random sample of a run by hand, here or in a sheet."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.errors import InputError
from gen.figures.measures import interval
from gen.ledger import Ledger
from gen.markup import visible
from gen.outputs import write_all
from gen.parts import build_parts
from gen.recipe import Recipe, parse
from gen.review import MAX_NOTE, MAX_REASON, REASONS, draw, news, read_sheet, reviewed, write_sheet
from gen.run_folder import exclusive, kept_sources, open_ledger
from gen.types import Outcome, Review, Sample

_MAX_SHOWN = 6_000  # characters of one turn: more is read in a sheet


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    count: Annotated[int, typer.Option("--count", min=0, help="How many accepted samples to draw.")] = 30,
    rejected: Annotated[int, typer.Option(min=0, help="How many rejected ones to draw as well: they show what gates wrongly lose.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Another draw than the recipe's seed gives.")] = None,
    ids: Annotated[str, typer.Option(help="Just these samples, ids separated by commas: to put a label right.")] = "",
    sheet: Annotated[Path | None, typer.Option(help="Write the drawn samples as .csv or .jsonl to fill in elsewhere.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Read a filled sheet back.")] = None,
    reviewer: Annotated[str, typer.Option(help="Who judges; the login's name when left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Judge a random sample of a run: y keeps, n rejects with a reason, s skips, q ends. Run it again to go on where it ended.

    What is rejected leaves the run's exports; `sluice regenerate RUN --gate review` asks for it again, `sluice gates evaluate RUN`
    measures the gates on the labels. A later label puts an earlier one right; the history is kept.
    """
    if sheet is not None and labels is not None:
        raise InputError("give --sheet to write or --labels to read, not both")
    ledger = open_ledger(run)
    with exclusive(run), closing(ledger):
        recipe, before, started = _recipe(run, ledger), ledger.refused(), len(ledger.reviews())
        who = (reviewer or _login())[:MAX_REASON]
        blank = 0
        if labels is not None:
            known = (one.item.id for one in ledger.outcomes() if isinstance(one.item, Sample))
            filled = read_sheet(labels, known, reviewer=who, time=_now())
            ledger.add_reviews(news(filled.reviews, ledger.labels()))
            blank = filled.blank
        else:
            drawn = _named(ledger, ids) if ids else draw(ledger, accepted=count, rejected=rejected, seed=_seed(seed, recipe))
            if sheet is not None:
                write_sheet(sheet, drawn, ledger.labels())
            else:
                _ask_all(ledger, drawn, who, again=bool(ids))
        if ledger.refused() != before:
            write_all(ledger, recipe, build_parts(recipe, kept_sources(ledger)), run, lock_test=False)
        told = {"labelled": len(ledger.reviews()) - started, "blank": blank, "sheet": str(sheet or "") or None} | _standing(ledger)
    print(json.dumps(told) if as_json else "\n".join(_closing(run, told)))


def _ask_all(ledger: Ledger, drawn: Sequence[Outcome], who: str, *, again: bool) -> None:
    """Each drawn sample that has no label yet, one by one; a label is on disk before the next one is shown."""
    known = {} if again else ledger.labels()
    waiting = [one for one in drawn if one.item.id not in known]
    for place, outcome in enumerate(waiting, 1):
        print("\n".join(_shown(outcome, f"{place} of {len(waiting)}", ledger.labels())))
        told = _asked(outcome.item.id, who)
        if told is None:
            return
        if told:
            ledger.add_reviews(told)


def _asked(name: str, who: str) -> list[Review] | None:
    """What a person says of one sample: nothing for a skipped one, None to end."""
    while True:
        said = _line("keep it? [y]es, [n]o, [s]kip, [q]uit: ")
        if said is None or said in ("q", "quit"):
            return None
        if said in ("s", "skip", ""):
            return []
        if said in ("y", "yes"):
            return [Review(name, keep=True, reviewer=who, time=_now())]
        if said in ("n", "no"):
            reason = _line(f"reason ({', '.join(REASONS)}, or your own): ")
            note = None if reason is None else _line("note for the next attempt (Enter for none): ", lower=False)
            return (
                None if reason is None else [Review(name, False, reason[:MAX_REASON], (note or "")[:MAX_NOTE], reviewer=who, time=_now())]
            )
        print("please answer y, n, s or q")


def _line(question: str, *, lower: bool = True) -> str | None:
    """A line from the terminal; None at its end."""
    try:
        said = input(question).strip()
    except EOFError:
        print()
        return None
    said = said.encode("utf-8", "replace").decode()
    return said.lower() if lower else said


def _shown(outcome: Outcome, place: str, labels: Mapping[str, Review]) -> list[str]:
    """A sample as text: whatever a terminal would obey is spelled out."""
    assert isinstance(outcome.item, Sample)
    fate = "accepted by the gates" if outcome.accepted else f"rejected by {outcome.reasons[0]}"
    lines = [
        "",
        f"--- {place} · {outcome.item.id} · {fate}",
        f"    {visible(outcome.task.strategy)}, topic '{visible(outcome.task.topic)}'",
    ]
    for message in outcome.item.messages:
        text = visible(message.content)
        more = f"\n… ({len(text) - _MAX_SHOWN:,} more characters: `sluice show`)" if len(text) > _MAX_SHOWN else ""
        lines += [f"[{visible(message.role)}]", text[:_MAX_SHOWN] + more]
    if said := labels.get(outcome.item.id):
        lines.append(f"    so far: {'keep' if said.keep else 'reject'} {visible(said.reason)} {visible(said.note)}".rstrip())
    return lines


def _named(ledger: Ledger, ids: str) -> list[Outcome]:
    wanted = dict.fromkeys(name.strip() for name in ids.split(",") if name.strip())
    found = {one.item.id: one for one in ledger.outcomes() if one.item.id in wanted and isinstance(one.item, Sample)}
    for name in wanted:
        if name not in found:
            raise InputError(f"--ids {name}: the run has no sample of that id; ids stand in its accepted.jsonl and rejected.jsonl")
    return [found[name] for name in wanted]


def _standing(ledger: Ledger) -> dict[str, Any]:
    good, of = reviewed(ledger) or (0, 0)
    low, high = interval(good, of)
    return {
        "reviewed": of,
        "good": good,
        "good_low": low if of else None,
        "good_high": high if of else None,
        "rejected": len(ledger.refused()),
    }


def _closing(run: Path, told: Mapping[str, Any]) -> list[str]:
    if told["sheet"]:
        return [f"{told['sheet']}: fill in keep (y or n), reason and note, then `sluice review {run} --labels {told['sheet']}`"]
    blank = f", {told['blank']} rows left blank" if told["blank"] else ""
    lines = [f"{told['labelled']} new labels{blank}"]
    if told["reviewed"]:
        share = f"{told['good']} of {told['reviewed']} accepted samples reviewed are good"
        lines.append(f"{share} (95 % interval {told['good_low']:.0%} to {told['good_high']:.0%})")
    if told["rejected"]:
        lines.append(f"{told['rejected']} rejected in review are out of the exports; `sluice regenerate {run} --gate review` asks again")
    return lines


def _recipe(run: Path, ledger: Ledger) -> Recipe:
    text = ledger.fact("recipe")
    if text is None:
        raise InputError(f"{run} has not been run yet: it knows no recipe")
    return parse(text, run / "recipe.yaml")


def _seed(given: int | None, recipe: Recipe) -> int:
    return recipe.config.seed if given is None else given


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without a name for its user
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
