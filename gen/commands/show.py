"""`sluice show`: one sample's whole history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.candidates import accepted_rows, rejected_rows
from gen.errors import InputError
from gen.ledger import Ledger
from gen.run_folder import open_ledger
from gen.types import Call, Malformed, Outcome, Sample

MAX_LINEAGE = 50


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    name: Annotated[str, typer.Argument(metavar="ID", help="The sample's id, or its beginning.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Tell one sample's whole history: where it comes from, what was asked, every gate's verdict, what became of it later."""
    ledger = open_ledger(run, to_read=True)
    try:
        outcome = _only(ledger.find(name), name, run)
        calls = {call.key: call for call in ledger.calls()}
        ancestors, children = lineage(ledger, outcome), ledger.children(outcome.item.id)
        split = ledger.splits().get(outcome.item.id, "")
    finally:
        ledger.close()
    if as_json:
        print(json.dumps(_as_json(outcome, ancestors, children, calls, split), ensure_ascii=False))
    else:
        print("\n".join(_story(outcome, ancestors, children, calls, split)))


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


def _only(found: list[Outcome], name: str, run: Path) -> Outcome:
    if not found:
        raise InputError(f"no candidate '{name}' in {run}: ids stand in its accepted.jsonl and rejected.jsonl")
    exact = [outcome for outcome in found if outcome.item.id == name]
    if not exact and len(found) > 1:
        raise InputError(f"'{name}' begins {len(found)} ids: {', '.join(outcome.item.id for outcome in found[:5])} …")
    return (exact or found)[0]


def _story(outcome: Outcome, ancestors: list[Outcome], children: list[Outcome], calls: dict[str, Call], split: str) -> list[str]:
    item, source = outcome.item, outcome.item.provenance
    fate = f"accepted{f', in the {split} split' if split else ''}" if outcome.accepted else f"rejected by {outcome.reasons[0]}"
    lines = [f"{item.id}: {fate}{' (simulated)' if source.simulated else ''}"]
    lines.append(f"  {source.strategy}, topic '{source.topic}', attempt {source.attempt + 1}, task {source.task}")
    if source.seeds:
        lines.append(f"  shown as examples: {', '.join(source.seeds)}")
    for name, value in source.notes.items():
        lines.append(f"  {name}: {_one_line(value)}")
    lines += [f"  prompt {prompt}" for prompt in source.prompts]
    lines += [f"  {_call(calls[key])}" for key in source.requests if key in calls]
    for parent in ancestors:
        why = "accepted" if parent.accepted else parent.reasons[0]
        made = parent.item.provenance.notes.get("operation")
        by = f", made by {made}" if made else ""
        lines.append(f"  descends from {parent.item.id} ({why}{by}): {_one_line(_instruction(parent))}")
    lines.append("")
    lines += _texts(item)
    lines.append("")
    for verdict in outcome.verdicts:
        mark = "kept" if verdict.keep and not verdict.reason else "warned" if verdict.keep else "REJECTED"
        lines.append(f"  {verdict.gate:<14} {mark:<9} {' '.join(part for part in (verdict.reason, verdict.detail) if part)}".rstrip())
    if isinstance(item, Sample):
        lines += [
            f"  score {name}: {score.value if score.value is not None else 'none'}  {score.reason}" for name, score in item.scores.items()
        ]
    if isinstance(item, Malformed):
        lines.append(f"  {item.gate:<14} REJECTED  {item.reason} {item.detail}".rstrip())
    for child in children:
        lines.append(f"  led to {child.item.id} ({'accepted' if child.accepted else child.reasons[0]}, attempt {child.task.attempt + 1})")
    return lines


def _texts(item: Sample | Malformed) -> list[str]:
    if isinstance(item, Malformed):
        return [f"[what came back]\n{_visible(item.text)}"] if item.text else ["(no text came back)"]
    return [f"[{message.role}]\n{_visible(message.content)}" for message in item.messages]


def _call(call: Call) -> str:
    cost = "cost unknown" if call.cost is None else f"${call.cost:.6f}"
    tokens = f"{call.usage.input_tokens} + {call.usage.output_tokens} tokens"
    return f"{call.purpose} asked of {call.model} ({call.model_id}): {tokens}, {cost}, {call.finish_reason}"


def _instruction(outcome: Outcome) -> str:
    return outcome.item.first("user") if isinstance(outcome.item, Sample) else outcome.item.text


def _one_line(value: Any) -> str:
    text = " ".join(_visible(str(value)).split())
    return text if len(text) <= 120 else text[:119] + "…"


def _visible(text: str) -> str:
    """A model's text without what a terminal would obey."""
    return "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text)


def _as_json(outcome: Outcome, ancestors: list[Outcome], children: list[Outcome], calls: dict[str, Call], split: str) -> dict[str, Any]:
    row = next(accepted_rows([outcome]) if outcome.accepted else rejected_rows([outcome]))
    return row | {
        "accepted": outcome.accepted,
        "split": split or None,
        "verdicts": [{"gate": one.gate, "keep": one.keep, "reason": one.reason, "detail": one.detail} for one in outcome.verdicts],
        "ancestors": [parent.item.id for parent in ancestors],
        "children": [child.item.id for child in children],
        "calls": [
            {
                "purpose": call.purpose,
                "model": call.model,
                "model_id": call.model_id,
                "cost": call.cost,
                "finish_reason": call.finish_reason,
            }
            for call in (calls[key] for key in row["provenance"]["requests"] if key in calls)
        ],
    }
