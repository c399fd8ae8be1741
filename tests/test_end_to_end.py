"""Whole runs on the simulator, over real HTTP on loopback: what a user is promised about runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import datasets
import pytest

from gen.errors import RecipeError, StorageError
from gen.ledger import Ledger
from gen.recipe import Recipe, load, parse
from gen.run import Progress, RunResult, run
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import Server, serve

KEY = "sk-" + "proj-abcdefghijklmnopqrstuvwx"
ROOT = Path(__file__).resolve().parents[1]
DATA_FILES = (
    "recipe.yaml",
    "accepted.jsonl",
    "rejected.jsonl",
    "sft/train.jsonl",
    "sft/validation.jsonl",
    "sft/test.jsonl",
    "preference/train.jsonl",
)


def recipe_text(
    server: Server | None = None, *, topics: str = "[GDPR data retention, Basel III capital]", goal: str = "{per_topic: 8}", **model: Any
) -> str:
    line: dict[str, Any] = {"provider": "simulator"}
    if server is not None:
        line = {"provider": "openai", "model": "m", "base_url": f"{server.base_url}/v1", "api_key_env": "SLUICE_TEST_KEY"}
    return f"""\
name: small
seed: 3
models:
  writer: {json.dumps(line | model)}
sources:
  topics: {topics}
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 3}}
goal: {goal}
"""


@asynccontextmanager
async def simulator(**options: Any) -> AsyncIterator[Server]:
    async with serve(SimulatorOptions(**options)) as server:
        yield server


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", "not-a-key")


def recipe_of(text: str, folder: Path) -> Recipe:
    return parse(text, folder / "recipe.yaml")


async def run_in(folder: Path, text: str, name: str = "run", cache: str = "cache.db") -> RunResult:
    return await run(recipe_of(text, folder), folder / name, cache_path=folder / cache)


def data_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATA_FILES if (folder / name).exists()}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_the_compliance_example_reaches_its_goal_and_loads(tmp_path: Path) -> None:
    result = await run(load(ROOT / "examples" / "compliance.yaml"), tmp_path / "run", cache_path=tmp_path / "cache.db")
    assert result.goal_reached
    loaded = datasets.load_dataset(str(tmp_path / "run"), "sft", cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 48, "validation": 6, "test": 6}
    assert [turn["role"] for turn in loaded["train"][0]["messages"]] == ["system", "user", "assistant"]


async def test_every_candidate_has_one_fate_and_the_counts_add_up(tmp_path: Path) -> None:
    result = await run_in(tmp_path, recipe_text())
    accepted, rejected = rows(result.folder / "accepted.jsonl"), rows(result.folder / "rejected.jsonl")
    ids = [row["id"] for row in accepted + rejected]
    assert len(ids) == len(set(ids)) == result.candidates == result.accepted + len(rejected)
    assert all(row["gate"] and row["reason"] for row in rejected)
    assert sum(end.candidates for end in result.ends) == result.candidates
    report = (result.folder / "quality-report.md").read_text(encoding="utf-8")
    assert f"{result.candidates:,}" in report
    assert all(row["simulated"] for row in accepted + rejected)
    assert all(row["simulated"] for row in rows(result.folder / "sft" / "train.jsonl"))


async def test_an_identical_rerun_sends_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    first = await run_in(tmp_path, recipe_text())
    before = data_of(first.folder)
    again = await run_in(tmp_path, recipe_text())
    assert first.session.requests > 0
    assert again.session.requests == 0
    assert data_of(again.folder) == before


async def test_another_topic_asks_only_for_itself(tmp_path: Path) -> None:
    await run_in(tmp_path, recipe_text())
    topics = "[GDPR data retention, Basel III capital, AML/KYC verification]"
    more = await run_in(tmp_path, recipe_text(topics=topics))
    alone = await run_in(tmp_path, recipe_text(topics="[AML/KYC verification]"), name="alone", cache="other.db")
    assert 0 < more.session.requests <= alone.session.requests
    assert more.goal_reached


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model": "another"}, id="model"),
        pytest.param({"temperature": 0.3}, id="temperature"),
        pytest.param({"simulator": {"seed": 9}}, id="what stands behind the URL"),
    ],
)
async def test_another_model_or_temperature_asks_everything_again(change: dict[str, Any], tmp_path: Path) -> None:
    await run_in(tmp_path, recipe_text())
    other = await run_in(tmp_path, recipe_text(**change), name="other")
    assert other.session.cache_hits == 0


async def test_another_system_prompt_asks_every_answer_again(tmp_path: Path) -> None:
    await run_in(tmp_path, recipe_text())
    text = recipe_text().replace("instructions_per_call: 3", "instructions_per_call: 3, system: Be kind.")
    other = await run_in(tmp_path, text, name="other")
    ledger = Ledger(other.folder / "run.db")
    answers = sum(call.purpose == "self_instruct.answer" for call in ledger.calls())
    ledger.close()
    assert other.session.requests >= answers > 0


async def test_latencies_never_change_the_data(tmp_path: Path) -> None:
    quick = await run_in(tmp_path, recipe_text(simulator={"latency_ms": 1}), name="quick", cache="quick.db")
    slow = await run_in(tmp_path, recipe_text(simulator={"jitter_ms": 200, "jitter_sigma": 1.0}), name="slow", cache="slow.db")
    before, after = data_of(quick.folder), data_of(slow.folder)
    del before["recipe.yaml"], after["recipe.yaml"]
    assert after == before


async def test_one_request_that_always_answers_400_costs_one_candidate(tmp_path: Path) -> None:
    def text(server: Server) -> str:
        return recipe_text(server, goal="{per_topic: 50}").replace("instructions_per_call: 3", "instructions_per_call: 5, own_examples: 0")

    async with simulator(flaws={}) as server:
        probe = await run_in(tmp_path, text(server), name="probe", cache="probe.db")
    victim = rows(probe.folder / "accepted.jsonl")[40]["messages"][0]["content"]
    async with simulator(flaws={}, reject_containing=victim) as server:
        result = await run_in(tmp_path, text(server))
        asked_400 = server.counts["/v1/chat/completions", 400]
        failed = [row for row in rows(result.folder / "rejected.jsonl") if row["gate"] == "provider"]
        again = await run_in(tmp_path, text(server))
    assert result.goal_reached
    assert [(row["reason"], row["messages"]) for row in failed] == [("content_policy", None)]
    assert asked_400 == 1
    assert again.session.requests == 0


async def test_twelve_429s_before_each_success_lose_no_sample(tmp_path: Path) -> None:
    async with simulator(flaws={}, rate_limit_first=12, retry_after_seconds=0.001) as server:
        result = await run_in(tmp_path, recipe_text(server, topics="[Basel III capital]", goal="{accepted: 3}"))
    assert result.goal_reached
    assert result.session.rate_limited >= 12 * 4
    assert result.session.retries == 0
    assert not [row for row in rows(result.folder / "rejected.jsonl") if row["gate"] == "provider"]


async def test_wire_faults_lose_no_sample(tmp_path: Path) -> None:
    faults = {"server_error": 0.1, "rate_limit": 0.1, "reset": 0.05, "truncated_body": 0.05}
    async with simulator(flaws={}, faults=faults, retry_after_seconds=0.001) as server:
        result = await run_in(tmp_path, recipe_text(server))
    assert result.goal_reached
    assert result.session.retries > 0


async def test_an_invalid_key_stops_the_run_with_one_line(tmp_path: Path) -> None:
    async with simulator(api_key="the right one") as server:
        result = await run_in(tmp_path, recipe_text(server))
    assert not result.goal_reached
    assert result.stop in ("invalid_key", "unauthorized", "authentication")
    assert "the right one" not in result.reason
    assert "not-a-key" not in result.reason


async def test_a_budget_is_never_passed_and_more_of_it_resumes(tmp_path: Path) -> None:
    tight = recipe_text() + "budget: {calls: 9}\n"
    first = await run_in(tmp_path, tight)
    assert first.session.requests <= 9
    assert "budget" in first.stop
    whole = await run_in(tmp_path, recipe_text())
    undisturbed = await run_in(tmp_path, recipe_text(), name="undisturbed", cache="other.db")
    assert data_of(whole.folder) == data_of(undisturbed.folder)
    assert whole.session.requests <= undisturbed.session.requests


async def test_gates_may_change_and_stored_replies_are_judged_again(tmp_path: Path) -> None:
    await run_in(tmp_path, recipe_text())
    strict = await run_in(tmp_path, recipe_text() + "gates: [schema, {name: length, min_words: 60}]\n")
    assert strict.session.cache_hits > 0
    assert all(len(row["messages"][-1]["content"].split()) >= 50 for row in rows(strict.folder / "accepted.jsonl"))


async def test_another_seed_in_the_same_folder_is_refused_with_the_way_out(tmp_path: Path) -> None:
    await run_in(tmp_path, recipe_text())
    with pytest.raises(RecipeError, match=r"seed: this folder was made with another 'seed' \(then 3, now 4\): take another --out"):
        await run_in(tmp_path, recipe_text().replace("seed: 3", "seed: 4"))


async def test_a_larger_goal_keeps_what_there_is_and_the_locked_test_split(tmp_path: Path) -> None:
    first = await run_in(tmp_path, recipe_text(goal="{per_topic: 20}"))
    kept = {row["id"] for row in rows(first.folder / "accepted.jsonl")}
    test = (first.folder / "sft" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    more = await run_in(tmp_path, recipe_text(goal="{per_topic: 40}"))
    assert kept <= {row["id"] for row in rows(more.folder / "accepted.jsonl")}
    assert set(test) <= set((more.folder / "sft" / "test.jsonl").read_text(encoding="utf-8").splitlines())


async def test_an_interrupt_keeps_everything_and_the_next_run_finishes(tmp_path: Path) -> None:
    interrupt, progress = asyncio.Event(), Progress()
    slow = recipe_text(max_concurrency=2, simulator={"latency_ms": 10, "jitter_ms": 20})

    async def after_a_few_samples() -> None:
        while progress.accepted < 4:
            await asyncio.sleep(0.005)
        interrupt.set()

    bell = asyncio.create_task(after_a_few_samples())
    cache = tmp_path / "cache.db"
    stopped = await run(recipe_of(slow, tmp_path), tmp_path / "run", cache_path=cache, interrupt=interrupt, progress=progress)
    await bell
    assert (stopped.stop, stopped.goal_reached) == ("interrupted", False)
    assert 4 <= stopped.accepted < 16
    whole = await run_in(tmp_path, slow)
    undisturbed = await run_in(tmp_path, slow, name="undisturbed", cache="other.db")
    assert whole.goal_reached
    assert data_of(whole.folder) == data_of(undisturbed.folder)


EVERYTHING = """\
strategies:
  - {name: self_instruct, model: writer, instructions_per_call: 3}
  - {name: evol_instruct, model: writer, rounds: 2, lag: 4}
  - {name: persona, model: writer}
  - {name: magpie, model: writer, tokenizer: shipped}
