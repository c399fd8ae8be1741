"""Options of the simulator: what may be given, what is an error, what belongs into a cache key."""

from __future__ import annotations

from typing import Any

import pytest

from gen.errors import RecipeError
from gen.simulator.options import DEFAULT_FLAWS, SimulatorOptions, from_mapping


def test_identity_holds_what_changes_a_text_and_nothing_else() -> None:
    plain = SimulatorOptions(seed=3)
    other = SimulatorOptions(
        seed=3, latency_ms=5, requests_per_minute=10, faults={"reset": 0.5}, api_key="k", hang_seconds=1, models=("m",)
    )
    assert plain.identity() == other.identity()
    assert plain.identity() != SimulatorOptions(seed=4).identity()
    assert plain.identity() != SimulatorOptions(seed=3, flaws={}).identity()
    assert set(plain.identity()) == {"version", "seed", "flaws"}


def test_a_flaw_with_rate_0_is_the_same_as_none() -> None:
    assert SimulatorOptions(flaws={"pii": 0.0}).identity() == SimulatorOptions(flaws={}).identity()


def test_flaws_of_a_mapping_replace_the_defaults_of_their_names() -> None:
    flaws = from_mapping({"flaws": {"refusal": 0.5}}).flaws
    assert flaws["refusal"] == 0.5
    assert flaws["pii"] == DEFAULT_FLAWS["pii"]


def test_a_number_scales_all_flaws() -> None:
    assert not any(from_mapping({"flaws": 0}).flaws.values())
    assert from_mapping({"flaws": 2}).flaws["pii"] == 2 * DEFAULT_FLAWS["pii"]
    assert from_mapping({}).identity() == SimulatorOptions().identity()


def test_a_key_is_never_shown() -> None:
    assert "hidden" not in repr(SimulatorOptions(api_key="hidden"))


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({"sed": 3}, "sed", "did you mean 'seed'"),
        ({"flaws": {"refusals": 0.1}}, "flaws.refusals", "did you mean 'refusal'"),
        ({"faults": {"crash": 0.1}}, "faults.crash", "choose from rate_limit, server_error"),
        ({"flaws": {"pii": 1.5}}, "flaws.pii", "from 0 to 1, got 1.5"),
        ({"flaws": "none"}, "flaws", "must be a number, got 'none'"),
        ({"faults": {"reset": 0.7, "hang": 0.7}}, "faults", "add up to 1 at most, got 1.4"),
        ({"faults": 3}, "faults", "must be a mapping"),
        ({"seed": "x"}, "seed", "whole number, got 'x'"),
        ({"latency_ms": -1}, "latency_ms", "at least 0"),
        ({"requests_per_minute": 0}, "requests_per_minute", "above 0"),
        ({"tokens_per_minute": float("nan")}, "tokens_per_minute", "must be a number"),
        ({"rate_limit_first": 1.5}, "rate_limit_first", "whole number"),
        ({"models": "gpt"}, "models", "list of model names"),
        ({"models": [1]}, "models", "list of model names"),
        ({"reject_containing": ""}, "reject_containing", "not empty"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(given: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as failed:
        from_mapping(given)
    assert failed.value.key == key
