from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeModel

from gen.errors import RecipeError, RequestRejected, Unavailable
from gen.gates.score import ScoreGate
from gen.judges.moderation import Moderation
from gen.llm import moderation as endpoint
from gen.llm.cache import Cache
from gen.llm.client import Client
from gen.llm.prices import cost_of, price_of
from gen.parts import build_parts
from gen.recipe import BudgetLine, ModelLine, parse
from gen.simulator.options import SimulatorOptions
from gen.simulator.server import serve
from gen.types import Message, Provenance, Request, Sample, Usage

HARMLESS = (Message("system", "Be kind."), Message("user", "How do I bake bread?"), Message("assistant", "Knead, wait, bake."))
HARMFUL = (Message("user", "Tell me a story."), Message("assistant", "First, poison the well, then murder the guard."))


@asynccontextmanager
async def client(cache: Cache | None = None, **options: Any) -> AsyncIterator[Client]:
    """A client whose `guard` is the simulator's moderations endpoint, reached over HTTP by the real SDK."""
    async with serve(SimulatorOptions(**options)) as server:
        line = ModelLine(provider="openai", model="omni-moderation-latest", base_url=f"{server.base_url}/v1")
        async with Client({"guard": line}, cache=cache) as opened:
            yield opened


async def test_the_endpoints_scores_become_the_samples_over_the_real_wire() -> None:
    async with client() as opened:
        safe = await Moderation("guard").score(Sample("s1", HARMLESS), opened.generate)
        unsafe = await Moderation("guard").score(Sample("s2", HARMFUL), opened.generate)
    assert safe.scores["moderation"].value == 0.001
    assert unsafe.scores["moderation"].value == 0.93
    assert unsafe.scores["moderation"].reason == "violence"
    assert unsafe.scores["moderation.hate"].value == 0.001
    assert len(unsafe.provenance.requests) == 1
    assert unsafe.provenance.simulated
    gate = ScoreGate("moderation", maximum=0.5)
    assert gate.check(safe).keep
    assert gate.check(unsafe).reason == "above_maximum"
    assert ScoreGate("moderation", maximum=0.5, aspect="hate").check(unsafe).keep


async def test_the_embedded_simulator_moderates_too() -> None:
    async with Client({"guard": ModelLine(provider="simulator", model="omni-moderation-latest")}, cache=None) as opened:
        scored = await Moderation("guard").score(Sample("s1", HARMFUL), opened.generate)
    assert scored.scores["moderation"].reason == "violence"


async def test_equal_texts_are_asked_about_once_and_replayed_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.db")
    async with client(cache) as opened:
        for name in ("s1", "s2"):
            await Moderation("guard").score(Sample(name, HARMLESS), opened.generate)
        stats = opened.stats
    await cache.close()
    assert (stats.requests, stats.cache_hits) == (1, 1)


async def test_a_passing_fault_is_retried() -> None:
    async with client(rate_limit_first=1) as opened:
        scored = await Moderation("guard").score(Sample("s1", HARMFUL), opened.generate)
        assert opened.stats.rate_limited == 1
    assert scored.scores["moderation"].value == 0.93


async def test_all_turns_but_the_system_prompt_are_looked_at_each_on_its_own() -> None:
    model = FakeModel(lambda _: '{"hate": 0.2, "violence": 0.7}')
    await Moderation("guard").score(Sample("s1", HARMLESS), model)
    assert model.requests[0].messages == HARMLESS[1:]
    line = ModelLine(provider="openai", model="omni-moderation-latest")
    payload = endpoint.build_payload(model.requests[0], line)
    assert payload == {"model": "omni-moderation-latest", "input": ["How do I bake bread?", "Knead, wait, bake."]}


@pytest.mark.parametrize("text", ["", "fine", "[]", '{"hate": "high"}', '{"hate": 7}', '{"hate": true}'])
async def test_a_reply_without_scores_is_no_score(text: str) -> None:
    scored = await Moderation("guard").score(Sample("s1", HARMLESS), FakeModel(lambda _: text))
    assert scored.scores["moderation"].value is None
    assert scored.scores["moderation"].reason.startswith("unreadable opinion: ")


async def test_a_failed_call_and_an_empty_conversation_are_no_score() -> None:
    failed = await Moderation("guard", name="harm").score(
        Sample("s1", HARMLESS, provenance=Provenance(requests=("r",))), FakeModel(lambda _: RequestRejected("no", reason="bad_request"))
    )
    assert failed.scores["harm"].reason == "no opinion: the call failed (bad_request)"
    assert failed.provenance.requests == ("r",)
    model = FakeModel(lambda _: "{}")
    empty = await Moderation("guard").score(Sample("s1", (Message("user", " "),)), model)
    assert empty.scores["moderation"].value is None
    assert model.requests == []


def body(*scores: dict[str, Any]) -> bytes:
    return json.dumps({"model": "omni", "results": [{"category_scores": one} for one in scores]}).encode()


def test_each_category_keeps_its_highest_score_over_the_texts() -> None:
    reply = endpoint.parse_response(body({"hate": 0.1, "violence": 0.9}, {"hate": 0.4, "violence": 0.2}), {})
    assert json.loads(reply.text) == {"hate": 0.4, "violence": 0.9}
    assert reply.model == "omni"
    assert not reply.simulated


@pytest.mark.parametrize("broken", [b"{}", b'{"results": []}', body({}), body({"hate": 0.1}, {}), b"<html>"])
def test_a_body_without_scores_is_a_malformed_reply(broken: bytes) -> None:
    with pytest.raises(Unavailable) as error:
        endpoint.parse_response(broken, {})
    assert error.value.reason == "malformed_reply"


def test_openais_own_endpoint_is_free_and_so_keeps_any_budget() -> None:
    price = price_of(ModelLine(provider="openai", model="omni-moderation-latest"))
    assert price is not None
    assert cost_of(Usage(), price) == 0
    elsewhere = ModelLine(provider="openai", model="some-moderation", base_url="http://127.0.0.1:9/v1")
    assert price_of(elsewhere) is None


async def test_a_budget_in_dollars_counts_it_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    Client({"guard": ModelLine(provider="openai", model="omni-moderation-latest")}, cache=None, budget=BudgetLine(usd=1)).check()


RECIPE = """\
name: small
models:
  writer: {{provider: simulator}}
  guard: {{provider: simulator, model: omni-moderation-latest}}
strategies: [{{name: self_instruct, model: {writer}}}]
judges: [{{name: moderation, model: {guard}}}]
gates: [{{name: score, judge: moderation, maximum: 0.5}}]
pairs: {pairs}
goal: {{accepted: 2}}
"""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guard": "writer"}, "judges.0..model: this needs a moderation model"),
        ({"writer": "guard"}, r"strategies.0..model: 'guard' is a moderation model \(omni-moderation-latest\): it writes no text"),
        ({"pairs": "[{name: best_of_n, model: writer, judge: moderation}]"}, "the judge 'moderation' cannot compare answers"),
    ],
)
def test_a_model_in_the_wrong_place_is_an_error_of_the_recipe(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    given = {"writer": "writer", "guard": "guard", "pairs": "[]"}
    build_parts(parse(RECIPE.format(**given), tmp_path / "r.yaml"))
    with pytest.raises(RecipeError, match=message):
        build_parts(parse(RECIPE.format(**(given | changes)), tmp_path / "r.yaml"))


async def test_a_request_with_a_raw_prompt_is_moderated_as_one_text() -> None:
    line = ModelLine(provider="openai", model="omni-moderation-latest")
    assert endpoint.build_payload(Request("guard", prompt="x"), line)["input"] == ["x"]
