from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.llm.capabilities import FAMILIES, ModelCapabilities, capabilities_of
from gen.llm.check import check_models
from gen.llm.keys import line_identity, request_key
from gen.llm.providers import anthropic, openai
from gen.recipe import BudgetLine, CapabilitiesLine, ModelLine
from gen.types import Message, Request, Sampling

ENVIRON = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
SCHEMA = '{"type":"object"}'


def line(provider: str, model: str, **more: Any) -> ModelLine:
    return ModelLine.model_validate({"provider": provider, "model": model} | more)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.provider} {' '.join(family.models)}"[:60])
def test_every_line_names_its_source_and_date_and_known_capabilities(family: Any) -> None:
    assert family.source
    assert date.fromisoformat(family.seen)
    assert set(family.differs) <= {item.name for item in fields(ModelCapabilities)}


def test_the_recipe_can_say_everything_that_it_may_correct() -> None:
    assert set(CapabilitiesLine.model_fields) <= {item.name for item in fields(ModelCapabilities)}


@pytest.mark.parametrize(
    ("provider", "model", "temperature", "json_schema", "minimum"),
    [
        ("openai", "gpt-4.1-mini", True, True, 1024),
        ("openai", "gpt-4-turbo", True, False, 1024),
        ("openai", "gpt-5-mini", False, True, 1024),
        ("openai", "gpt-5-chat-latest", True, True, 1024),
        ("openai", "o3-mini", False, True, 1024),
        ("anthropic", "claude-haiku-4-5", True, True, 4096),
        ("anthropic", "claude-sonnet-4-5-20250929", True, True, 1024),
        ("anthropic", "claude-3-5-haiku-latest", True, False, 2048),
        ("anthropic", "claude-opus-4-7", False, True, 4096),
        ("anthropic", "claude-of-next-year", False, True, 4096),
    ],
)
def test_the_last_line_that_fits_wins(provider: str, model: str, temperature: bool, json_schema: bool, minimum: int) -> None:
    able = capabilities_of(line(provider, model))
    assert (able.temperature, able.json_schema, able.cache_minimum_tokens) == (temperature, json_schema, minimum)


def test_a_hosted_models_limits_do_not_hold_for_another_server() -> None:
    elsewhere = capabilities_of(line("openai", "gpt-5", base_url="http://gateway.test/v1"))
    assert (elsewhere.temperature, elsewhere.raw_prompt, elsewhere.prompt_caching) == (True, True, "none")
    assert not capabilities_of(line("openai", "gpt-5", base_url="https://api.openai.com/v1/")).temperature


def test_the_recipes_word_is_the_last() -> None:
    assert capabilities_of(line("openai", "gpt-5.2", capabilities={"temperature": True})).temperature
    check_models({"w": line("openai", "gpt-5.2", temperature=0.5, capabilities={"temperature": True})}, BudgetLine(), ENVIRON)


@pytest.mark.parametrize(
    ("more", "key", "says"),
    [
        ({"provider": "openai", "model": "gpt-5", "temperature": 0.7}, "temperature", "takes no temperature; remove it"),
        ({"provider": "anthropic", "model": "claude-opus-5", "top_p": 0.9}, "top_p", "takes no top_p"),
        ({"provider": "openai", "model": "gpt-4o", "max_tokens": 20_000}, "max_tokens", "writes at most 16384 tokens"),
    ],
)
def test_what_a_model_refuses_is_told_before_anything_is_sent(more: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        check_models({"w": ModelLine.model_validate(more)}, BudgetLine(), ENVIRON)
    assert caught.value.key == f"models.w.{key}"


def test_a_judges_temperature_is_not_sent_where_the_model_takes_none() -> None:
    request = Request("w", (Message("user", "hi"),), sampling=Sampling(temperature=0.0))
    assert "temperature" not in openai.build_payload(request, line("openai", "gpt-5"))[1]
    assert "temperature" not in anthropic.build_payload(request, line("anthropic", "claude-opus-4-7"))
    assert anthropic.build_payload(request, line("anthropic", "claude-haiku-4-5"))["temperature"] == 0.0


def test_a_schema_goes_into_words_where_the_server_has_no_parameter_for_it() -> None:
    request = Request("w", (Message("system", "Be kind."), Message("user", "hi")), response_schema=SCHEMA)
    plain = line("openai", "m", base_url="http://server.test/v1", capabilities={"json_schema": False})
    body = openai.build_payload(request, plain)[1]
    assert "response_format" not in body
    assert body["messages"][0]["content"].startswith("Be kind.\n\nAnswer with one JSON value")
    assert body["messages"][0]["content"].endswith(SCHEMA)


def test_a_model_without_a_system_role_is_told_in_the_first_user_turn() -> None:
    gemma = line("openai", "gemma", base_url="http://server.test/v1", capabilities={"system_role": False, "seed": False})
    body = openai.build_payload(Request("w", (Message("system", "Be kind."), Message("user", "hi"))), gemma)[1]
    assert body["messages"] == [{"role": "user", "content": "Be kind.\n\nhi"}]
    assert "seed" not in body


def test_a_correction_that_changes_the_body_changes_the_key_and_no_other_does() -> None:
    request = Request("w", (Message("user", "hi"),), response_schema=SCHEMA)

    def key(**capabilities: Any) -> str:
        own = line("openai", "m", base_url="http://server.test/v1", capabilities=capabilities)
        return request_key(request, own, line_identity(own))

    assert key(json_schema=False) != key()
    assert key(prompt_caching="automatic", embedding_inputs=8, raw_prompt=False) == key()
