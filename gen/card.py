"""What only people know about a data set: the `card:` of a recipe, typed, every field optional and every blank named.

The fields are those that a data governance review asks for: where it comes from, what it may be used for, how sensitive it is, how long it
is kept, how it is deleted, and who approved it.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

UsageRight = Literal["training", "evaluation", "retrieval", "logging"]
Sensitivity = Literal["public", "internal", "confidential", "restricted", "regulated"]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]

NOT_STATED = "not stated"


class CardFields(BaseModel):
    """A recipe's `card`. An empty text counts as not stated; `usage_rights` and `derived_artifacts` take one value or a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Line = ""
    description: Line = ""
    source: Line = ""
    license: Line = ""
    language: Line = ""
    usage_rights: tuple[UsageRight, ...] = ()
    sensitivity: Sensitivity | None = None
    derived_artifacts: tuple[Line, ...] = ()
    retention: Line = ""
    deletion: Line = ""
    owner: Line = ""
    owner_approved: date | None = Field(default=None, description="the day the owner approved this version")
    reviewer: Line = ""
    reviewer_approved: date | None = Field(default=None, description="the day the reviewer approved this version")

    @field_validator("usage_rights", "derived_artifacts", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("usage_rights")
    @classmethod
    def _once_each(cls, value: tuple[UsageRight, ...]) -> tuple[UsageRight, ...]:
        return tuple(dict.fromkeys(value))


# What a reader of the card must find; the rest (title, description, language) is a matter of taste.
REQUIRED: dict[str, str] = {
    "source": "Source",
    "license": "Licence",
    "usage_rights": "Usage rights",
    "sensitivity": "Sensitivity",
    "derived_artifacts": "Derived artifacts",
    "retention": "Retention",
    "deletion": "Deletion",
    "owner": "Owner",
    "owner_approved": "Approved by owner",
    "reviewer": "Reviewer",
    "reviewer_approved": "Approved by reviewer",
}


def blanks(card: CardFields) -> list[str]:
    """The required fields that nobody filled in, by the key a recipe would use.

    >>> blanks(CardFields(source="our own topics", owner="Ada", retention="2 years"))[:3]
    ['license', 'usage_rights', 'sensitivity']
    """
    return [name for name in REQUIRED if not getattr(card, name)]


def stated(card: CardFields, name: str) -> str:
    """One field as a reader sees it; `not stated` when blank."""
    value = getattr(card, name)
    if not value:
        return NOT_STATED
    return ", ".join(value) if isinstance(value, tuple) else str(value)
