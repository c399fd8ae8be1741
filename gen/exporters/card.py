"""data-card.md: what a governance review asks about a data set, with every blank named as blank.

What people know comes from the recipe's `card`; what the run knows (models, prompts, gates, scans, splits, dates) from its ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gen.card import NOT_STATED, REQUIRED, CardFields, blanks, stated
from gen.figures.concerns import SIMULATED, concerns
from gen.figures.facts import SCANNERS
from gen.figures.whole import Figures
from gen.figures.wording import dates, gate_options, total_cost
from gen.language import MIXED, UNDETERMINED
from gen.markup import markdown, markdown_table
from gen.record import RunRecord
from gen.splits import BY_FAMILY, BY_LINEAGE


@dataclass(frozen=True)
class DataCard:
    """The card as Markdown."""

    takes: ClassVar[str] = "run"
    file: ClassVar[str] = "data-card.md"

    def text(self, record: RunRecord, figures: Figures) -> str:
        return "\n\n".join(block.rstrip() for block in _blocks(record, figures) if block) + "\n"


def _blocks(record: RunRecord, figures: Figures) -> Iterator[str]:
    card = record.card
    yield f"# Data card: {markdown(card.title or record.name)}"
    if figures.simulated:
        yield f"> [!CAUTION]\n> **{SIMULATED}**"
    missing = blanks(card)
    if missing:
        yield f"> [!WARNING]\n> Not stated: {', '.join(f'**{REQUIRED[name].lower()}**' for name in missing)}."
    if card.description:
        yield markdown(card.description)
    yield _facts(record, figures)
    yield "## Use\n\n" + _stated(card, ("source", "license", "usage_rights", "sensitivity", "derived_artifacts", "retention", "deletion"))
    yield "## Personal data and secrets\n\n" + _scans(figures)
    yield "## Splits\n\n" + _splits(record)
    yield "## Approval\n\n" + _stated(card, ("owner", "owner_approved", "reviewer", "reviewer_approved"))
    yield from _making(record)
    warnings = [concern.text for concern in concerns(record, figures) if concern.about != "card"]
    yield "## Known limits\n\n" + ("\n".join(f"- {markdown(text)}" for text in warnings) or "No rule of thumb found any.")


def _facts(record: RunRecord, figures: Figures) -> str:
    rows = [
        ("Samples accepted", f"{figures.accepted:,} of {figures.candidates:,} candidates"),
        ("Kind", "synthetic conversations for supervised fine-tuning" + (" and preference pairs" if record.pairs else "")),
        ("Language", _language(record.card, figures)),
        ("Made", dates(record)),
        ("Cost of the replies", total_cost(figures)),
    ]
    return markdown_table(("", ""), rows)


def _language(card: CardFields, figures: Figures) -> str:
    """As the card has it; where it is blank, the language that most replies are in, with what it was measured on."""
    spoken = [(code, count) for code, count in figures.reading.languages if code not in (UNDETERMINED, MIXED)]
    if card.language or not spoken:
        return stated(card, "language")
    code, count = spoken[0]
    return f"{code} (measured in {count:,} of {figures.reading.looked_at:,} replies)"


def _stated(card: CardFields, names: tuple[str, ...]) -> str:
    lines = []
    for name in names:
        value = stated(card, name)
        lines.append(f"- {REQUIRED[name]}: {f'**{NOT_STATED}**' if value == NOT_STATED else markdown(value)}")
    return "\n".join(lines)


def _scans(figures: Figures) -> str:
    lines = []
    ran = {scan.gate: scan for scan in figures.scans}
    for gate, what in zip(SCANNERS, ("Personal data", "Secrets"), strict=True):
        scan = ran.get(gate)
        if scan is None:
            lines.append(f"- {what}: **not scanned** (the recipe has no gate `{gate}`).")
            continue
        found = scan.rejected + scan.redacted
        outcome = f"found in {found:,}: {scan.rejected:,} rejected, {scan.redacted:,} redacted" if found else "none found"
        lines.append(f"- {what}: {scan.scanned:,} candidates scanned by the gate `{gate}`, {outcome}.")
    return "\n".join(lines) + "\n\nA scan finds patterns; that nothing was found is no proof that nothing is there."


def _splits(record: RunRecord) -> str:
    if not record.exports:
        return "Nothing was exported."
    splits = list(dict.fromkeys(split for export in record.exports for split in export.rows))
    rows: list[tuple[str | int, ...]] = [
        (f"{export.folder}/", *(export.rows.get(split, 0) for split in splits)) for export in record.exports
    ]
    return f"{_strategy(record)}\n\n{markdown_table(('Folder', *splits), rows)}"


def _strategy(record: RunRecord) -> str:
    together = ["samples that descend from each other", "samples with the same prompt"]
    if record.split_by != BY_LINEAGE:
        together.append("near duplicates")
    if record.split_by not in (BY_FAMILY, BY_LINEAGE):
        together.append(f"all samples of one {markdown(record.split_by)}")
    checked = {None: "", 0: " A check for leaks between the splits found none."}
    leaks = checked.get(record.leaks, f" **A check found {record.leaks:,} leaks between the splits.**" if record.leaks else "")
    return f"Never on two sides: {', '.join(together)}. What was exported as test stays test.{leaks}"


def _making(record: RunRecord) -> Iterator[str]:
    yield "## How it was made"
    yield markdown_table(("Model", "Provider", "Id"), [(line.name, line.provider, line.model) for line in record.models])
    yield markdown_table(("Prompt", "Hash"), [tuple(_prompt(name)) for name in record.prompts])
    yield "### Cleanup rules"
    yield "A candidate stays only if every gate keeps it."
    yield markdown_table(("Gate", "Options"), [(gate.name, gate_options(gate)) for gate in record.gates]) or "The recipe has no gates."
    yield (
        f"Recipe {markdown(record.name)}, hash `{markdown(record.recipe_hash)}`, seed {record.seed}, "
        f"Sluice {markdown(record.version)}. Written on {markdown(record.date)}."
    )


def _prompt(name: str) -> tuple[str, str]:
    path, _, digest = name.partition("@")
    return path, digest


PLUGIN = DataCard
