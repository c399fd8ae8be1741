"""The card's fields: typed, checked, and every blank named."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gen.card import NOT_STATED, REQUIRED, CardFields, blanks, stated


def test_an_empty_card_names_every_required_field() -> None:
    assert blanks(CardFields()) == list(REQUIRED)
    assert all(stated(CardFields(), name) == NOT_STATED for name in REQUIRED)


def test_white_space_states_nothing() -> None:
    assert "owner" in blanks(CardFields(owner="   "))


def test_one_right_need_not_be_a_list_and_none_counts_twice() -> None:
    assert CardFields.model_validate({"usage_rights": "training"}).usage_rights == ("training",)
    assert CardFields.model_validate({"usage_rights": ["training", "training", "logging"]}).usage_rights == ("training", "logging")


@pytest.mark.parametrize(
    "wrong",
    [{"usage_rights": ["sale"]}, {"sensitivity": "secret"}, {"ower": "Ada"}, {"owner_approved": "soon"}, {"owner": ["a"]}],
    ids=["right", "sensitivity", "key", "date", "type"],
)
def test_wrong_fields_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        CardFields.model_validate(wrong)
    assert caught.value.errors()[0]["loc"][0] == next(iter(wrong))