judges: [{name: rubric, model: writer}]
gates: [schema, refusal, truncation, exact_dup, near_dup, {name: score, judge: rubric, minimum: 2}]
pairs: [{name: best_of_n, model: writer, judge: rubric, n: 2, minimum_margin: 0.1}, repaired]
"""


@pytest.mark.parametrize(
    ("strategies", "goal"),
    [
        pytest.param(
            "strategies:\n  - {name: self_instruct, model: writer, instructions_per_call: 3}\n", "{per_topic: 9}", id="self_instruct"
        ),
        pytest.param(EVERYTHING, "{accepted: 16}", id="every strategy, a judge and pairs"),
    ],
)
async def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(strategies: str, goal: str, tmp_path: Path) -> None:
    slots, kills, places = 6, 2, ("/v1/chat/completions", "/v1/completions")
    async with simulator(latency_ms=25, jitter_ms=25) as server:

        def paid() -> int:
            return sum(server.counts[place, 200] for place in places)

        text = recipe_text(server, goal=goal, max_concurrency=slots)
        head, tail = text.split("strategies:")[0], text[text.index("goal:") :]
        recipe = tmp_path / "slow.yaml"
        recipe.write_text(head + strategies + tail, encoding="utf-8")

        async def start(name: str) -> asyncio.subprocess.Process:
            out = ["--out", str(tmp_path / name), "--cache", str(tmp_path / f"{name}.db"), "--json"]
            command = [sys.executable, "-m", "gen.commands", "run", str(recipe), *out]
            return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)

        whole = await start("whole")
        assert await whole.wait() == 0
        undisturbed = paid()
        for kill in range(kills):
            victim = await start("killed")
            while victim.returncode is None and paid() - undisturbed < undisturbed * (kill + 1) // (kills + 2):
                await asyncio.sleep(0.005)
            victim.kill()
            await victim.communicate()
        again = await start("killed")
        result = json.loads((await again.communicate())[0])
    assert again.returncode == 0
    assert result["session"]["cache_hits"] > 0
    assert paid() - undisturbed <= undisturbed + slots * (kills + 2)  # the extra two: what was in flight at either end
    assert data_of(tmp_path / "killed") == data_of(tmp_path / "whole")
    assert not list((tmp_path / "killed").rglob("*.partial"))


async def test_two_runs_of_one_recipe_have_the_same_ledger(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        result = await run_in(tmp_path, recipe_text(), name=name, cache=f"{name}.db")
        ledger = Ledger(result.folder / "run.db")
        contents.append((list(ledger.outcomes()), ledger.calls(), ledger.sequences(), ledger.splits()))
        ledger.close()
    assert contents[0] == contents[1]


async def test_two_processes_never_work_in_one_folder(tmp_path: Path) -> None:
    slow = recipe_text(simulator={"latency_ms": 200})
    first = asyncio.create_task(run_in(tmp_path, slow))
    await asyncio.sleep(0.3)
    with pytest.raises(StorageError, match="another sluice is working in"):
        await run_in(tmp_path, slow)
    assert (await first).goal_reached


async def test_nothing_secret_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_KEY", KEY)
    async with simulator() as server:
        result = await run_in(tmp_path, recipe_text(server))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert result.goal_reached


async def test_the_anthropic_wire_makes_a_set_too(tmp_path: Path) -> None:
    async with simulator() as server:
        text = recipe_text(server).replace(f"{server.base_url}/v1", server.base_url).replace('"openai"', '"anthropic"')
        result = await run_in(tmp_path, text)
    assert result.goal_reached
    assert server.counts["/v1/messages", 200] > 0
    assert all(row["simulated"] for row in rows(result.folder / "accepted.jsonl"))
