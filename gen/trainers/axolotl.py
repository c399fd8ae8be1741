"""Axolotl's YAML: the model's own chat template, the loss on assistant turns alone, rows packed with attention kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gen.trainers.setup import (
    ACCUMULATED,
    ALPHA,
    BATCH,
    BETA,
    DROPOUT,
    EPOCHS,
    FOLDER,
    LEARNING_RATE,
    OUTPUT,
    PREFERENCE_EPOCHS,
    PREFERENCE_RATE,
    RANK,
    WARMUP,
    WAYS,
    Configs,
    Setup,
    Way,
    as_yaml,
    missing,
    quoted,
    rate_note,
)

FILES = tuple(f"{kind}-{way}.yaml" for kind in ("sft", "dpo") for way in WAYS)
FORMATS = ("axolotl", "chatml")  # the first that is written is read
PAIRS = "preference"
_HERE = f"{FOLDER}/axolotl"


def configs(setup: Setup) -> Configs:
    """`sft-lora.yaml` and `sft-full.yaml`, and `dpo-*.yaml` where there are pairs to train on."""
    name = next((one for one in FORMATS if setup.file(one, "train")), "")
    pairs = bool(setup.file(PAIRS, "train"))
    if not name and not pairs:
        return missing(*FORMATS)
    if name == "chatml" and "weight" in setup.turn_columns(name):
        return Configs({}, problem="loss weights are read by Axolotl as `train`: add the format axolotl")
    files = {}
    for way in WAYS if name else ():
        files[f"sft-{way}.yaml"] = as_yaml(_heading(f"sft-{way}"), [*_supervised(setup, name, way), *_shared(setup, way)])
    for way in WAYS if pairs else ():
        files[f"dpo-{way}.yaml"] = as_yaml(_heading(f"dpo-{way}"), [*_preferences(setup, way), *_shared(setup, way)])
    return Configs(files, tuple(_command(file.removesuffix(".yaml")) for file in files))


def _command(title: str) -> str:
    return f"axolotl train {_HERE}/{title}.yaml"


def _heading(title: str) -> list[str]:
    return [f"In the run's folder: {_command(title)}", "Written again by every export: copy it before you change it."]


def _supervised(setup: Setup, name: str, way: Way) -> Iterator[tuple[str, Any, str]]:
    yield "base_model", quoted(setup.model), ""
    yield "datasets", [_chats(setup, name, "train")], ""
    if setup.file(name, "validation"):
        yield "test_datasets", [_chats(setup, name, "validation")], "the run's own validation split"
        yield "eval_sample_packing", False, "a small set does not fill a packed batch"
    yield "output_dir", f"{_HERE}/{OUTPUT}/sft-{way}", ""
    yield "sequence_len", setup.max_length, ""
    yield "excess_length_strategy", "drop", "a cut answer teaches to stop in the middle"
    yield "sample_packing", True, "rows of several samples; Axolotl keeps them from seeing each other, with FlashAttention"
    yield "attn_implementation", "flash_attention_2", "without it: sdpa, and sample_packing: false"
    yield "num_epochs", EPOCHS, "1 to 3"
    yield "learning_rate", LEARNING_RATE[way], rate_note(way, preferences=False)


def _chats(setup: Setup, name: str, split: str) -> dict[str, Any]:
    weighted = {"message_field_training": "train"} if "train" in setup.turn_columns(name) else {}
    return {
        "path": setup.file(name, split),
        "ds_type": setup.reader(name),
        "split": "train",  # what datasets calls the rows of a plain file
        "type": "chat_template",
        "chat_template": "tokenizer_default",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
        **weighted,
    }


def _preferences(setup: Setup, way: Way) -> Iterator[tuple[str, Any, str]]:
    yield "base_model", quoted(setup.model), "the model that the supervised training left, rather than the one before it"
    yield "rl", "dpo", ""
    yield "rl_beta", BETA, "Rafailov et al. 2023"
    yield "datasets", [_pairs(setup, "train")], ""
    if setup.file(PAIRS, "validation"):
        yield "test_datasets", [_pairs(setup, "validation")], "the run's own validation split"
    yield "output_dir", f"{_HERE}/{OUTPUT}/dpo-{way}", ""
    yield "sequence_len", setup.max_length, ""
    yield "num_epochs", PREFERENCE_EPOCHS, "1 to 3"
    yield "learning_rate", PREFERENCE_RATE[way], rate_note(way, preferences=True)


def _pairs(setup: Setup, split: str) -> dict[str, Any]:
    return {
        "path": setup.file(PAIRS, split),
        "ds_type": setup.reader(PAIRS),
        "split": "train",
        "type": "chat_template.default",
        "chat_template": "tokenizer_default",
        "field_messages": "prompt",
        "field_chosen": "chosen",
        "field_rejected": "rejected",
    }


def _shared(setup: Setup, way: Way) -> Iterator[tuple[str, Any, str]]:
    yield "dataset_prepared_path", f"{_HERE}/{OUTPUT}/prepared", ""
    yield "micro_batch_size", BATCH, "rows on a device at once"
    yield "gradient_accumulation_steps", ACCUMULATED, "rows × this × devices make a step"
    yield from ((key, value, "") for key, value in _optimizer(way).items())
    yield "seed", setup.seed % 2**32, "the run's own"


def _optimizer(way: Way) -> Mapping[str, Any]:
    adapter = {"adapter": "lora", "lora_r": RANK, "lora_alpha": ALPHA, "lora_dropout": DROPOUT, "lora_target_linear": True}
    return {
        **(adapter if way == "lora" else {}),
        "optimizer": "adamw_torch",
        "lr_scheduler": "cosine",
        "warmup_ratio": WARMUP,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "logging_steps": 5,
        "saves_per_epoch": 1,
        "evals_per_epoch": 2,
    }
