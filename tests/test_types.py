from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.types import Malformed, Message, Outcome, Sample, Task, Verdict, canonical_json, digest, freeze, kept, rejected, thaw

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_frozen_json_thaws_to_what_it_was(value: Any) -> None:
    assert thaw(freeze(value)) == value


@given(JSON)
def test_a_digest_is_the_same_whatever_the_order_of_keys_and_whether_frozen(value: Any) -> None:
    turned = dict(reversed(value.items())) if isinstance(value, dict) else value
    assert digest(turned) == digest(freeze(value)) == digest(value)
    assert len(digest(value)) == 16


@given(JSON)
def test_canonical_json_is_json_of_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_a_number_that_is_none_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        canonical_json(float("nan"))


def test_a_lone_surrogate_is_hashed_as_it_is() -> None:
    assert digest("\ud800") != digest("\ufffd")


def test_the_same_content_is_the_same_task_and_any_difference_another() -> None:
    task = Task("s", "t", 0, 0, 7, {"a": [1, {"b": 2}]})
    assert task.id == Task("s", "t", 0, 0, 7, {"a": (1, {"b": 2})}).id
    others = [("x", "t", 0, 0, 7), ("s", "x", 0, 0, 7), ("s", "t", 1, 0, 7), ("s", "t", 0, 1, 7), ("s", "t", 0, 0, 8)]
    assert len({Task(*fields, {"a": [1, {"b": 2}]}).id for fields in others} | {task.id, Task("s", "t", 0, 0, 7).id}) == 7


def test_what_a_task_holds_cannot_change_behind_its_back() -> None:
    inputs: dict[str, Any] = {"a": [1]}
    task = Task("s", "t", 0, 0, 7, inputs)
    inputs["a"].append(2)
    assert task.inputs["a"] == (1,)
    with pytest.raises(TypeError):
        task.inputs["a"] = 3  # type: ignore[index]


TASK = Task("s", "t", 0, 0, 7)
SAMPLE = Sample("id", (Message("user", "a"), Message("assistant", "b"), Message("user", "c")))


def test_the_first_failed_verdict_names_the_fate_and_all_are_listed() -> None:
    outcome = Outcome(TASK, SAMPLE, (kept("schema"), rejected("length", "too_short", "3 words"), rejected("pii", "email")))
    assert not outcome.accepted
    assert outcome.failure == rejected("length", "too_short", "3 words")
    assert outcome.reasons == ("length/too_short", "pii/email")


def test_a_warning_is_no_failure() -> None:
    outcome = Outcome(TASK, SAMPLE, (Verdict(keep=True, gate="length", reason="too_short"),))
    assert (outcome.accepted, outcome.failure, outcome.reasons) == (True, None, ())


def test_what_never_became_a_sample_is_rejected_by_its_own_gate() -> None:
    outcome = Outcome(TASK, Malformed("id", "not_a_list", detail="prose"))
    assert not outcome.accepted
    assert outcome.failure == rejected("parse", "not_a_list", "prose")
    assert outcome.reasons == ("parse/not_a_list",)


def test_first_and_last_of_a_role() -> None:
    assert (SAMPLE.first("user"), SAMPLE.last("user"), SAMPLE.last("assistant"), SAMPLE.first("system")) == ("a", "c", "b", "")
