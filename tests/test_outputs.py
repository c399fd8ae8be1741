from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from gen.containers import WRITTEN
from gen.errors import RecipeError, StorageError
from gen.ledger import Ledger
from gen.outputs import Written, write_all
from gen.parts import build_parts
from gen.recipe import ExportLine, SplitLine, parse
from gen.records import Record, read_records
from gen.run import run
from gen.run_folder import kept_sources
from gen.types import Message, Preference

RECIPE = """\
name: small
seed: 3
models: {writer: {provider: simulator}}
sources: {topics: [GDPR data retention, Basel III capital]}
strategies: [{name: self_instruct, model: writer, instructions_per_call: 3}]
goal: {accepted: 20}
export: {formats: [chatml, alpaca]}
"""


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("outputs")
    asyncio.run(run(parse(RECIPE, home / "r.yaml"), home / "run", cache_path=home / "cache.db"))
    return home / "run"


@pytest.fixture
def folder(_made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_made, tmp_path / "run"))


def written_again(folder: Path, **export: Any) -> Written:
    recipe = parse(RECIPE, folder / "recipe.yaml")
    if export:
        recipe = replace(recipe, config=recipe.config.model_copy(update={"export": ExportLine(**export)}))
    ledger = Ledger(folder / "run.db")
    try:
        return write_all(ledger, recipe, build_parts(recipe, kept_sources(ledger)), folder)
    finally:
        ledger.close()


def data_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))}


def test_files_are_functions_of_the_ledger(folder: Path) -> None:
    before = data_of(folder)
    for path in folder.rglob("*.jsonl"):
        path.unlink()
    written_again(folder)
    assert data_of(folder) == before
    assert sum(len((folder / "sft" / f"{name}.jsonl").read_text().splitlines()) for name in ("train", "validation", "test")) == 20


def test_every_file_it_names_is_there_and_every_row_is_json(folder: Path) -> None:
    written = written_again(folder)
    assert all((folder / name).is_file() for name in written.files)
    assert written.accepted == 20
    for name, content in data_of(folder).items():
        assert all(json.loads(line) for line in content.splitlines()), name


def test_a_format_no_longer_asked_for_goes_and_files_of_others_stay(folder: Path) -> None:
    own = [folder / "sft-alpaca" / "mine.jsonl", folder / "sft" / "extra.jsonl", folder / "sft-notes" / "train.jsonl"]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}\n")
    written_again(folder, formats=("chatml",))
    assert all(path.read_text() == "{}\n" for path in own)
    assert not (folder / "sft-alpaca" / "train.jsonl").exists()
    own[0].unlink()
    written_again(folder, formats=("sharegpt",))
    assert not (folder / "sft-alpaca").exists()
    assert sorted(path.name for path in (folder / "sft").iterdir()) == ["extra.jsonl"]
    assert (folder / "sft-sharegpt" / "train.jsonl").is_file()


def test_a_split_no_longer_asked_for_goes_and_the_test_split_stays(folder: Path) -> None:
    test = (folder / "sft" / "test.jsonl").read_bytes()
    written_again(folder, split=SplitLine(train=9, validation=0, test=1))
    assert not (folder / "sft" / "validation.jsonl").exists()
    assert (folder / "sft" / "test.jsonl").read_bytes() == test
    assert len((folder / "sft" / "train.jsonl").read_text().splitlines()) == 18


def test_the_locked_test_split_cannot_be_left_out(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.yaml:7: export\.split.*the split 'test' is locked"):
        written_again(folder, split=SplitLine(train=1, validation=0, test=0))


def test_a_file_that_cannot_be_written_is_one_line_and_nothing_is_half_written(folder: Path) -> None:
    (folder / "accepted.jsonl").unlink()
    (folder / "accepted.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*accepted\.jsonl: "):
        written_again(folder)
    assert not list(folder.rglob("*.partial"))


def test_people_are_told_what_lies_where(folder: Path) -> None:
    lines = list(written_again(folder).lines())
    assert lines[0].startswith("splits by family: train 16 (80%)")
    assert f"{folder / 'sft-alpaca'}: 20 rows of alpaca" in lines


@pytest.mark.parametrize("container", ["jsonl", "json", "parquet", "csv", "arrow"])
def test_every_container_loads_by_the_readme_and_replaces_the_one_before(container: Any, folder: Path, tmp_path: Path) -> None:
    written = written_again(folder, formats=("chatml", "documents"), container=container)
    rows = datasets.load_dataset(str(folder), "sft", split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == written.exports[0].rows["train"] == 16
    kept = sorted(path.name for path in (folder / "sft").iterdir())
    assert kept == [f"{split}{WRITTEN[container]}" for split in ("test", "train", "validation")]
    records = list(read_records(folder / written.exports[1].file("test")))
    assert [record.layout for record in records if isinstance(record, Record)] == ["text"] * written.exports[1].rows["test"]
    written_again(folder)
    assert sorted(path.name for path in (folder / "sft").iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    assert not (folder / "documents").exists()


def test_pairs_are_written_in_every_form_that_is_asked_for(folder: Path) -> None:
    ledger = Ledger(folder / "run.db")
    first = next(outcome.item for outcome in ledger.outcomes() if outcome.accepted)
    asked = (Message("user", "Why?"),)
    pair = Preference("p", asked, (Message("assistant", "A"),), (Message("assistant", "B"),), 5, 2, 3, "best_of_n", first.id)
    ledger.write_pairs([pair], [])
    ledger.close()
    written = written_again(folder, formats=("chatml", "kto", "openai_preference"))
    made = {export.format: sum(export.rows.values()) for export in written.exports}
    assert made == {"chatml": 20, "preference": 1, "kto": 2, "openai_preference": 1}
    labels = [json.loads(line)["label"] for path in (folder / "preference-kto").iterdir() for line in path.read_text().splitlines()]
    assert labels == [True, False]
    written_again(folder)
    assert not (folder / "preference-kto").exists()
    assert (folder / "preference").is_dir()
