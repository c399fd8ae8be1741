"""`sluice show`: one sample's whole history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.candidates import accepted_rows, rejected_rows
from gen.errors import InputError
from gen.ledger import Ledger
from gen.llm.cache import Cache
from gen.markup import visible
from gen.parts import build_parts
from gen.recipe import parse
from gen.replay import Exchange, replay
from gen.run_folder import kept_sources, open_ledger
from gen.types import Call, Malformed, Outcome, Review, Sample, thaw

MAX_LINEAGE = 50


@dataclass(frozen=True, slots=True)
class _Told:
    """What the ledger knows around one candidate."""

    calls: dict[str, Call]
    ancestors: list[Outcome]
    children: list[Outcome]
    reviews: list[Review]
    split: str
    exchanges: list[Exchange] | None = None

    def cost(self, *outcomes: Outcome) -> float | None:
        """What the replies behind these candidates cost together, each once; None where one has no known price."""
        keys = {key for one in outcomes for key in one.item.provenance.requests if key in self.calls}
        costs = [self.calls[key].cost for key in keys]
        return None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in sorted(costs, key=lambda cost: cost or 0.0))


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    name: Annotated[str, typer.Argument(metavar="ID", help="The sample's id, or its beginning.")],
    texts: Annotated[bool, typer.Option("--texts", help="Tell every prompt and reply behind it too, from the cache.")] = False,
    cache: Annotated[Path, typer.Option(help="The cache of replies, for --texts.")] = Path("runs/cache.db"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Tell one sample's whole history: where it comes from, what was asked, every gate's verdict, what became of it later."""
    ledger = open_ledger(run, to_read=True)
    try:
        outcome = _only(ledger.find(name), name, run)
        told = _Told(
            calls={call.key: call for call in ledger.calls()},
            ancestors=lineage(ledger, outcome),
            children=ledger.children(outcome.item.id),
            reviews=[one for one in ledger.reviews() if one.sample == outcome.item.id],
            split=ledger.splits().get(outcome.item.id, ""),
            exchanges=_exchanges(ledger, run, outcome, cache) if texts else None,
        )
    finally:
        ledger.close()
    if as_json:
        print(json.dumps(_as_json(outcome, told), ensure_ascii=False))
    else:
        print(visible("\n".join(_story(outcome, told))))


def lineage(ledger: Ledger, outcome: Outcome) -> list[Outcome]:
    """The candidates that `outcome` descends from, its parent first."""
    found: list[Outcome] = []
    waiting = list(outcome.item.provenance.parents)
    while waiting and len(found) < MAX_LINEAGE:
        for parent in ledger.find(waiting.pop(0))[:1]:
            if parent.item.id not in {one.item.id for one in found}:
                found.append(parent)
                waiting += parent.item.provenance.parents
    return found


def _exchanges(ledger: Ledger, run: Path, outcome: Outcome, file: Path) -> list[Exchange]:
    text = ledger.fact("recipe")
    if text is None:
        raise InputError(f"{run} has not been run yet: it knows no recipe")
    if not file.is_file():
        raise InputError(f"no cache at {file}: --texts reads the prompts and replies from it; name it with --cache")
    recipe = parse(text, run / "recipe.yaml")
    parts = build_parts(recipe, kept_sources(ledger))

    async def go() -> list[Exchange]:
        cache = Cache(file)
        try:
            return await replay(outcome, parts, recipe.config.models, cache)
        finally:
            await cache.close()

    return asyncio.run(go())


def _only(found: list[Outcome], name: str, run: Path) -> Outcome:
    if not found:
        raise InputError(f"no candidate '{name}' in {run}: ids stand in its accepted.jsonl and rejected.jsonl")
    exact = [outcome for outcome in found if outcome.item.id == name]
    if not exact and len(found) > 1:
        raise InputError(f"'{name}' begins {len(found)} ids: {', '.join(outcome.item.id for outcome in found[:5])} …")
    return (exact or found)[0]


