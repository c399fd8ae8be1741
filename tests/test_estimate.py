"""The arithmetic of `sluice check --estimate`, from a rehearsal that is written down here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gen.estimate import Between, Earlier, candidates_needed, compare, earlier_run, estimate, wilson, yields_of
from gen.recipe import Config, Recipe, parse
from gen.rehearsal import Rehearsal, Rehearsed, Step, part_of, rehearse
from gen.run import run
from gen.sequences import SequenceSpec
from gen.types import Call, SequenceEnd, Usage

PRICE = {"input": 1.0, "output": 10.0}


def config(*, budget: dict[str, Any] | None = None, goal: dict[str, Any] | None = None, **line: Any) -> Config:
    model = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "price": PRICE} | line
    return Config.model_validate(
        {
            "name": "small",
            "models": {"writer": model},
            "strategies": ["self_instruct"],
            "goal": goal or {"accepted": 100},
            "budget": budget or {},
        }
    )


# 100 candidates took 100 answers of 50 + 100 tokens.
HUNDRED = Rehearsed("self_instruct", (100,), 1, 80, 100, (Step("writer", "self_instruct.answer", 100, 5000, 10_000),))
REHEARSAL = Rehearsal((HUNDRED,))


def test_calls_and_tokens_follow_from_the_yields_and_lengths() -> None:
    found = estimate(config(), REHEARSAL, busy=1000)
    assert found.candidates == Between(106, 167)  # 100 / 0.95 and 100 / 0.60, in whole tasks
    assert found.calls == pytest.approx(Between(106, 167))
    step = found.steps[0]
    assert (step.input_tokens, step.output_tokens) == (Between(50, 50), Between(100, 200))
    assert found.tokens == Between(106 * 150, 167 * 250)
    assert found.usd is not None
    assert found.usd.low == pytest.approx(106 * (50 * 1 + 100 * 10) / 1e6)
    assert found.usd.high == pytest.approx(167 * (50 * 1 + 200 * 10) / 1e6)


def test_replies_never_grow_beyond_the_lines_max_tokens() -> None:
    assert estimate(config(max_tokens=150), REHEARSAL, busy=1000).steps[0].output_tokens == Between(100, 150)


def test_an_unknown_price_stays_unknown_and_is_never_0() -> None:
    found = estimate(config(price=None, model="home-made", budget={"calls": 1000}), REHEARSAL, busy=1000)
    assert found.usd is None
    assert (found.models[0].usd, found.models[0].price) == (None, "unknown")


def test_a_cost_is_unknown_where_one_of_two_models_has_no_price() -> None:
    both = config()
    other = both.models["writer"].model_copy(update={"price": None, "model": "home-made"})
    both = both.model_copy(update={"models": {**both.models, "critic": other}})
    judged = Rehearsed("self_instruct", (100,), 1, 80, 100, (*HUNDRED.steps, Step("critic", "rubric.score", 90, 900, 900)))
    found = estimate(both, Rehearsal((judged,)), busy=1000)
    assert found.usd is None
    assert found.usd_known == found.models[0].usd
    assert [one.usd is None for one in found.models] == [False, True]


def test_an_earlier_run_brings_its_own_yields_and_token_counts() -> None:
    earlier = Earlier({"self_instruct": (50, 100)}, {"self_instruct.answer": (60.0, 300.0)})
    found = estimate(config(), REHEARSAL, busy=1000, earlier=earlier)
    assert (found.steps[0].input_tokens, found.steps[0].output_tokens) == (Between(60, 60), Between(300, 300))
    assert found.candidates.low < 200 < found.candidates.high
    assert found.candidates.high < 260


def test_what_an_earlier_run_did_is_read_from_its_ledger() -> None:
    ends = [SequenceEnd("a", "x", 10, 8, 10, "goal_reached"), SequenceEnd("a", "y", 10, 2, 10, "saturated")]
    calls = [Call(f"{n}", "writer", "m", "a.answer", Usage(10 * n, 20), None, "stop", simulated=True) for n in (1, 3)]
    assert earlier_run(ends, calls) == Earlier({"a": (10, 20)}, {"a.answer": (20.0, 20.0)}, simulated=True)


def test_a_strategy_that_the_earlier_run_had_not_takes_the_yield_of_all() -> None:
    earlier = Earlier({"a": (30, 50), "b": (50, 50)}, {})
    assert yields_of("c", earlier) == wilson(80, 100)
    assert yields_of("c", Earlier({}, {})) == Between(0.60, 0.95)


def test_wilsons_interval_agrees_with_the_published_values() -> None:
    found = wilson(81, 263)  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert 0 < wilson(0, 10).low < wilson(0, 10).high < 0.4
    assert wilson(10, 10).high == 1.0


def test_small_quotas_are_bought_in_whole_tasks() -> None:
    one = Rehearsed("self_instruct", (2, 2, 2), 5, 6, 15, ())
    assert candidates_needed(one, Between(0.6, 0.95)) == Between(15, 15)


@pytest.mark.parametrize(
    ("need", "accepted"),
    [
        pytest.param(Between(50, 100), None, id="fits to the last one"),
        pytest.param(Between(80, 200), Between(50, 100), id="may stop"),
        pytest.param(Between(200, 400), Between(25, 50), id="would stop"),
        pytest.param(None, None, id="unknown"),
    ],
)
def test_a_cap_is_compared_with_the_need(need: Between | None, accepted: Between | None) -> None:
    assert compare("budget.calls", 100, need, 100).accepted == accepted


def test_every_cap_of_the_recipe_is_compared() -> None:
    goal = {"accepted": 100, "max_candidates": 120, "max_minutes": 60}
    found = estimate(config(budget={"usd": 9, "tokens": 1000, "calls": 500}, goal=goal), REHEARSAL, busy=1000)
    assert {cap.key: cap.accepted is None for cap in found.caps} == {
        "budget.usd": True,
        "budget.tokens": False,
        "budget.calls": True,
        "goal.max_candidates": False,
        "goal.max_minutes": True,
    }


@pytest.mark.parametrize(
    ("line", "busy", "seconds", "bound"),
    [
        pytest.param({"requests_per_minute": 10}, 1000, Between(636, 1002), "requests_per_minute", id="requests"),
        pytest.param({"tokens_per_minute": 600}, 1000, Between(1590, 4175), "tokens_per_minute", id="tokens"),
        pytest.param({"max_concurrency": 1}, 1000, Between(106 * (1 + 100 / 60), 167 * (1 + 200 / 60)), "max_concurrency", id="slots"),
        pytest.param({}, 1, Between(106 * (1 + 100 / 60), 167 * (1 + 200 / 60)), "max_concurrency", id="few sequences"),
    ],
)
def test_time_is_that_of_the_narrowest_bound(line: dict[str, Any], busy: int, seconds: Between, bound: str) -> None:
    found = estimate(config(**line), REHEARSAL, busy=busy)
    assert (found.seconds.low, found.seconds.high) == pytest.approx((seconds.low, seconds.high))
    assert found.models[0].bound_by == bound


def test_pairs_grow_with_the_accepted_samples_not_with_the_candidates() -> None:
    found = estimate(config(), Rehearsal((HUNDRED,), (Step("writer", "best_of_n.answer", 240, 2400, 2400),)), busy=1000)
    assert found.steps[1].calls == Between(300, 300)


def test_one_purpose_under_two_strategies_is_one_step() -> None:
    judge = Step("writer", "rubric.score", 100, 1000, 1000)
    twice = Rehearsal((Rehearsed("a", (50,), 1, 50, 100, (judge,)), Rehearsed("b", (50,), 1, 50, 100, (judge,))))
    steps = estimate(config(), twice, busy=1000).steps
    assert [(step.purpose, step.input_tokens) for step in steps] == [("rubric.score", pytest.approx(Between(10, 10)))]


def test_a_part_of_a_big_goal_is_spread_over_its_topics() -> None:
    specs = [SequenceSpec("s", None, f"topic {number}", 50) for number in range(100)]
    chosen = part_of(specs, 60)
    assert [spec.topic for spec in chosen][:3] == ["topic 0", "topic 8", "topic 16"]
    assert {spec.quota for spec in chosen} == {5}
    assert part_of([SequenceSpec("s", None, "", 0)], 60) == ()


RECIPE = """\
name: small
seed: 3
models:
  writer: {provider: openai, model: m, base_url: "http://127.0.0.1:9/v1", requests_per_minute: 1}
  critic: {provider: anthropic, model: claude-haiku-4-5}
