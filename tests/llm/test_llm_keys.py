from __future__ import annotations

from typing import Any

import pytest

from gen.llm.keys import line_identity, request_key
from gen.llm.provider import wire_seed
from gen.recipe import ModelLine, PriceLine
from gen.types import Message, Request, Sampling


def key(request: Request, line: ModelLine) -> str:
    return request_key(request, line, line_identity(line))


LINE = ModelLine(provider="openai", model="m")
REQUEST = Request(model="writer", messages=(Message("system", "s"), Message("user", "u")))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("system", "s"), Message("user", "other"))},
        {"messages": (Message("user", "s"), Message("user", "u"))},
        {"messages": (Message("user", "u"), Message("system", "s"))},
        {"messages": (), "prompt": "u"},
        {"sampling": Sampling(temperature=0.1)},
        {"sampling": Sampling(top_p=0.5)},
        {"sampling": Sampling(max_tokens=7)},
        {"sampling": Sampling(stop=("x",))},
        {"response_schema": '{"type":"object"}'},
        {"draw": 1},
    ],
    ids=lambda change: ",".join(change),
)
def test_what_can_change_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    values = {name: getattr(REQUEST, name) for name in ("model", "messages", "prompt", "sampling", "response_schema", "draw")}
    assert key(Request(**(values | change)), LINE) != key(REQUEST, LINE)


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "anthropic"},
        {"model": "other"},
        {"base_url": "http://127.0.0.1:8000/v1"},
        {"temperature": 0.3},
        {"top_p": 0.3},
        {"max_tokens": 5},
        {"extra_body": {"top_k": 3}},
    ],
    ids=lambda change: ",".join(change),
)
def test_what_a_line_says_about_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    assert key(REQUEST, LINE.model_copy(update=change)) != key(REQUEST, LINE)


@pytest.mark.parametrize(
    "change",
    [
        {"timeout_seconds": 1.0},
        {"requests_per_minute": 5.0},
        {"tokens_per_minute": 5.0},
        {"max_concurrency": 1},
        {"price": PriceLine(input=1, output=1)},
        {"api_key_env": "OTHER"},
        {"tokenizer": "t"},
        {"base_url": "https://api.openai.com/v1/"},
    ],
    ids=lambda change: ",".join(change),
)
def test_what_cannot_change_the_answer_keeps_the_key(change: dict[str, Any]) -> None:
    assert key(REQUEST, LINE.model_copy(update=change)) == key(REQUEST, LINE)


def test_name_purpose_and_step_keep_the_key() -> None:
    other = Request(model="critic", messages=REQUEST.messages, purpose="judge", step=3)
    assert key(other, LINE) == key(REQUEST, LINE)


def test_a_default_of_the_line_and_the_same_value_in_the_request_are_one_key() -> None:
    warm = Request(model="writer", messages=REQUEST.messages, sampling=Sampling(temperature=0.8, max_tokens=1024))
    assert key(warm, LINE) == key(REQUEST, LINE.model_copy(update={"temperature": 0.8}))


def test_simulators_differ_by_seed_and_flaws_but_not_by_latency_or_faults() -> None:
    def of(**options: Any) -> str:
        return key(REQUEST, ModelLine(provider="simulator", simulator=options))

    assert of(seed=1) != of(seed=2)
    assert of(flaws={"refusal": 0.5}) != of()
    assert of(latency_ms=50, faults={"reset": 0.1}, requests_per_minute=60) == of()


def test_a_key_is_a_whole_sha256() -> None:
    assert len(key(REQUEST, LINE)) == 64


@pytest.mark.parametrize("draw", [0, 1, 2**31, 2**64 - 1, 2**80 + 5, -1])
def test_seeds_on_the_wire_fit_32_bits(draw: int) -> None:
    assert 0 <= wire_seed(draw) < 2**32


def test_draws_that_differ_in_high_bits_only_are_sent_as_different_seeds() -> None:
    assert wire_seed(5) != wire_seed(5 + 2**40)