def _story(outcome: Outcome, told: _Told) -> Iterator[str]:
    item, source = outcome.item, outcome.item.provenance
    fate = f"accepted{f', in the {told.split} split' if told.split else ''}" if outcome.accepted else f"rejected by {outcome.reasons[0]}"
    yield f"{item.id}: {fate}{' (simulated)' if source.simulated else ''}"
    yield f"  {source.strategy}, topic '{source.topic}', attempt {source.attempt + 1}, task {source.task}"
    again = outcome.task.inputs.get("feedback")
    if again:
        yield f"  asked again, told of {again['gate']}: {again['reason']} {_one_line(again['detail'])}".rstrip()
    if source.seeds:
        yield f"  shown as examples: {', '.join(source.seeds)}"
    yield from (f"  {name}: {_one_line(value)}" for name, value in source.notes.items())
    yield from (f"  prompt {prompt}" for prompt in source.prompts)
    yield from (f"  {_call(told.calls[key])}" for key in source.requests if key in told.calls)
    yield f"  cost {_usd(told.cost(outcome))}; with what it descends from {_usd(told.cost(outcome, *told.ancestors))}"
    for parent in told.ancestors:
        why = "accepted" if parent.accepted else parent.reasons[0]
        made = parent.item.provenance.notes.get("operation")
        by = f", made by {made}" if made else ""
        yield f"  descends from {parent.item.id} ({why}{by}): {_one_line(_instruction(parent))}"
    if told.exchanges is not None:
        yield from _said(told.exchanges, len(source.requests))
    yield from ("", *_texts(item), "")
    yield from _opinions(outcome)
    for review in told.reviews:
        said = " ".join(part for part in ("kept" if review.keep else "REJECTED", review.reason, review.note) if part)
        yield f"  reviewed by {review.reviewer or 'somebody'} at {review.time}: {said}"
    for child in told.children:
        yield f"  led to {child.item.id} ({'accepted' if child.accepted else child.reasons[0]}, attempt {child.task.attempt + 1})"


def _said(exchanges: list[Exchange], requests: int) -> Iterator[str]:
    """Every prompt with its reply, and how many of them are not to be had any more."""
    for one in exchanges:
        yield f"\n--- {one.purpose} asked of {one.model}"
        yield from (f"[{message.role}]\n{message.content}" for message in one.asked)
        yield f"--- replied\n{one.reply}" if one.reply is not None else "--- its reply is not in the cache any more"
    if len(exchanges) < requests:
        yield f"\n--- {requests - len(exchanges)} of {requests} prompts cannot be told: what led to them has left the cache or the recipe"


def _opinions(outcome: Outcome) -> Iterator[str]:
    """Every gate's verdict with what it measured, then the judges' scores."""
    for verdict in outcome.verdicts:
        mark = "kept" if verdict.keep and not verdict.reason else "warned" if verdict.keep else "REJECTED"
        yield f"  {verdict.gate:<14} {mark:<9} {' '.join(part for part in (verdict.reason, verdict.detail) if part)}".rstrip()
    item = outcome.item
    if isinstance(item, Malformed):
        yield f"  {item.gate:<14} REJECTED  {item.reason} {item.detail}".rstrip()
        return
    for name, score in item.scores.items():
        yield f"  score {name}: {score.value if score.value is not None else 'none'}  {score.reason}".rstrip()


def _texts(item: Sample | Malformed) -> list[str]:
    if isinstance(item, Malformed):
        return [f"[what came back]\n{item.text}"] if item.text else ["(no text came back)"]
    return [f"[{message.role}]\n{message.content}" for message in item.messages]


def _call(call: Call) -> str:
    tokens = f"{call.usage.input_tokens} + {call.usage.output_tokens} tokens"
    return f"{call.purpose} asked of {call.model} ({call.model_id}): {tokens}, {_usd(call.cost)}, {call.finish_reason}"


def _usd(cost: float | None) -> str:
    return "unknown" if cost is None else f"${cost:.6f}"


def _instruction(outcome: Outcome) -> str:
    return outcome.item.first("user") if isinstance(outcome.item, Sample) else outcome.item.text


def _one_line(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else json.dumps(thaw(value), ensure_ascii=False)).split())
    return text if len(text) <= 120 else text[:119] + "…"


def _as_json(outcome: Outcome, told: _Told) -> dict[str, Any]:
    row = next(accepted_rows([outcome]) if outcome.accepted else rejected_rows([outcome]))
    return (
        row
        | {
            "accepted": outcome.accepted,
            "split": told.split or None,
            "verdicts": [{"gate": one.gate, "keep": one.keep, "reason": one.reason, "detail": one.detail} for one in outcome.verdicts],
            "asked_again_for": thaw(outcome.task.inputs.get("feedback")),
            "ancestors": [parent.item.id for parent in told.ancestors],
            "children": [child.item.id for child in told.children],
            "reviews": [asdict(one) for one in told.reviews],
            "cost": told.cost(outcome),
            "cost_with_ancestors": told.cost(outcome, *told.ancestors),
            "calls": [
                {
                    "purpose": call.purpose,
                    "model": call.model,
                    "model_id": call.model_id,
                    "cost": call.cost,
                    "finish_reason": call.finish_reason,
                }
                | asdict(call.usage)
                for call in (told.calls[key] for key in row["provenance"]["requests"] if key in told.calls)
            ],
        }
        | ({} if told.exchanges is None else {"exchanges": thaw(told.exchanges)})
    )
