"""Candidates as rows of accepted.jsonl and rejected.jsonl: everything known of each, but no cost, no time and no path, so that two runs of
one recipe write the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gen.conversation import as_dicts
from gen.types import Malformed, Outcome, Sample, thaw


def accepted_rows(outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    """One row per accepted sample, in plan order."""
    return (_row(outcome) for outcome in outcomes if outcome.accepted)


def rejected_rows(outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    """One row per rejected candidate, in plan order: `gate`, `reason` and `detail` of the first failure, `reasons` of all; a reply that
    never became a sample has `messages` null and `text`."""
    return (_row(outcome) | _fate(outcome) for outcome in outcomes if not outcome.accepted)


def _row(outcome: Outcome) -> dict[str, Any]:
    item, source = outcome.item, outcome.item.provenance
    row: dict[str, Any] = {
        "id": item.id,
        "messages": as_dicts(item.messages) if isinstance(item, Sample) else None,
        "topic": source.topic or outcome.task.topic,
        "strategy": source.strategy or outcome.task.strategy,
        "attempt": outcome.task.attempt,
        "scores": {},
        "provenance": thaw(source),
        "simulated": source.simulated,
    }
    if isinstance(item, Sample):
        row["scores"] = {name: score.value for name, score in item.scores.items()}
        why = {name: score.reason for name, score in item.scores.items() if score.reason}
        if why:
            row["score_reasons"] = why
    warned = [verdict for verdict in outcome.verdicts if verdict.keep and verdict.reason]
    if warned:
        row["warnings"] = [{"gate": one.gate, "reason": one.reason, "detail": one.detail} for one in warned]
    return row


def _fate(outcome: Outcome) -> dict[str, Any]:
    failure = outcome.failure
    assert failure is not None  # a candidate without one is accepted
    fate: dict[str, Any] = {
        "gate": failure.gate,
        "reason": failure.reason,
        "detail": failure.detail,
        "reasons": list(outcome.reasons),
    }
    if isinstance(outcome.item, Malformed):
        fate["text"] = outcome.item.text
    return fate
