"""The pass/fail table of a fine-tuning data lab, for a run: what the files show, what the card says, what a person has looked at.

Six criteria: every record valid; at least 90 % of the inspected samples good; governance stated and approved; no personal data and no
secret; splits that hold something back and don't leak; a run that can be made again. Where no person has looked, that is what it says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gen.audit.measures import Audit
from gen.candidates import accepted_rows
from gen.card import REQUIRED, CardFields, blanks
from gen.errors import InputError, RecipeError
from gen.figures.wording import many, percent
from gen.files import json_line
from gen.ledger import Ledger
from gen.recipe import parse
from gen.review import reviewed

Result = Literal["pass", "fail", "not reviewed"]
MIN_GOOD = 0.90  # of the samples that a person inspected
_APPROVALS = ("owner_approved", "reviewer_approved")
_INSPECTED = ("quality-report.md", "lab/quality-report.md")  # where `sluice export --lab` puts the samples to inspect
_MAX_REPORT_BYTES = 8_000_000
_SECTION, _BOX = re.compile(r"(?m)^### \d{1,4}\. "), re.compile(r"(?m)^- \[([ xX])\] ")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the table: what is asked and what was found."""

    name: str
    result: Result
    detail: str


def lab_standard(run: Path, ledger: Ledger, audit: Audit) -> tuple[Criterion, ...]:
    """The table of a run. `audit` is that of its training files.

    Raises InputError when the run's recipe cannot be read.
    """
    text = ledger.fact("recipe")
    if text is None:
        raise InputError(f"{run} has not been run yet: it knows no recipe")
    written = ledger.fact("card")
    card = CardFields.model_validate(written) if written is not None else _card_of(text, run)
    return (
        _validity(audit),
        _quality(run, ledger),
        _governance(card),
        _privacy(audit),
        _split_discipline(ledger, audit),
        _reproducibility(run, ledger, text),
    )


def passed(criteria: tuple[Criterion, ...]) -> bool:
    """Whether every criterion passes; what nobody has reviewed does not."""
    return all(one.result == "pass" for one in criteria)


def _card_of(text: str, run: Path) -> CardFields:
    try:
        return parse(text, run / "recipe.yaml").config.card
    except RecipeError as error:
        raise InputError(str(error)) from error


def _validity(audit: Audit) -> Criterion:
    wrong = {name: audit.count(name) for name in ("unreadable", "structure", "roles", "empty", "unfit")}
    if not any(wrong.values()):
        return Criterion("validity", "pass", f"{many(audit.records, 'record')}, all well-formed")
    return Criterion("validity", "fail", ", ".join(f"{name} {count:,}" for name, count in wrong.items() if count))


def _quality(run: Path, ledger: Ledger) -> Criterion:
    """By the labels of `sluice review`; where there are none, by the ticks in a report."""
    found = reviewed(ledger) or inspected(run)
    if found is None:
        how = f"`sluice review {run}` asks you about a random sample; or tick what holds in the quality-report.md of `sluice export --lab`"
        return Criterion("quality", "not reviewed", f"nobody has looked; {how}")
    good, of = found
    enough = good / of >= MIN_GOOD
    return Criterion(
        "quality", "pass" if enough else "fail", f"{good} of {of} inspected are good ({percent(good / of)}, {percent(MIN_GOOD)} wanted)"
    )


def inspected(run: Path) -> tuple[int, int] | None:
    """(good, all) of the samples to inspect in a report with ticks; good are those with every box ticked. None where none is ticked."""
    for name in _INSPECTED:
        path = run / name
        try:
            if not path.is_file() or path.stat().st_size > _MAX_REPORT_BYTES:
                continue
            text = _without_code(path.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
        sections = [_BOX.findall(section) for section in _SECTION.split(text)[1:]]
        ticked = [[box != " " for box in boxes] for boxes in sections if boxes]
        if any(map(any, ticked)):
            return sum(map(all, ticked)), len(ticked)
    return None


def _without_code(text: str) -> str:
    """The lines outside fenced blocks: a sample's own text may hold ticks."""
    kept, fence = [], ""
    for line in text.splitlines():
        mark = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line.rstrip() == mark and len(mark) >= len(fence) else fence
        elif len(mark) >= 3:
            fence = mark
        else:
            kept.append(line)
    return "\n".join(kept)


def _governance(card: CardFields) -> Criterion:
    missing = blanks(card)
    stated = len(REQUIRED) - len(missing)
    if not missing:
        return Criterion("governance", "pass", f"all {stated} fields of the card stated, approved by owner and reviewer")
    if set(missing) <= set(_APPROVALS):
        return Criterion(
            "governance", "not reviewed", f"the card is complete; not yet {' and '.join(REQUIRED[name].lower() for name in missing)}"
        )
    names = ", ".join(REQUIRED[name].lower() for name in missing)
    return Criterion("governance", "fail", f"{stated} of {len(REQUIRED)} fields of the card stated; blank: {names}")


def _privacy(audit: Audit) -> Criterion:
    found = {name: audit.count(name) for name in ("pii", "secrets")}
    if any(found.values()):
        return Criterion("privacy", "fail", f"personal data in {found['pii']:,} records, secrets in {found['secrets']:,}")
    return Criterion("privacy", "pass", f"{many(audit.records, 'record')} scanned: no pattern of personal data or secrets")


def _split_discipline(ledger: Ledger, audit: Audit) -> Criterion:
    names = {target.name for target in audit.targets}
    if not {"train", "test"} <= names:
        missing = " and ".join(sorted({"train", "test"} - names))
        return Criterion(
            "split discipline", "fail", f"no {missing} split was written: give it a ratio in the recipe's `export: {{split: …}}`"
        )
    if audit.duplicates.leaking_families:
        leaking = audit.duplicates.leaking_families
        return Criterion("split discipline", "fail", f"{leaking:,} prompts lie, nearly the same, in two splits")
    if "test" not in ledger.splits().values():
        return Criterion("split discipline", "fail", "the test split is not locked: the run has not come to its end; run it again")
    rows = ", ".join(f"{target.name} {count:,}" for target, count in zip(audit.targets, audit.survey.records, strict=True))
    return Criterion("split discipline", "pass", f"{rows}; no near-duplicate across them, the test split is locked")


def _reproducibility(run: Path, ledger: Ledger, recipe: str) -> Criterion:
    problems = list(_not_reproducible(run, ledger, recipe))
    if problems:
        return Criterion("reproducibility", "fail", "; ".join(problems))
    digest = hashlib.sha256(recipe.encode("utf-8")).hexdigest()[:12]
    return Criterion("reproducibility", "pass", f"recipe {digest} and ledger are there, and accepted.jsonl is what the ledger gives")


def _not_reproducible(run: Path, ledger: Ledger, recipe: str) -> Iterator[str]:
    try:
        if (run / "recipe.yaml").read_bytes() != recipe.encode("utf-8"):
            yield "recipe.yaml is not the recipe that was run: `sluice export RUN` writes it again"
    except OSError as error:
        yield f"recipe.yaml: {(error.strerror or str(error)).lower()}"
    expected = hashlib.sha256()
    for row in accepted_rows(ledger.outcomes()):
        expected.update(json_line(row))
    try:
        with (run / "accepted.jsonl").open("rb") as file:
            same = hashlib.file_digest(file, "sha256").digest() == expected.digest()
    except OSError as error:
        yield f"accepted.jsonl: {(error.strerror or str(error)).lower()}"
        return
    if not same:
        yield "accepted.jsonl was changed after the run: `sluice export RUN` writes it again"
