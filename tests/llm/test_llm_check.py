from __future__ import annotations

from typing import Any

import pytest

from gen.errors import RecipeError
from gen.llm.check import check_models
from gen.llm.prices import cost_of, price_of
from gen.recipe import BudgetLine, ModelLine
from gen.types import Usage

KEYS = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant"}


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        (
            {"provider": "opnai"},
            "provider",
            "unknown provider 'opnai': did you mean 'openai'? choose from anthropic, command, openai, perspective, search, simulator",
        ),
        ({"provider": "openai", "model": " "}, "model", "name the model"),
        ({"provider": "openai", "model": "m", "api_key_env": "MY_KEY"}, "api_key_env", "MY_KEY is not set"),
        ({"provider": "openai", "model": "m", "base_url": "localhost:8000"}, "base_url", "not an address"),
        ({"provider": "openai", "model": "m", "base_url": "http://me:secret@host/v1"}, "base_url", "must hold no user, password"),
        ({"provider": "openai", "model": "m", "base_url": "http://host:99999/v1"}, "base_url", "not an address"),
        ({"provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 1.5}, "temperature", "up to 1, got 1.5"),
        ({"provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 1, "top_p": 0.5}, "top_p", "not both"),
        ({"provider": "openai", "model": "o3-mini", "temperature": 1}, "temperature", "'o3-mini' takes no temperature"),
        ({"provider": "openai", "model": "m", "extra_body": {"max_tokens": 9}}, "extra_body.max_tokens", "set by Sluice"),
        ({"provider": "simulator", "base_url": "http://host/v1"}, "base_url", "use `provider: openai`"),
        ({"provider": "simulator", "simulator": {"latncy_ms": 3}}, "simulator.latncy_ms", "unknown simulator option 'latncy_ms'"),
        ({"provider": "simulator", "simulator": {"faults": {"reset": 2}}}, "simulator.faults.reset", "0 to 1"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." not in value and " " not in value else None,
)
def test_a_bad_line_is_named_with_its_key(line: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_models({"writer": ModelLine.model_validate(line)}, BudgetLine(), KEYS)
    assert caught.value.key == f"models.writer.{key}"
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(RecipeError, match="OPENAI_API_KEY is not set"):
        check_models({"writer": ModelLine(provider="openai", model="m")}, BudgetLine(), {})


def test_a_key_with_a_line_break_in_it_is_refused_without_being_shown() -> None:
    with pytest.raises(RecipeError, match="holds characters that no key has") as caught:
        check_models({"writer": ModelLine(provider="openai", model="m")}, BudgetLine(), {"OPENAI_API_KEY": "sk-a\nb"})
    assert "sk-a" not in str(caught.value)


def test_the_vendors_key_is_never_sent_to_another_server() -> None:
    line = ModelLine(provider="openai", model="m", base_url="http://127.0.0.1:8000/v1")
    assert check_models({"writer": line}, BudgetLine(), KEYS)["writer"].endpoint.api_key == ""


def test_a_key_written_where_its_variable_belongs_is_not_shown() -> None:
    key = "sk-" + "proj-abcdefghijklmnop"
    line = ModelLine(provider="openai", model="gpt-4.1-mini", api_key_env=key)
    with pytest.raises(RecipeError, match="the NAME of an environment variable") as caught:
        check_models({"writer": line}, BudgetLine(), KEYS)
    assert key not in str(caught.value)


def test_a_usd_budget_needs_every_price() -> None:
    line = ModelLine(provider="openai", model="home-made", base_url="http://127.0.0.1:8000/v1")
    with pytest.raises(RecipeError, match="price of 'home-made' is unknown") as caught:
        check_models({"writer": line}, BudgetLine(usd=1), KEYS)
    assert caught.value.key == "models.writer.price"


def test_other_budgets_need_no_price() -> None:
    line = ModelLine(provider="openai", model="home-made", base_url="http://127.0.0.1:8000/v1")
    assert check_models({"writer": line}, BudgetLine(tokens=1, calls=1), KEYS)["writer"].price is None


def test_keys_do_not_show_in_repr() -> None:
    route = check_models({"writer": ModelLine(provider="openai", model="gpt-4.1-mini")}, BudgetLine(), KEYS)["writer"]
    assert route.endpoint.api_key == "sk-test"
    assert "sk-test" not in repr(route)


def test_limits_are_per_model_at_the_vendors_and_per_key_elsewhere() -> None:
    def same(**more: Any) -> bool:
        lines = {name: ModelLine(provider="openai", model=name, **more) for name in ("a", "b")}
        routes = check_models(lines, BudgetLine(), KEYS)
        return routes["a"].limits_key == routes["b"].limits_key

    assert not same()
    assert same(base_url="http://127.0.0.1:8000/v1")


def test_a_published_price_is_known_and_dated() -> None:
    price = price_of(ModelLine(provider="openai", model="gpt-4.1-mini"))
    assert price is not None
    assert price.source.startswith("genai-prices ")
    assert cost_of(Usage(1_000_000, 1_000_000), price) == pytest.approx(0.4 + 1.6)
    assert cost_of(Usage(1_000_000, 0, 1_000_000), price) == pytest.approx(0.1)


def test_a_price_that_depends_on_the_prompts_length_is_asked_for_call_by_call() -> None:
    price = price_of(
        ModelLine(provider="openai", model="gemini-2.5-pro", base_url="https://generativelanguage.googleapis.com/v1beta/openai")
    )
    assert price is not None
    short, long = price.cost(Usage(100_000, 0)), price.cost(Usage(400_000, 0))
    assert long > 4 * short


def test_the_recipes_price_wins_and_unknown_is_none() -> None:
    line = ModelLine(provider="openai", model="gpt-4.1-mini", price={"input": 3, "output": 5})  # type: ignore[arg-type]
    assert cost_of(Usage(1_000_000, 1_000_000, 500_000), price_of(line)) == pytest.approx(8.0)
    assert price_of(ModelLine(provider="openai", model="nobody-knows-this")) is None
    assert cost_of(Usage(5, 5), None) is None


def test_the_simulator_is_free_unless_the_line_says_otherwise() -> None:
    assert cost_of(Usage(5, 5), price_of(ModelLine())) == 0.0
    assert cost_of(Usage(1_000_000, 0), price_of(ModelLine(price={"input": 2, "output": 2}))) == 2.0  # type: ignore[arg-type]
