"""The part of `sluice check` that estimates calls, tokens, cost and time."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gen.batch_rounds import Rounds
from gen.errors import InputError
from gen.estimate import REPLY_LENGTHS, YIELDS, Between, Cap, Earlier, Estimate, ModelEstimate, busy_requests, earlier_run, estimate
from gen.parts import Parts
from gen.recipe import Recipe
from gen.rehearsal import rehearse
from gen.run_folder import open_ledger


def estimate_of(recipe: Recipe, parts: Parts, run: Path | None, rounds: Rounds | None) -> tuple[Estimate, Earlier | None]:
    """Rehearse the recipe and reckon, with the yields and token counts of `run` where one is given."""
    earlier = None if run is None else _earlier(run)
    waits = Between(0, 0) if rounds is None else Between(rounds.low, rounds.high)
    return estimate(recipe.config, asyncio.run(rehearse(recipe)), busy=busy_requests(parts), earlier=earlier, rounds=waits), earlier


def lines_of(recipe: Recipe, found: Estimate, earlier: Earlier | None, run: Path | None) -> list[str]:
    """What a person reads."""
    partly = f" ({_usd(found.usd_known)} for the models whose price is known)" if found.usd is None and found.usd_known.high > 0 else ""
    cost = f"{_usd(found.usd)}{partly}"
    lines = [
        f"estimate: {found.goal:,} accepted take {_range(found.candidates)} candidates, {_range(found.calls)} calls,",
        f"  {_range(found.tokens)} tokens, {cost} and about {_time(found.seconds)}",
    ]
    width = max((len(step.purpose) for step in found.steps), default=0)
    for step in found.steps:
        tokens = f"{_range(step.input_tokens)} + {_range(step.output_tokens)} tokens each"
        lines.append(f"  {step.purpose:<{width}}  {_range(step.calls)} calls to {step.model}, {tokens}")
    lines += [f"  model {_model(recipe, one)}" for one in found.models]
    lines += [f"  {_cap(one)}" for one in found.caps]
    lines += [f"  {line}" for line in _assumed(found, earlier, run)]
    return lines


def as_json(found: Estimate, earlier: Earlier | None) -> dict[str, Any]:
    """For `--json`: every range as `low` and `high`; unknown prices are null."""
    accepted, candidates = found.rehearsed
    return asdict(found) | {"rehearsed": {"accepted": accepted, "candidates": candidates}, "from_run": earlier is not None}


def _earlier(run: Path) -> Earlier:
    ledger = open_ledger(run, to_read=True)
    try:
        found = earlier_run(ledger.sequences(), ledger.calls())
    finally:
        ledger.close()
    if not any(candidates for _, candidates in found.yields.values()):
        raise InputError(f"--from {run}: it has no candidates yet; run it to an end first, a few samples are enough")
    return found


def _model(recipe: Recipe, one: ModelEstimate) -> str:
    line = recipe.config.models[one.model]
    price = f"{_usd(one.usd)} ({one.price})" if one.usd is not None else "price unknown: add `price: {input: …, output: …}`"
    tokens = f"{_range(one.input_tokens)} + {_range(one.output_tokens)} tokens"
    return (
        f"{one.model} ({line.provider}: {line.model}): {_range(one.calls)} calls, {tokens}, {price}, {_time(one.seconds)} by {one.bound_by}"
    )


def _cap(one: Cap) -> str:
    cap = f"{one.key} {one.cap:,.12g}"
    if one.need is None:
        return f"{cap}: cannot be told, a price is unknown"
    if one.accepted is None:
        return f"{cap}: fits"
    would = "would" if one.need.low > one.cap else "may"
    return f"{cap}: {would} stop at about {_range(one.accepted)} accepted"


def _assumed(found: Estimate, earlier: Earlier | None, run: Path | None) -> list[str]:
    accepted, candidates = found.rehearsed
    rehearsed = f"rehearsed on the simulator: {accepted:,} of {candidates:,} candidates accepted"
    if earlier is None:
        low, high = min(YIELDS), max(YIELDS)
        lengths = f"replies {min(REPLY_LENGTHS):g} to {max(REPLY_LENGTHS):g} times as long as the simulator's"
        return [
            f"assumed     yields of {low:.0%} to {high:.0%}, {lengths}, no prompt caching; {rehearsed}",
            "--from RUN takes both from a small run",
        ]
    lines = [f"yields and tokens of {run}: {found.yields.low:.0%} to {found.yields.high:.0%} accepted; {rehearsed}"]
    if earlier.simulated:
        lines.append("note        that run was simulated: its yields and lengths are the simulator's")
    return lines


def _range(value: Between) -> str:
    low, high = f"{value.low:,.0f}", f"{value.high:,.0f}"
    return low if low == high else f"{low}–{high}"


def _usd(value: Between | None) -> str:
    if value is None:
        return "cost unknown"
    low, high = f"{value.low:,.2f}", f"{value.high:,.2f}"
    if high in ("0.00", "0.01") and value.high > 0:
        low, high = f"{value.low:.4f}", f"{value.high:.4f}"
    return f"${low}" if low == high else f"${low}–{high}"


def _time(value: Between) -> str:
    if value.high < 90:
        return f"{_range(Between(value.low, value.high))} s"
    if value.high < 5400:
        return f"{_range(Between(value.low / 60, value.high / 60))} min"
    return f"{value.low / 3600:,.1f}–{value.high / 3600:,.1f} h"
