"""README.md of a run folder: a dataset card whose header makes `datasets.load_dataset(folder)` and the Hub find every split.

Columns are declared, not left to inference: a score column that begins with empty or whole numbers would be read as another type and
refuse the rest. Splits without rows are left out, since a reader fails on an empty file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from gen.containers.columns import holds_json
from gen.conversation import SIMULATED_COLUMN
from gen.features import feature_lines
from gen.figures.concerns import SIMULATED
from gen.figures.whole import Figures
from gen.figures.wording import size_of
from gen.markup import markdown, markdown_table, visible
from gen.record import Export, RunRecord

_FILES = (
    ("data-card.md", "what it may be used for, who approved it, how it was made"),
    ("quality-report.md, report.html", "the figures, and samples to read"),
    ("accepted.jsonl", "every accepted sample with scores and provenance"),
    ("rejected.jsonl", "every rejected candidate with its gate and reason"),
    ("recipe.yaml, run.db", "what was asked, and the ledger of what happened"),
)
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}")
_LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")


@dataclass(frozen=True)
class Readme:
    """The README with its YAML header."""

    takes: ClassVar[str] = "run"
    file: ClassVar[str] = "README.md"

    def text(self, record: RunRecord, figures: Figures) -> str:
        header = "\n".join(_header(record, figures))
        body = "\n\n".join(block.rstrip() for block in _body(record, figures) if block)
        return f"---\n{header}\n---\n\n{body}\n"


def _header(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield f"pretty_name: {_quoted(record.card.title or record.name)}"
    license_id = record.card.license.lower()
    if record.card.license:
        known = _LICENSE_ID.fullmatch(license_id)
        yield f"license: {license_id if known else 'other'}"
        if not known:
            yield f"license_name: {_quoted(record.card.license)}"
    languages = [code for code in re.split(r"[,\s]+", record.card.language.lower()) if _LANGUAGE_CODE.fullmatch(code)]
    if languages:
        yield "language:"
        yield from (f"- {_quoted(code)}" for code in languages)
    yield "task_categories:\n- text-generation"
    yield "tags:\n- synthetic" + ("\n- simulated" if figures.simulated else "")
    yield f"size_categories:\n- {size_of(figures.accepted)}"
    filled = [export for export in record.exports if any(export.rows.values())]
    if filled:
        yield "configs:"
    for at, export in enumerate(filled):
        yield from _config(export, default=at == 0)
    declared = [one for one in filled if one.columns and one.container != "csv" and not holds_json(one.columns)]
    if declared:
        yield "dataset_info:"
    for export in declared:
        yield f"- config_name: {_quoted(export.folder)}\n  features:"
        yield from feature_lines(_columns(export, figures), "  ")


def _columns(export: Export, figures: Figures) -> dict[str, Any]:
    """What the exporter declares, and the mark of simulated rows where the run may have any."""
    mark = {SIMULATED_COLUMN: "bool"} if figures.simulated else {}
    return {**export.columns, **mark}


def _config(export: Export, *, default: bool) -> Iterator[str]:
    yield f"- config_name: {_quoted(export.folder)}"
    if default:
        yield "  default: true"
    yield "  data_files:"
    for split, rows in export.rows.items():
        if rows:
            path = export.file(split) + ("/*.arrow" if export.container == "arrow" else "")
            yield f"  - split: {split}\n    path: {_quoted(path)}"


def _body(record: RunRecord, figures: Figures) -> Iterator[str]:
    yield f"# {markdown(record.card.title or record.name)}"
    if figures.simulated:
        yield f"> [!CAUTION]\n> **{SIMULATED}**"
    if record.card.description:
        yield markdown(record.card.description)
    yield f"{figures.accepted:,} accepted of {figures.candidates:,} candidates, made with Sluice {markdown(record.version)}."
    filled = [export for export in record.exports if any(export.rows.values())]
    if filled:
        first = next(split for split, rows in filled[0].rows.items() if rows)
        yield (
            "## Load\n\n```python\nfrom datasets import load_dataset\n\n"
            + "\n".join(f'load_dataset("path/to/this/folder", "{export.folder}", split="{first}")' for export in filled)
            + "\n```"
        )
        splits = list(dict.fromkeys(split for export in filled for split in export.rows))
        yield markdown_table(
            ("Folder", *splits), [(f"{export.folder}/", *(export.rows.get(split, 0) for split in splits)) for export in filled]
        )
    if record.packed:
        yield f"`{record.packed.folder}/` is packed for {markdown(record.packed.tokenizer)}: `datasets.load_from_disk`."
    if record.trainers:
        yield (
            "## Train\n\nIn the run's folder, which holds `trainers/`; each line is a training of its own:\n\n```sh\n"
            + "\n".join(record.trainers)
            + "\n```"
        )
    yield "## Files\n\n" + "\n".join(f"- `{name}`: {what}" for name, what in _FILES)


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar; JSON's notation is one as long as nothing invisible is left to escape."""
    return json.dumps(" ".join(visible(text).split()), ensure_ascii=False).replace("<", "\\u003c")


PLUGIN = Readme
