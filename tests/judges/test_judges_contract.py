"""What every judge promises, whichever it is: run over all judge plugins found, against replies of every kind."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from fakes import FakeModel

from gen import plugins
from gen.errors import RequestRejected, ServiceStopped
from gen.gates.score import ScoreGate
from gen.llm.client import Client
from gen.prompts import load
from gen.recipe import ModelLine
from gen.types import Message, Provenance, Sample, canonical_json

NAMES = plugins.names("judges")
NEEDED: dict[str, dict[str, Any]] = {"claims": {"lookup": "web"}}
MODELS = {"moderation": "omni-moderation-latest", "llama_guard": "Llama-Guard-3-8B"}
PASSAGE = "Records of invoices are kept for ten years, counted from the end of the year in which they were written. " * 4
ASK = Message("user", f"How long are invoices kept? Answer by this text:\n\n{PASSAGE}")
SAMPLE = Sample(
    "s1",
    (ASK, Message("assistant", "Invoices are kept for ten years. The years are counted from the end of the year they were written in.")),
    provenance=Provenance(requests=("written",), notes={"persona": "clerk"}),
)


def judge(name: str, /, **options: Any) -> Any:
    return plugins.build("judges", name, {"model": "critic"} | NEEDED.get(name, {}) | options)


async def by_the_simulator(name: str) -> Sample:
    line = ModelLine(provider="simulator", model=MODELS.get(name, "critic"), simulator={"flaws": {}})
    async with Client({"critic": line, "web": ModelLine(provider="simulator")}, cache=None) as client:
        scored: Sample = await judge(name).score(SAMPLE, client.generate)
    return scored


def test_every_file_of_the_room_is_a_judge() -> None:
    wanted = {"rubric", "claims", "faithfulness", "agreement", "tags", "llama_guard", "perspective", "reward", "moderation"}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_names_its_models_and_ships_its_prompts(name: str) -> None:
    one = judge(name)
    assert "critic" in one.models
    for prompt in getattr(one, "prompts", ()):
        assert load(prompt).version >= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_says_what_its_options_are(name: str) -> None:
    told = inspect.getdoc(plugins.find("judges", name)) or ""
    for option in plugins.options(plugins.find("judges", name)):
        if option not in ("temperature", "max_tokens", "tries", "structured", "name"):
            assert f"`{option}" in told, f"{name} says nothing of {option}"


@pytest.mark.parametrize("name", NAMES)
async def test_the_simulator_answers_it_with_a_score_whose_parts_a_gate_may_name(name: str) -> None:
    scored = await by_the_simulator(name)
    assert scored.scores[name].value is not None, scored.scores[name].reason
    for part in getattr(judge(name), "aspects_scored", ()):
        verdict = ScoreGate(name, minimum=-100, aspect=part).check(scored)
        assert verdict.keep, verdict.detail


@pytest.mark.parametrize("name", NAMES)
async def test_what_it_does_twice_is_the_same_to_the_byte(name: str) -> None:
    first, again = await by_the_simulator(name), await by_the_simulator(name)
    assert canonical_json([first.scores, first.provenance]) == canonical_json([again.scores, again.provenance])


@pytest.mark.parametrize("name", NAMES)
async def test_its_requests_join_the_samples_and_carry_its_name(name: str) -> None:
    scored = await by_the_simulator(name)
    assert scored.provenance.requests[0] == "written"
    assert len(scored.provenance.requests) > 1
    assert scored.provenance.simulated
    assert scored.provenance.notes["persona"] == "clerk"
    model = FakeModel(lambda _: "nothing readable")
    await judge(name, name="mine").score(SAMPLE, model)
    assert all(request.purpose.startswith("mine.") for request in model.requests)


ODD = ["", "fine", "[]", "{}", "null", "5", '{"claims": 7}', "<html>", "safe?", "reward:", "\x00\ud800", '{"a":' * 2000]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "agreement"])
@pytest.mark.parametrize("reply", ODD, ids=lambda reply: json.dumps(reply[:12]))
async def test_a_reply_that_is_no_opinion_is_no_score_with_a_reason(name: str, reply: str) -> None:
    scored = await judge(name).score(SAMPLE, FakeModel(lambda _: reply))
    assert scored.scores[name].value is None
    assert scored.scores[name].reason.startswith(("unreadable opinion: ", "no opinion: "))
    assert ScoreGate(name, minimum=-100).check(scored).reason == "no_score"


@pytest.mark.parametrize("name", NAMES)
async def test_a_call_that_failed_for_good_is_no_score_and_never_the_prompt(name: str) -> None:
    scored = await judge(name).score(SAMPLE, FakeModel(lambda _: RequestRejected("no: How long are invoices", reason="bad_request")))
    assert scored.scores[name].value is None
    assert "invoices" not in scored.scores[name].reason


@pytest.mark.parametrize("name", NAMES)
async def test_the_end_of_the_service_ends_the_run(name: str) -> None:
    with pytest.raises(ServiceStopped):
        await judge(name).score(SAMPLE, FakeModel(lambda _: ServiceStopped("gone", reason="invalid_key")))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "messages",
    [
        pytest.param((), id="no messages"),
        pytest.param((Message("user", ""),), id="an empty question"),
        pytest.param((Message("system", "Be kind."), Message("assistant", "")), id="an empty answer"),
        pytest.param((Message("tool", "42"), Message("user", "Why?"), Message("user", "Why?")), id="a tool, two users"),
        pytest.param((Message("user", "\x00\u202e{{ 7 * 7 }}"), Message("assistant", "END ANSWER 1\n{% raw %}")), id="markup and controls"),
    ],
)
async def test_odd_conversations_get_a_score_or_a_reason(name: str, messages: tuple[Message, ...]) -> None:
    scored = await judge(name).score(Sample("s1", messages), FakeModel(lambda _: "safe"))
    assert name in scored.scores
    assert scored.scores[name].value is not None or scored.scores[name].reason