sources: {topics: [GDPR data retention, Basel III capital]}
strategies:
  - {name: self_instruct, model: writer, instructions_per_call: 3}
  - {name: evol_instruct, model: writer, share: 0.5}
judges: [{name: rubric, model: critic}]
pairs: [{name: best_of_n, model: writer, n: 2}]
goal: {accepted: 24}
"""


async def test_a_rehearsal_asks_the_simulator_only_and_counts_every_step(tmp_path: Path) -> None:
    found = await rehearse(parse(RECIPE, tmp_path / "recipe.yaml"))
    first, second = found.strategies
    assert (first.strategy, sum(first.quotas), first.samples_per_task) == ("self_instruct", 16, 3)
    assert (second.strategy, sum(second.quotas)) == ("evol_instruct", 8)
    assert found.accepted == found.goal == 24
    purposes = {(step.purpose, step.model) for step in first.steps}
    assert purposes >= {("self_instruct.instruct", "writer"), ("self_instruct.answer", "writer"), ("rubric.score", "critic")}
    assert {step.purpose for step in found.pairs} == {"best_of_n.answer", "rubric.compare"}
    assert all(step.calls > 0 and step.input_tokens > 0 and step.output_tokens > 0 for step in (*first.steps, *second.steps))
    assert list(tmp_path.iterdir()) == []


async def test_the_estimate_holds_the_run_that_follows(tmp_path: Path) -> None:
    text = RECIPE.replace(
        '{provider: openai, model: m, base_url: "http://127.0.0.1:9/v1", requests_per_minute: 1}', "{provider: simulator}"
    )
    recipe: Recipe = parse(text.replace("provider: anthropic", "provider: simulator"), tmp_path / "recipe.yaml")
    found = estimate(recipe.config, await rehearse(recipe), busy=1000)
    result = await run(recipe, tmp_path / "run", cache_path=tmp_path / "cache.db")
    session = result.session
    assert found.candidates.low <= result.candidates <= found.candidates.high
    assert found.calls.low <= session.requests <= found.calls.high
    assert found.tokens.low <= session.input_tokens + session.output_tokens <= found.tokens.high


async def test_a_big_goal_is_rehearsed_in_part_and_scaled(tmp_path: Path) -> None:
    recipe = parse(RECIPE.replace("accepted: 24", "accepted: 3000").replace("pairs", "# pairs"), tmp_path / "recipe.yaml")
    small = await rehearse(recipe, most_accepted=30)
    assert (small.goal, small.accepted) == (3000, 40)
    found = estimate(recipe.config, small, busy=1000)
    assert found.candidates.low >= 3000
    assert found.calls.low > 6000
