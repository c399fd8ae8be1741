"""A course's package of a run: one file of instruction and output, its splits, and the papers that say how it came about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gen import plugins
from gen.conversation import Skipped
from gen.errors import InputError
from gen.exporters.lab import Lab
from gen.exporters.lab.inspect import inspection
from gen.exporters.lab.readme import Package, readme
from gen.figures.whole import figures_of
from gen.files import write_jsonl, write_text
from gen.ledger import Ledger
from gen.outputs import record_of, split_samples
from gen.parts import Parts
from gen.recipe import SPLITS, Recipe
from gen.record import Export
from gen.types import Sample
from gen.whole_folder import replacing_folder

DATASET_SUFFIX = "_sft_dataset.jsonl"
PAPERS = ("data-card.md", "quality-report.md", "README.md")
LEFT_OUT = "left-out.jsonl"


@dataclass(frozen=True, slots=True)
class LabReport:
    """What was written: `rows` per split, what a line could not hold, and how many rows lost a system message."""

    folder: Path
    dataset: str
    rows: dict[str, int]
    skipped: tuple[Skipped, ...]
    without_system: int

    def line(self) -> str:
        """For people: one line."""
        shares = ", ".join(f"{split} {count}" for split, count in self.rows.items())
        reasons = Counter(item.reason for item in self.skipped)
        left_out = (
            f"; {len(self.skipped)} left out ({', '.join(f'{reason} {count}' for reason, count in reasons.items())})" if reasons else ""
        )
        system = f"; the system message of {self.without_system} is not in the lines" if self.without_system else ""
        return f"{self.folder}: {sum(self.rows.values())} lines of instruction and output ({shares}){left_out}{system}"


def write_lab(ledger: Ledger, recipe: Recipe, parts: Parts, out: Path) -> LabReport:
    """Write the package of a run's accepted samples to the folder `out`, which appears at once and whole.

    Raises InputError when no sample fits a line or `out` holds anything else, StorageError when it cannot be written.
    """
    _check_replaceable(out)
    samples = [outcome.item for outcome in ledger.outcomes() if outcome.accepted and isinstance(outcome.item, Sample)]
    splits, leaking = split_samples(samples, recipe, ledger)
    rows, skipped = _rows(samples)
    if not rows:
        raise InputError(f"nothing for a lab package: {_why_none(skipped)}")
    written = [sample for sample in samples if sample.id in rows]
    by_split = {split: [rows[one.id] for one in written if splits.of[one.id] == split] for split in SPLITS if split in splits.counts}
    counts = {split: len(made) for split, made in by_split.items()}
    export = Export("lab", Lab.folder, counts, Lab.columns, tuple(skipped))
    record = replace(record_of(ledger, recipe, parts, (export,), None, leaking), pairs=(), dropped=())
    figures = figures_of(record)
    system = Counter(sample.messages[0].content for sample in written if sample.messages[0].role == "system")
    package = Package(f"{recipe.config.name}{DATASET_SUFFIX}", len(rows), counts, skipped, system.most_common())
    quality = plugins.build("exporters", "quality_report", {}).text(record, replace(figures, reading=replace(figures.reading, samples=())))
    with replacing_folder(out) as folder:
        write_jsonl(folder / package.dataset, rows.values())
        for split, made in by_split.items():
            if made:
                write_jsonl(folder / Lab.folder / f"{split}.jsonl", made)
        if skipped:
            write_jsonl(folder / LEFT_OUT, ({"id": one.id, "reason": one.reason, "detail": one.detail} for one in skipped))
        write_text(folder / "data-card.md", plugins.build("exporters", "card", {}).text(record, figures))
        write_text(folder / "quality-report.md", f"{quality}\n{inspection(written, dict(splits.of), recipe.config.seed)}")
        write_text(folder / "README.md", readme(package, record, figures))
    return LabReport(out, package.dataset, counts, tuple(skipped), system.total())


def _rows(samples: Sequence[Sample]) -> tuple[dict[str, dict[str, str]], list[Skipped]]:
    """Each sample's row by its id, in order, and the samples that have none."""
    rows: dict[str, dict[str, str]] = {}
    skipped: list[Skipped] = []
    for sample, row in zip(samples, Lab().rows(samples), strict=True):
        if isinstance(row, Skipped):
            skipped.append(row)
        else:
            rows[sample.id] = row
    return rows, skipped


def _check_replaceable(out: Path) -> None:
    """An earlier package may go; a file of somebody's own never does."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file: name a folder with --out")
    others = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir() and not _ours(path.relative_to(out)))
    if others:
        named = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        raise InputError(f"{out} holds files that are not of a lab package: {named}; move them, or name another folder with --out")


def _ours(path: Path) -> bool:
    if path.parent == Path(Lab.folder):
        return path.name in {f"{split}.jsonl" for split in SPLITS}
    return path.parent == Path() and (path.name in (*PAPERS, LEFT_OUT) or path.name.endswith(DATASET_SUFFIX))


def _why_none(skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return "the run has no accepted sample"
    return f"no accepted sample fits one instruction and one output; the first, '{skipped[0].id}': {skipped[0].detail}"
