"""Whether people allow a run's data for one use: what its card grants, and that owner and reviewer approved it.

The card is the one that stands in the run folder's data-card.md. Nothing here judges the data; it only holds a release back until the card
says that somebody answers for it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from gen.card import CardFields, UsageRight
from gen.errors import InputError
from gen.ledger import Ledger
from gen.recipe import parse

_APPROVERS = {"owner_approved": "owner", "reviewer_approved": "reviewer"}


def require_approval(card: CardFields, use: UsageRight, run: Path, *, today: date) -> None:
    """Return if the card grants `use` and both owner and reviewer approved it, on a day up to `today`.

    Raises InputError naming the field of the card that stands in the way and how to grant it.
    """
    if use not in card.usage_rights:
        stated = f"grants {', '.join(card.usage_rights)}" if card.usage_rights else "is blank"
        raise InputError(f"{run}: not approved for {use}: card.usage_rights {stated}; {_way_out(run, f'`usage_rights: [{use}]`')}")
    for field, person in _APPROVERS.items():
        day: date | None = getattr(card, field)
        if day is None:
            problem = f"card.{field} is blank: the {person} has not approved it"
        elif day > today:
            problem = f"card.{field} is {day.isoformat()}, a day to come"
        else:
            continue
        raise InputError(f"{run}: not approved for {use}: {problem}; once approved, {_way_out(run, f'`{field}: YYYY-MM-DD`')}")


def refuse_without_card(file: Path, use: UsageRight) -> None:
    """Raise InputError: a file has no card, so nothing grants anything."""
    raise InputError(f"{file}: not approved for {use}: a file has no card; name a run's folder whose card grants it")


def card_of(ledger: Ledger, run: Path) -> CardFields:
    """The card that was last written to the run's folder; its recipe's while none was.

    Raises InputError when the run has not begun.
    """
    written = ledger.fact("card")
    if written is not None:
        return CardFields.model_validate(written)
    text = ledger.fact("recipe")
    if text is None:
        raise InputError(f"{run} has not been run yet: it has no card")
    return parse(text, run / "recipe.yaml").config.card


def _way_out(run: Path, line: str) -> str:
    return f"write {line} under `card` in the recipe, then `sluice export {run} --recipe RECIPE`"
