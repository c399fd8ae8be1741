"""The data readers of LLaMA-Factory and Axolotl themselves load what we write, and train on the same tokens as we do.

Run by `make test-readers`, which makes an environment for each; skipped where they are missing.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gen import plugins
from gen.containers import write_rows
from gen.containers.columns import UsedColumns
from gen.record import Export
from gen.resources import resource
from gen.templates.plan_encoder import Encoded
from gen.templates.templating import open_templating
from gen.trainers import axolotl, llama_factory
from gen.trainers.setup import Setup
from gen.types import Message, Preference, Sample

HERE = Path(__file__).parent
TOKENIZER = resource("data", "tokenizer")
IGNORED = -100


def environment(name: str) -> Path:
    """The Python of a reader's environment."""
    home = Path(os.environ.get("READERS", "/nonexistent")) / f".venv-readers-{name}"
    if not (home / ".installed").exists():
        pytest.skip(f"no environment with {name}: `make test-readers` makes it")
    return home / "bin" / "python"


def samples(count: int = 12, *, weights: bool = False) -> list[Sample]:
    made = []
    for number in range(count):
        system = (Message("system", f"You count to {number}."),) if number % 3 else ()
        weight = 0.0 if weights and number % 2 else None
        ask, answer = Message("user", f"Count to {number}."), Message("assistant", "one, two, " * (number % 5) + str(number), weight=weight)
        made.append(
            Sample(f"s{number}", (*system, ask, answer, *((Message("user", "And\n\nnow?"), Message("assistant", "Done.")) * (number % 2))))
        )
    return made


def pairs() -> list[Preference]:
    return [
        Preference(
            f"p{one.id}", one.messages[:-1], one.messages[-1:], (Message("assistant", "I would rather not say."),), 5, 2, 3, "x", one.id
        )
        for one in samples()
    ]


def export(folder: Path, name: str, items: Sequence[Any], container: str = "jsonl") -> Export:
    """The items as a run writes them, the last three as the validation split."""
    exporter, used = plugins.build("exporters", name, {}), UsedColumns()
    splits = {"train": list(exporter.rows(items[:-3])), "validation": list(exporter.rows(items[-3:]))}
    rows = {split: sum(1 for _ in used.watch(iter(made))) for split, made in splits.items()}
    columns = used.columns(exporter.columns, getattr(exporter, "wide", exporter.columns))
    for split, made in splits.items():
        write_rows(container, folder / exporter.folder, split, made, columns)
    return Export(name, exporter.folder, rows, columns, (), container)


def setup(folder: Path, trainer: Any, *exports: Export) -> Path:
    """The trainer's configs in the folder of a run."""
    made = trainer.configs(Setup(folder, {one.format: one for one in exports}, "a-model", 7, 512))
    home = folder / "trainers" / trainer.__name__.rpartition(".")[2]
    home.mkdir(parents=True)
    for file, text in made.files.items():
        (home / file).write_text(text, encoding="utf-8")
    assert not made.problem
    return home.relative_to(folder)


def read(python: Path, script: str, folder: Path, config: Path, *more: str) -> dict[str, Any]:
    out = folder / "read.json"
    command = [str(python), str(HERE / script), str(config), str(TOKENIZER), str(out), *more]
    home = {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "WANDB_DISABLED": "true"}
    done = subprocess.run(command, cwd=folder, env={**os.environ, **home}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def ours(items: Sequence[Sample]) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of each sample as `sluice pack` has them."""
    encoded = [result for _, result in open_templating(TOKENIZER).encode(items)]
    assert all(isinstance(one, Encoded) for one in encoded)
    return [
        (one.ids.tolist(), [number if flag else IGNORED for number, flag in zip(one.ids.tolist(), one.trained.tolist(), strict=True)])
        for one in encoded
        if isinstance(one, Encoded)
    ]


@pytest.mark.parametrize("container", ["jsonl", "parquet"])
def test_axolotl_has_our_ids_and_our_mask(container: str, tmp_path: Path) -> None:
    python = environment("axolotl")
    home = setup(tmp_path, axolotl, export(tmp_path, "chatml", samples(), container))
    found = read(python, "read_with_axolotl.py", tmp_path, home / "sft-lora.yaml")
    assert found["unknown"] == []
    assert [(row["input_ids"], row["labels"]) for row in found["datasets"] + found["test_datasets"]] == ours(samples())


def test_axolotl_learns_no_answer_of_weight_0(tmp_path: Path) -> None:
    python = environment("axolotl")
    home = setup(tmp_path, axolotl, export(tmp_path, "axolotl", samples(weights=True)))
    found = read(python, "read_with_axolotl.py", tmp_path, home / "sft-full.yaml")
    assert [(row["input_ids"], row["labels"]) for row in found["datasets"] + found["test_datasets"]] == ours(samples(weights=True))


def test_axolotl_reads_pairs(tmp_path: Path) -> None:
    python = environment("axolotl")
    home = setup(tmp_path, axolotl, export(tmp_path, "preference", pairs()))
    found = read(python, "read_with_axolotl.py", tmp_path, home / "dpo-lora.yaml")
    assert found["unknown"] == []
    for row, pair in zip(found["datasets"] + found["test_datasets"], pairs(), strict=True):
        assert row["prompt"].endswith(f"{pair.prompt[-1].content}<|im_end|>\n<|im_start|>assistant\n")
        assert (row["chosen"], row["rejected"]) == (f"{pair.chosen[0].content}<|im_end|>", f"{pair.rejected[0].content}<|im_end|>")


@pytest.mark.parametrize(("name", "container"), [("chatml", "jsonl"), ("chatml", "parquet"), ("sharegpt", "parquet")])
def test_llama_factory_has_our_ids_and_learns_the_answers_alone(name: str, container: str, tmp_path: Path) -> None:
    python = environment("llamafactory")
    home = setup(tmp_path, llama_factory, export(tmp_path, name, samples(), container))
    found = read(python, "read_with_llama_factory.py", tmp_path, home / "sft-full.yaml", "packing=false", "neat_packing=false")
    rows = found["train_dataset"] + found["eval_dataset"]
    assert [row["input_ids"] for row in rows] == [ids for ids, _ in ours(samples())]
    for row, (ids, labels) in zip(rows, ours(samples()), strict=True):
        assert without_line_ends(row["labels"], ids) == labels


def without_line_ends(labels: list[int], ids: list[int]) -> list[int]:
    """LLaMA-Factory's labels, without the line end that its template has after an answer's last token and learns with it."""
    end, line = ids[-2], ids[-1]
    return [IGNORED if label == line and before == end else label for label, before in zip(labels, [IGNORED, *labels], strict=False)]


def test_llama_factory_packs_and_reads_pairs(tmp_path: Path) -> None:
    python = environment("llamafactory")
    home = setup(
        tmp_path, llama_factory, export(tmp_path, "chatml", samples()), export(tmp_path, "preference_sharegpt", pairs(), "parquet")
    )
    packed = read(python, "read_with_llama_factory.py", tmp_path, home / "sft-lora.yaml")["train_dataset"]
    assert max(packed[0]["attention_mask"]) > 1  # samples of a row are told apart
    found = read(python, "read_with_llama_factory.py", tmp_path, home / "dpo-full.yaml")
    rows = found["train_dataset"] + found["eval_dataset"]
    whole = [Sample(pair.id, (*pair.prompt, *pair.chosen)) for pair in pairs()]
    assert [row["chosen_input_ids"] for row in rows] == [ids for ids, _ in ours(whole)]
    assert all(row["rejected_labels"][0] == IGNORED != row["rejected_labels"][-2] for row in rows)
