"""Configs say what the data is, take any name as data, and name what a trainer would lose."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from gen.containers import write_rows
from gen.conversation import TURN, WIDE_TURN
from gen.record import Export
from gen.resources import resource
from gen.templates.chat_template import ChatTemplate
from gen.trainers import axolotl, llama_factory, trl, unsloth
from gen.trainers.setup import Setup
from gen.types import Message

TEMPLATES = Path(__file__).parents[1] / "templates"
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
FOLDERS = {"chatml": "sft", "axolotl": "sft-axolotl", "sharegpt": "sft-sharegpt", "preference": "preference"}
FOLDERS["preference_sharegpt"] = "preference-sharegpt"


def export(name: str, columns: Mapping[str, Any], splits: Mapping[str, int] | None = None, container: str = "jsonl") -> Export:
    return Export(name, FOLDERS[name], splits or {"train": 8, "validation": 2}, columns, (), container)


CHATML = export("chatml", {"messages": [TURN]})
PAIRS = export("preference", {"prompt": [TURN], "chosen": [TURN], "rejected": [TURN]})
RANKED = export("preference_sharegpt", {"conversations": [{}], "chosen": {}, "rejected": {}})


def setup(folder: Path, *exports: Export, model: str = "owner/model") -> Setup:
    for one in exports:
        (folder / one.folder).mkdir(exist_ok=True)
        for split in one.rows:
            if one.format == "chatml" and one.container == "jsonl" and not (folder / one.folder / f"{split}.jsonl").exists():
                write_rows("jsonl", folder / one.folder, split, [{"messages": CHAT}], one.columns)
            (folder / one.folder / f"{split}.jsonl").touch()
    return Setup(folder, {one.format: one for one in exports}, model, 2**40 + 5, 1024)


@pytest.mark.parametrize(
    "model", ["owner/model", "yes", "1e5", "a: b # c", 'it\'s "x" {y} ${z}', "- x", "模型", "!!python/object:os.system"]
)
@pytest.mark.parametrize("trainer", [axolotl, llama_factory, trl, unsloth], ids=lambda one: one.__name__.rpartition(".")[2])
def test_a_name_is_data_to_every_reader(trainer: Any, model: str, tmp_path: Path) -> None:
    made = trainer.configs(setup(tmp_path, CHATML, model=model))
    read = [
        yaml.safe_load(text) if file.endswith(".yaml") else json.loads(text)
        for file, text in made.files.items()
        if not file.endswith(".py")
    ]
    named = [one.get("base_model") or one.get("model_name_or_path") or one.get("model") for one in read if "sft_train" not in one]
    assert named
    assert set(named) == {model}
    scripts = [text for file, text in made.files.items() if file.endswith(".py")]
    assert all(text == trainer.configs(setup(tmp_path, CHATML)).files["train_sft.py"] for text in scripts)


@pytest.mark.parametrize("trainer", [axolotl, llama_factory], ids=["axolotl", "llama_factory"])
def test_values_are_numbers_to_a_reader_of_old_yaml_and_within_what_is_usual(trainer: Any, tmp_path: Path) -> None:
    made = trainer.configs(setup(tmp_path, CHATML, PAIRS, RANKED))
    read = {file: yaml.safe_load(text) for file, text in made.files.items() if file.endswith(".yaml")}
    assert set(read) == {"sft-lora.yaml", "sft-full.yaml", "dpo-lora.yaml", "dpo-full.yaml"}
    assert 1e-4 <= read["sft-lora.yaml"]["learning_rate"] <= 3e-4
    assert 1e-5 <= read["sft-full.yaml"]["learning_rate"] <= 5e-5
    assert (read["dpo-full.yaml"]["learning_rate"], read["dpo-lora.yaml"]["learning_rate"]) == (1e-6, 1e-5)
    assert {one.get("num_epochs", one.get("num_train_epochs")) for one in read.values()} <= {1, 2, 3}
    assert {one["seed"] for one in read.values()} == {5}
    assert {"lora_r", "lora_rank"} & set(read["sft-lora.yaml"])
    assert not {"lora_r", "lora_rank", "adapter"} & set(read["sft-full.yaml"])
    assert made.commands[0].endswith("sft-lora.yaml")


def test_axolotl_reads_both_splits_and_learns_the_assistant_alone(tmp_path: Path) -> None:
    read = yaml.safe_load(axolotl.configs(setup(tmp_path, CHATML)).files["sft-full.yaml"])
    [source] = read["datasets"]
    assert (source["path"], source["type"], source["roles_to_train"]) == ("sft/train.jsonl", "chat_template", ["assistant"])
    assert read["test_datasets"][0]["path"] == "sft/validation.jsonl"
    assert (read["sample_packing"], read["excess_length_strategy"]) == (True, "drop")
    alone = axolotl.configs(setup(tmp_path, export("chatml", {"messages": [TURN]}, {"train": 3, "validation": 0}, "parquet")))
    read = yaml.safe_load(alone.files["sft-full.yaml"])
    assert (read["datasets"][0]["ds_type"], "test_datasets" in read) == ("parquet", False)


def test_axolotl_reads_loss_weights_only_in_its_own_format(tmp_path: Path) -> None:
    weighted = export("chatml", {"messages": [{**TURN, "weight": "float64"}]})
    assert "add the format axolotl" in axolotl.configs(setup(tmp_path, weighted)).problem
    own = export("axolotl", {"messages": [{**TURN, "train": "bool"}]})
    read = yaml.safe_load(axolotl.configs(setup(tmp_path, weighted, own)).files["sft-lora.yaml"])
    assert (read["datasets"][0]["path"], read["datasets"][0]["message_field_training"]) == ("sft-axolotl/train.jsonl", "train")


def test_llama_factory_reads_messages_with_role_tags_and_pairs_as_a_ranking(tmp_path: Path) -> None:
    made = llama_factory.configs(setup(tmp_path, CHATML, RANKED))
    information = json.loads(made.files["dataset_info.json"])
    assert list(information) == ["sft_train", "sft_validation", "dpo_train", "dpo_validation"]
    assert information["sft_train"]["formatting"] == "sharegpt"
    assert information["sft_train"]["tags"]["user_tag"] == "user"
    assert information["dpo_train"]["ranking"] is True
    home = tmp_path / "trainers" / "llama_factory"
    assert (home / information["sft_train"]["file_name"]).resolve() == (tmp_path / "sft" / "train.jsonl").resolve()
    read = yaml.safe_load(made.files["sft-lora.yaml"])
    assert (read["eval_dataset"], read["packing"], read["neat_packing"]) == ("sft_validation", True, True)


@pytest.mark.parametrize(
    ("columns", "messages", "problem"),
    [
        ({"messages": [WIDE_TURN]}, CHAT, "tools or loss weights"),
        ({"messages": [TURN], "tools": "string"}, CHAT, "tools or loss weights"),
        ({"messages": [TURN]}, [*CHAT, CHAT[1]], "skip 2 rows whose turns do not alternate"),
        ({"messages": [TURN]}, CHAT[1:], "skip 2 rows"),
    ],
    ids=["wide", "tools", "twice", "no-question"],
)
def test_what_llama_factory_would_lose_without_a_word_is_a_problem(
    columns: Mapping[str, Any], messages: list[Any], problem: str, tmp_path: Path
) -> None:
    for split in ("train", "validation"):
        write_rows("jsonl", tmp_path / "sft", split, [{"messages": messages}], {"messages": [TURN]})
    made = llama_factory.configs(setup(tmp_path, export("chatml", columns)))
    assert problem in made.problem
    assert "add the format sharegpt" in made.problem
    assert not made.files
    strict = export("sharegpt", {"conversations": [{}], "system": "string"})
    assert not llama_factory.configs(setup(tmp_path, export("chatml", columns), strict)).problem


def test_a_script_is_told_where_its_data_is_by_a_file_beside_it(tmp_path: Path) -> None:
    made = trl.configs(setup(tmp_path, CHATML, PAIRS))
    settings = json.loads(made.files["settings.json"])
    home = tmp_path / "trainers" / "trl"
    assert (home / settings["sft"]["validation"]).resolve() == (tmp_path / "sft" / "validation.jsonl").resolve()
    assert (home / settings["dpo"]["train"]).resolve() == (tmp_path / "preference" / "train.jsonl").resolve()
    assert set(made.files) == {"train_sft.py", "train_dpo.py", "settings.json"}
    assert "train_dpo.py" not in trl.configs(setup(tmp_path, CHATML)).files
    assert unsloth.configs(setup(tmp_path, PAIRS)).problem


class Tokenizer:
    """As much of a tokenizer as a script asks for."""

    def __init__(self, name: str) -> None:
        special = {"bos_token": "<s>" if "mistral" in name or "llama" in name else "<bos>", "eos_token": "</s>"}
        self.template = ChatTemplate((TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8"), special)

    def apply_chat_template(self, turns: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize
        text = self.template.render([Message(turn["role"], turn["content"]) for turn in turns], generation_prompt=add_generation_prompt)
        assert isinstance(text, str)
        return text


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Unsloth's script, without Unsloth and what stands on a GPU."""
    wanted = {"unsloth": (), "unsloth.chat_templates": ("train_on_responses_only",), "trl": ("SFTConfig", "SFTTrainer")}
    for name, members in wanted.items():
        stand_in = ModuleType(name)
        for member in members:
            setattr(stand_in, member, None)
        monkeypatch.setitem(sys.modules, name, stand_in)
    spec = importlib.util.spec_from_file_location("unsloth_sft", resource("data", "trainers", "unsloth_sft.py"))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("chatml", "<|im_start|>user\n", "<|im_start|>assistant\n"),
        ("llama3", "<|start_header_id|>user<|end_header_id|>\n\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        ("gemma2", "<start_of_turn>user\n", "<start_of_turn>model\n"),
        ("phi3", "<|user|>\n", "<|assistant|>\n"),
        ("zephyr", "<|user|>\n", "<|assistant|>\n"),
        ("mistral", "[INST]", "[/INST]"),
    ],
)
def test_unsloths_headers_are_those_of_the_template(name: str, question: str, answer: str, script: Any) -> None:
    found = script.headers(Tokenizer(name))
    assert (found[0].strip(), found[1].strip()) == (question.strip(), answer.strip())


def test_unsloths_script_stops_at_a_mask_that_is_wrong(script: Any) -> None:
    class Words:
        @staticmethod
        def decode(ids: list[int]) -> str:
            return " ".join(("ask", "Hi", "answer", "Hello")[number] for number in ids)

    rows = [{"messages": CHAT}]
    script.check_masks([{"labels": [-100, -100, 2, 3]}], rows, Words)
    with pytest.raises(SystemExit, match="leaves out an answer"):
        script.check_masks([{"labels": [-100] * 4}], rows, Words)
    with pytest.raises(SystemExit, match="message of the user be learnt"):
        script.check_masks([{"labels": [0, 1, 2, 3]}], rows, Words)
