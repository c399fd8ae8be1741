from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from gen import plugins
from gen.errors import RecipeError
from gen.recipe import DEFAULT_GATES

EVERY = [(room, name) for room in plugins.ROOMS for name in plugins.names(room)]


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_every_plugin_is_a_frozen_dataclass_that_explains_itself(room: str, name: str) -> None:
    plugin = plugins.find(room, name)
    assert is_dataclass(plugin)
    assert plugin.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert plugin.__doc__
    assert not any(option.startswith("_") for option in plugins.options(plugin))


@pytest.mark.parametrize("name", DEFAULT_GATES)
def test_every_gate_of_the_default_chain_needs_no_option(name: str) -> None:
    assert isinstance(plugins.build("gates", name, {}), plugins.find("gates", name))


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_what_is_required_is_asked_for_by_name(room: str, name: str) -> None:
    for option in plugins.required(plugins.find(room, name))[:1]:
        with pytest.raises(RecipeError, match=f"needs the option '{option}'") as caught:
            plugins.build(room, name, {})
        assert caught.value.key == option


@pytest.mark.parametrize("name", ["lenght", "__init__", "_x", "../length", "os.path", "", "Length"])
def test_a_name_that_is_none_lists_the_right_ones(name: str) -> None:
    with pytest.raises(RecipeError, match="unknown gate") as caught:
        plugins.build("gates", name, {})
    assert "choose from balance, conflict, contamination, " in str(caught.value)


def test_a_close_name_is_suggested() -> None:
    assert plugins.suggest("lenght", ["language", "length"]) == "did you mean 'length'? choose from language, length"
    assert plugins.suggest("x", []) == "choose from (none)"


def test_private_fields_are_no_options() -> None:
    gate = plugins.find("gates", "near_dup")
    private = {item.name for item in fields(gate)} - set(plugins.options(gate))
    assert private
    with pytest.raises(RecipeError, match="unknown option"):
        plugins.build("gates", "near_dup", dict.fromkeys(private))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"threshold": "high"}, "option 'threshold' of gate 'near_dup': input should be a valid number", id="type"),
        pytest.param({"on": "both sides"}, "option 'on' of gate 'near_dup': input should be ", id="choice"),
        pytest.param({"threshold": 7}, "gate 'near_dup': threshold is a share of words, more than 0 and at most 1, got 7", id="bounds"),
        pytest.param({"threshhold": 0.5}, "unknown option 'threshhold' of gate 'near_dup': did you mean 'threshold'?", id="name"),
    ],
)
def test_a_wrong_option_names_itself_and_what_is_right(given: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plugins.build("gates", "near_dup", given)
    assert message in str(caught.value)
