"""Read a mix: a YAML file that names datasets and how much of each the training split shall hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gen import yaml_config
from gen.errors import RecipeError, SluiceError
from gen.recipe import Name, Positive, SplitLine
from gen.splits import BY_LINEAGE
from gen.yaml_config import Document, KeyPath, place_error

Method = Literal["ratio", "sqrt", "temperature"]
Unit = Literal["samples", "tokens"]
Pin = Literal["train", "validation", "test", "anew"]

# Up to four passes over a text teach a model nearly as much as new text, more soon teach it nothing (Muennighoff et al. 2023,
# "Scaling Data-Constrained Language Models").
WORTHWHILE_REPEATS = 4
_EXPECTED = "a mix is a mapping of keys such as name, datasets, method, total; see docs/mixing.md for one"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetLine(_Line):
    """One dataset. `path` is a file, a folder with train/validation/test.jsonl or a run's folder, meant from the mix file's folder.
    `weight` counts with `method: ratio`. `human` says whether people wrote it. `split` puts a whole file into one split, where all of it
    then stands once; `anew` divides a folder's records again, which else stay in the split of their file. `layout` and `columns` say how to
    read records whose keys do not tell, as the options of these names do."""

    path: Annotated[str, Field(min_length=1)]
    weight: Positive | None = None
    human: bool | None = None
    split: Pin | None = None
    layout: str = ""
    columns: str = ""

    @property
    def held_out(self) -> bool:
        """Whether all of it is for validation or test: then it takes no part in the proportions."""
        return self.split in ("validation", "test")


class MixSplit(SplitLine):
    """Ratios of the splits. Families never straddle two of them; `by` names a field of the records that must not either."""

    train: Annotated[float, Field(gt=0)] = 0.9
    validation: Annotated[float, Field(ge=0)] = 0.05
    test: Annotated[float, Field(ge=0)] = 0.05

    @field_validator("by")
    @classmethod
    def _families_at_least(cls, value: str) -> str:
        if value == BY_LINEAGE:
            raise ValueError("a mix knows no lineage: choose family, or a field of the records such as topic")
        return value


class MixConfig(_Line):
    """A whole mix, as data. `total` counts the training split, in samples or tokens; without it the split is as large as the training
    samples that there are. `max_repeats` caps how often one sample may stand in it."""

    name: Name
    seed: int = 0
    total: Annotated[int, Field(ge=1)] | None = None
    by: Unit = "samples"
    method: Method = "ratio"
    temperature: Annotated[float, Field(ge=1, le=1000)] | None = None
    max_repeats: Annotated[int, Field(ge=1, le=1000)] = WORTHWHILE_REPEATS
    tokenizer: str | None = None
    chat_template: str | None = None
    datasets: Mapping[Name, DatasetLine]
    split: MixSplit = MixSplit()
    against: tuple[str, ...] = ()

    @field_validator("against", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("datasets")
    @classmethod
    def _some_dataset(cls, value: Mapping[str, DatasetLine]) -> Mapping[str, DatasetLine]:
        if all(line.held_out for line in value.values()):
            raise ValueError("name at least one dataset to train on")
        return value

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> MixConfig:
        if (self.temperature is not None) != (self.method == "temperature"):
            raise ValueError("'temperature' and 'method: temperature' go together: give both or neither")
        if self.by == "samples" and (self.tokenizer or self.chat_template):
            raise ValueError("'tokenizer' and 'chat_template' count only with 'by: tokens'")
        if self.chat_template and not self.tokenizer:
            raise ValueError("'chat_template' needs a 'tokenizer'")
        return self


@dataclass(frozen=True, slots=True)
class MixFile:
    """A mix and where it came from."""

    config: MixConfig
    document: Document

    @property
    def folder(self) -> Path:
        """Relative paths in the mix are meant from here."""
        return self.document.file.parent

    def error(self, path: KeyPath, problem: str | SluiceError) -> RecipeError:
        """The error to raise for the value at `path`."""
        return place_error(self.document.file, self.document.lines, path, problem)


def load(file: Path) -> MixFile:
    """Read and check a mix file.

    Raises RecipeError naming the file, the line, the key, the value and what would be right.
    """
    return parse(yaml_config.read(file, kind="mix", way_out="docs/mixing.md shows one"), file)


def parse(text: str, file: Path) -> MixFile:
    """Check a mix's text; `file` names it in errors and anchors relative paths."""
    document = yaml_config.parse(text, file, expected=_EXPECTED)
    mix = MixFile(document.checked(MixConfig, _allowed_keys), document)
    for name, line in mix.config.datasets.items():
        place: KeyPath = ("datasets", name, "weight")
        if line.held_out and line.weight is not None:
            raise mix.error(place, f"a weight counts in training only, and all of this dataset is for {line.split}: leave it out")
        if mix.config.method == "ratio" and line.weight is None and not line.held_out:
            raise mix.error(place, "this key is needed with 'method: ratio': how much of this dataset, relative to the others")
        if mix.config.method != "ratio" and line.weight is not None:
            raise mix.error(place, f"a weight counts only with 'method: ratio', not with 'method: {mix.config.method}': leave it out")
    return mix


def _allowed_keys(path: KeyPath) -> list[str]:
    if path[:1] == ("datasets",) and len(path) > 1:
        return list(DatasetLine.model_fields)
    return list(MixSplit.model_fields if path == ("split",) else MixConfig.model_fields)
