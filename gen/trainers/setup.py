"""What a trainer's config is made of: the files that a run wrote, the model to be trained, and values with their sources."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from gen.containers import read_rows
from gen.containers.rows import Row
from gen.record import Export

Way = Literal["lora", "full"]
WAYS: tuple[Way, ...] = ("lora", "full")
CONTAINERS = ("jsonl", "json", "parquet")  # what every trainer here reads; CSV has no lists, and Arrow folders are datasets' own
FOLDER = "trainers"
OUTPUT = "output"  # beside the config, where the trainer writes

# Supervised: Stanford Alpaca (2023) trained all weights with 2e-5, QLoRA (Dettmers et al. 2023) adapters with 2e-4; one to three epochs
# are usual, and the validation loss says when a small set is being learnt by heart. Preferences: DPO (Rafailov et al. 2023) took
# beta 0.1 and 1e-6; adapters bear about ten times as much.
LEARNING_RATE: Mapping[Way, float] = {"full": 2e-5, "lora": 2e-4}
PREFERENCE_RATE: Mapping[Way, float] = {"full": 1e-6, "lora": 1e-5}
EPOCHS, PREFERENCE_EPOCHS = 2, 1
BETA = 0.1
RANK, ALPHA, DROPOUT = 16, 32, 0.05
BATCH, ACCUMULATED = 2, 8  # rows on a device at once, and how often before a step: 16 rows a step on one device
WARMUP = 0.03

_RATES: Mapping[tuple[bool, Way], str] = {
    (False, "full"): "all weights: 1e-5 to 5e-5 (Stanford Alpaca took 2e-5)",
    (False, "lora"): "LoRA: 1e-4 to 3e-4 (QLoRA, Dettmers et al. 2023, took 2e-4)",
    (True, "full"): "DPO on all weights: 1e-6 (Rafailov et al. 2023), at most 5e-6",
    (True, "lora"): "DPO with LoRA: about ten times that of all weights",
}


@dataclass(frozen=True, slots=True)
class Setup:
    """A run's data as a trainer finds it in `folder`, with what the recipe says about training. `max_length` is in tokens."""

    folder: Path
    exports: Mapping[str, Export]
    model: str
    seed: int
    max_length: int

    def file(self, name: str, split: str) -> str:
        """The file of a format's split, relative to the run's folder; empty where there is none."""
        export = self.exports.get(name)
        return export.file(split) if export is not None and export.rows.get(split) else ""

    def reader(self, name: str) -> str:
        """What `datasets.load_dataset` calls the files' kind."""
        return "parquet" if self.exports[name].container == "parquet" else "json"

    def turn_columns(self, name: str) -> frozenset[str]:
        """The fields that messages of this format use."""
        turns = self.exports[name].columns["messages"]
        return frozenset(turns[0])

    def rows(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The rows of the training and the validation file."""
        for split in ("train", "validation"):
            path = self.file(name, split)
            if path:
                yield from (row.fields for row in read_rows(self.folder / path) if isinstance(row, Row))


@dataclass(frozen=True, slots=True)
class Configs:
    """A trainer's files by their name in its folder, and how each training is started, to be typed in the run's folder. `problem` says
    why nothing fits."""

    files: Mapping[str, str]
    commands: tuple[str, ...] = ()
    problem: str = ""


def missing(*formats: str) -> Configs:
    """None of the formats that a trainer reads has a training file."""
    return Configs({}, problem=f"there is no training file that it reads: {' or '.join(formats)}")


def rate_note(way: Way, *, preferences: bool) -> str:
    """Where the learning rate comes from, for a comment."""
    return _RATES[preferences, way]


class _Exact(RoundTripRepresenter):
    """Numbers as every reader understands them: to one of YAML 1.1, PyYAML, `1e-06` is a text, and `1.0e-06` a number."""


def _number(representer: _Exact, value: float) -> ScalarNode:
    text = repr(value)
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text.replace("e", ".0e"))
    return node


_Exact.add_representer(float, _number)


def quoted(text: str) -> str:
    """A text from somebody else for YAML, always in quotes: to a reader of YAML 1.1, `on` is no text."""
    in_quotes: str = DoubleQuotedScalarString(text)
    return in_quotes


def as_yaml(heading: Sequence[str], values: Iterable[tuple[str, Any, str]]) -> str:
    """YAML with comments at its top and beside each value that has one."""
    mapping = CommentedMap()
    for key, value, note in values:
        mapping[key] = value
        if note:
            mapping.yaml_add_eol_comment(note, key)
    yaml = YAML()
    yaml.Representer = _Exact
    yaml.width = 140
    written = io.StringIO()
    yaml.dump(mapping, written)
    return "".join(f"# {line}\n" for line in heading) + written.getvalue()
