"""The rows of the ledger: each noun as the columns and the JSON it is stored as, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from gen.types import (
    EMPTY,
    Call,
    Json,
    Malformed,
    Message,
    Outcome,
    Preference,
    Provenance,
    Review,
    Sample,
    Score,
    SequenceEnd,
    Task,
    ToolCall,
    Verdict,
    thaw,
)

REVIEW = "review"  # the gate under which a person's rejection stands
_NO_CODE = re.compile(r"[^a-z0-9]{1,100}")


def refusal(review: Review) -> Verdict:
    """A person's rejection as a verdict: the reason as a code (`rejected` where none was given), the note as its detail.

    >>> refusal(Review("s-1", keep=False, reason="Off topic!", note="asks for recipes")).reason
    'off_topic'
    """
    code = _NO_CODE.sub("_", review.reason.lower()[:100]).strip("_")[:40].strip("_")
    return Verdict(keep=False, gate=REVIEW, reason=code or "rejected", detail=review.note[:300])


def storable(value: Any) -> Any:
    """A plain column's value: a lone surrogate, which SQLite cannot hold, becomes its escape."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) and not value.isascii() else value


def dumps(value: Json) -> str:
    """JSON as ASCII, so that a lone surrogate in a model's text can be stored."""
    return json.dumps(thaw(value), separators=(",", ":"), sort_keys=True)


def task_row(task: Task) -> dict[str, Any]:
    """A task, its inputs as JSON."""
    row = {name: getattr(task, name) for name in ("id", "strategy", "topic", "index", "attempt", "seed")}
    return row | {"inputs_json": dumps(task.inputs)}


def candidate_row(position: int, outcome: Outcome) -> dict[str, Any]:
    """A candidate at its place in plan order: the fate in columns, item and verdicts as JSON."""
    failure = outcome.failure
    verdicts = [
        {"keep": one.keep, "gate": one.gate, "reason": one.reason, "detail": one.detail, "replaced": one.replacement is not None}
        for one in outcome.verdicts
    ]
    kind = "malformed" if isinstance(outcome.item, Malformed) else "sample"
    return {
        "position": position,
        "id": outcome.item.id,
        "task": outcome.task.id,
        "accepted": int(outcome.accepted),
        "gate": failure.gate if failure else "",
        "reason": failure.reason if failure else "",
        "item_json": dumps({kind: thaw(outcome.item)}),
        "verdicts_json": dumps(verdicts),
    }


def end_row(end: SequenceEnd) -> dict[str, Any]:
    """How a sequence ended."""
    row = {item.name: getattr(end, item.name) for item in fields(SequenceEnd) if item.name != "goals"}
    return row | {"goals_json": dumps(end.goals)}


def end_of(row: Mapping[str, Any]) -> SequenceEnd:
    """The way back from `end_row`."""
    names = [item.name for item in fields(SequenceEnd) if item.name != "goals"]
    goals = tuple((goal, turns) for goal, turns in json.loads(row["goals_json"]))
    return SequenceEnd(**{name: row[name] for name in names}, goals=goals)


def call_row(call: Call) -> dict[str, Any]:
    """A paid reply, its usage in columns."""
    row = {name: getattr(call, name) for name in ("key", "model", "model_id", "purpose", "cost", "finish_reason")}
    return row | asdict(call.usage) | {"simulated": int(call.simulated)}


def outcome_of(row: Mapping[str, Any], refused: Mapping[str, Verdict] = EMPTY) -> Outcome:
    """A candidate of a row joined with its task; one that `refused` names gets that verdict after all others."""
    task = Task(row["strategy"], row["topic"], row["task_index"], row["attempt"], row["seed"], json.loads(row["inputs_json"]))
    data = json.loads(row["item_json"])
    verdicts = tuple(Verdict(one["keep"], one["gate"], one["reason"], one["detail"]) for one in json.loads(row["verdicts_json"]))
    if row["id"] in refused:
        verdicts = (*verdicts, refused[row["id"]])
    if "malformed" in data:
        return Outcome(task, Malformed(**(data["malformed"] | {"provenance": _provenance(data["malformed"]["provenance"])})), verdicts)
    return Outcome(task, _sample(data["sample"]), verdicts)


def _sample(data: dict[str, Any]) -> Sample:
    scores = {name: Score(score["value"], score["reason"]) for name, score in data["scores"].items()}
    more = {name: data[name] for name in ("tools", "label") if name in data}
    return Sample(data["id"], _messages(data["messages"]), scores, _provenance(data["provenance"]), **more)


def _messages(data: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(**(one | {"tool_calls": tuple(ToolCall(**call) for call in one.get("tool_calls", ()))})) for one in data)


def _provenance(data: dict[str, Any]) -> Provenance:
    rows = ("parents", "seeds", "prompts", "requests")
    return Provenance(**(data | {name: tuple(data[name]) for name in rows}))


def preference_of(data: dict[str, Any]) -> Preference:
    """A pair of its JSON."""
    sides = {name: _messages(data[name]) for name in ("prompt", "chosen", "rejected")}
    return Preference(**(data | sides | {"provenance": _provenance(data["provenance"])}))
