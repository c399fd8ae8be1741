"""Whole runs with `mode: batch`: the same data as live, and nothing bought twice whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gen.commands.run import closing
from gen.recipe import parse
from gen.run import RunResult, run
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve

ROOT = Path(__file__).resolve().parents[2]
DATA = ("accepted.jsonl", "rejected.jsonl", "sft/train.jsonl", "preference/train.jsonl")
BATCH = {"mode": "batch", "batch": {"gather_seconds": 0.05, "poll_seconds": 0.1, "offered": True}}


def recipe_text(server: Server, provider: str = "openai", **model: Any) -> str:
    base_url = f"{server.base_url}/v1" if provider == "openai" else server.base_url
    name = "m" if provider == "openai" else "claude-haiku-4-5"
    line = {"provider": provider, "model": name, "base_url": base_url, "price": {"input": 1, "output": 2}} | model
    return f"""\
name: small
seed: 3
models:
  writer: {json.dumps(line)}
sources:
  topics: [GDPR data retention, Basel III capital]
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 3}}
judges: [{{name: rubric, model: writer}}]
gates: [schema, refusal, truncation, exact_dup, near_dup, {{name: score, judge: rubric, minimum: 2}}]
goal: {{per_topic: 6}}
"""


async def run_in(folder: Path, text: str, name: str, **more: Any) -> RunResult:
    return await run(parse(text, folder / "recipe.yaml"), folder / name, cache_path=folder / f"{name}.db", **more)


def data_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATA if (folder / name).exists()}


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_batch_run_makes_the_bytes_of_a_live_run_at_half_the_price(provider: str, tmp_path: Path) -> None:
    async with serve(SimulatorOptions()) as server:
        live = await run_in(tmp_path, recipe_text(server, provider), "live")
        single = {route for route, _ in server.counts}
        batched = await run_in(tmp_path, recipe_text(server, provider, **BATCH), "batched")
        batches = [len(batch.entries) for batch in server.batches.by_id.values()]
        over_live_replies = await run_in(tmp_path, recipe_text(server, provider, **BATCH), "live")
        assert len(server.batches.by_id) == len(batches)
    assert live.goal_reached
    assert batched.goal_reached
    assert data_of(batched.folder) == data_of(live.folder)
    assert not any("batches" in route for route in single)
    assert live.session.cost
    assert batched.session.cost == pytest.approx(live.session.cost / 2, rel=0.2)  # a batch holds what live was called off at the goal
    assert 3 <= len(batches) <= 24
    assert max(batches) > 8
    assert over_live_replies.session.requests == 0


async def test_a_kill_in_the_middle_buys_nothing_twice_and_changes_no_byte(tmp_path: Path) -> None:
    async with serve(SimulatorOptions(batch_seconds=0.25)) as server:
        whole = await run_in(tmp_path, recipe_text(server), "whole")
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(recipe_text(server, **BATCH), encoding="utf-8")
        arguments = ["run", str(recipe), "--out", str(tmp_path / "killed"), "--cache", str(tmp_path / "killed.db"), "--json"]

        async def start() -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gen.commands", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )

        victim = await start()
        async with asyncio.timeout(30):
            while len(server.batches.by_id) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # the id is noted by now; the batch is under way
        victim.kill()
        await victim.communicate()
        again = await start()
        result = json.loads((await again.communicate())[0])
        asked = server.batches.asked
    assert again.returncode == 0
    assert result["goal_reached"]
    assert result["batches"] == []
    assert set(asked.values()) == {1}
    assert data_of(tmp_path / "killed") == data_of(whole.folder)


async def test_an_interrupted_run_names_the_batch_that_goes_on_and_the_next_one_joins_it(tmp_path: Path) -> None:
    async with serve(SimulatorOptions(batch_seconds=0.5)) as server:
        interrupt = asyncio.Event()

        async def bell() -> None:
            while not server.batches.by_id:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            interrupt.set()

        ringing = asyncio.create_task(bell())
        stopped = await run_in(tmp_path, recipe_text(server, **BATCH), "run", interrupt=interrupt)
        await ringing
        [left] = stopped.batches
        whole = await run_in(tmp_path, recipe_text(server, **BATCH), "run")
        asked = server.batches.asked
    assert stopped.stop == "interrupted"
    assert f"batch {left.remote_id} of {left.requests} requests goes on at openai: the next run joins it" in closing(stopped)
    assert whole.goal_reached
    assert whole.batches == ()
    assert set(asked.values()) == {1}


async def test_faults_in_batches_change_no_byte(tmp_path: Path) -> None:
    async with serve(SimulatorOptions(flaws={})) as calm:
        undisturbed = await run_in(tmp_path, recipe_text(calm), "calm")
    async with serve(SimulatorOptions(flaws={}, batch_faults={"item_error": 0.05, "item_expired": 0.05, "expired": 0.1})) as server:
        stormy = await run_in(tmp_path, recipe_text(server, **BATCH), "stormy")
    assert stormy.goal_reached
    strip = [json.loads(line)["messages"] for line in (stormy.folder / "accepted.jsonl").read_text(encoding="utf-8").splitlines()]
    assert strip == [
        json.loads(line)["messages"] for line in (undisturbed.folder / "accepted.jsonl").read_text(encoding="utf-8").splitlines()
    ]
