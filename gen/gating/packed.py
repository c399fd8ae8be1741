"""Samples as plain tuples that another process or a JSON file takes: a noun's read-only mappings are neither pickled nor JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gen.types import Message, Provenance, Sample, Score, ToolCall, freeze, thaw

Packed = Sequence[Any]  # JSON values only; a list where it comes back out of a file
_NOWHERE = Provenance()


def pack(sample: Sample) -> Packed:
    """A sample as JSON values, for `unpack`."""
    scores = {name: (score.value, score.reason) for name, score in sample.scores.items()}
    source = None if sample.provenance == _NOWHERE else thaw(sample.provenance)
    return (sample.id, pack_turns(sample.messages), source, scores, sample.tools, sample.label)


def unpack(packed: Packed) -> Sample:
    """The sample that `pack` packed."""
    name, turns, source, scores, tools, label = packed
    provenance = _NOWHERE if source is None else Provenance(**freeze(source))
    opinions = {judge: Score(value, reason) for judge, (value, reason) in scores.items()}
    return Sample(name, unpack_turns(turns), freeze(opinions), provenance, tools, label)


def pack_turns(messages: Sequence[Message]) -> Packed:
    """Messages as JSON values, for `unpack_turns`."""
    return tuple([_turn(one) for one in messages])


def unpack_turns(packed: Packed) -> tuple[Message, ...]:
    """The messages that `pack_turns` packed."""
    return tuple([Message(*turn) if len(turn) == 2 else _message(*turn) for turn in packed])


def _turn(one: Message) -> Packed:
    if not one.tool_calls and not one.tool_call_id and not one.name and one.weight is None:
        return (one.role, one.content)
    calls = [(call.name, call.arguments, call.id) for call in one.tool_calls]
    return (one.role, one.content, calls, one.tool_call_id, one.name, one.weight)


def _message(role: str, content: str, calls: Sequence[Sequence[str]], answers: str, name: str, weight: float | None) -> Message:
    return Message(role, content, tuple([ToolCall(*call) for call in calls]), answers, name, weight)
