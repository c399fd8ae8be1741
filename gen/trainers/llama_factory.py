"""LLaMA-Factory's dataset_info.json (ShareGPT's formatting with role tags; ranking for pairs) and a YAML for each training.

`formatting: openai` would put words of its own into every system prompt, so messages are read as ShareGPT with their roles as tags. A
conversation that does not alternate is skipped by LLaMA-Factory with no more than a warning; here it is a reason to say no.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gen.conversation import TURN
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

FILES = ("dataset_info.json", *(f"{kind}-{way}.yaml" for kind in ("sft", "dpo") for way in WAYS))
FORMATS = ("sharegpt", "chatml")  # the first that is written is read
PAIRS = "preference_sharegpt"
_HERE = f"{FOLDER}/llama_factory"
_TO_RUN = "../.."  # from here to the run's folder: files are found from dataset_dir
_CHAT_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
_STRICT = "add the format sharegpt, which leaves those out by name"


def configs(setup: Setup) -> Configs:
    """`dataset_info.json`, `sft-lora.yaml` and `sft-full.yaml`, and `dpo-*.yaml` where there are pairs to train on."""
    name = next((one for one in FORMATS if setup.file(one, "train")), "")
    pairs = bool(setup.file(PAIRS, "train"))
    if not name and not pairs:
        return missing(*FORMATS)
    problem = _problem(setup) if name == "chatml" else ""
    if problem:
        return Configs({}, problem=problem)
    information: dict[str, Any] = {}
    files = {}
    for kind, source in (("sft", name), ("dpo", PAIRS if pairs else "")):
        if not source:
            continue
        splits = [split for split in ("train", "validation") if setup.file(source, split)]
        layout = _layout(setup, source)
        information |= {f"{kind}_{split}": {"file_name": f"{_TO_RUN}/{setup.file(source, split)}", **layout} for split in splits}
        for way in WAYS:
            title = f"{kind}-{way}"
            files[f"{title}.yaml"] = as_yaml(_heading(title), [*_task(kind, splits, way), *_shared(setup, title, way)])
    written = {"dataset_info.json": json.dumps(information, indent=2, ensure_ascii=False) + "\n", **files}
    return Configs(written, tuple(_command(file.removesuffix(".yaml")) for file in files))


def _command(title: str) -> str:
    return f"llamafactory-cli train {_HERE}/{title}.yaml"


def _heading(title: str) -> list[str]:
    return [
        f"In the run's folder: {_command(title)}",
        "Written again by every export: copy it before you change it.",
        "Without `template`, the chat template of the model's own tokenizer is taken; a base model needs one named.",
    ]


def _problem(setup: Setup) -> str:
    """Why LLaMA-Factory would lose some of the messages without a word; empty when it would not."""
    if setup.turn_columns("chatml") != set(TURN) or "tools" in setup.exports["chatml"].columns:
        return f"some rows have tools or loss weights, which it does not read here: {_STRICT}"
    odd = sum(not _alternates([turn["role"] for turn in row["messages"]]) for row in setup.rows("chatml"))
    return f"it would skip {odd} rows whose turns do not alternate: {_STRICT}" if odd else ""


def _alternates(roles: Sequence[str]) -> bool:
    turns = roles[1:] if roles[:1] == ["system"] else roles
    return bool(turns) and list(turns) == ["user", "assistant"] * (len(turns) // 2)


def _layout(setup: Setup, name: str) -> Mapping[str, Any]:
    if name == "chatml":
        return {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": _CHAT_TAGS}
    system = {"system": "system"} if any("system" in row for row in setup.rows(name)) else {}
    columns = {"messages": "conversations", **system}
    if name == PAIRS:
        return {"formatting": "sharegpt", "ranking": True, "columns": {**columns, "chosen": "chosen", "rejected": "rejected"}}
    return {"formatting": "sharegpt", "columns": columns}


def _task(kind: str, splits: Sequence[str], way: Way) -> Iterator[tuple[str, Any, str]]:
    preferences = kind == "dpo"
    yield "stage", kind, ""
    if preferences:
        yield "pref_beta", BETA, "Rafailov et al. 2023"
        yield "pref_loss", "sigmoid", "DPO"
    yield "dataset", f"{kind}_train", "of dataset_info.json"
    if "validation" in splits:
        yield "eval_dataset", f"{kind}_validation", "the run's own validation split"
        yield "eval_strategy", "epoch", ""
        yield "per_device_eval_batch_size", BATCH, ""
    if not preferences:
        yield "packing", True, "rows of several samples"
        yield "neat_packing", True, "and none sees another: packing alone lets them"
    yield "num_train_epochs", PREFERENCE_EPOCHS if preferences else EPOCHS, "1 to 3"
    rate = (PREFERENCE_RATE if preferences else LEARNING_RATE)[way]
    yield "learning_rate", rate, rate_note(way, preferences=preferences)


def _shared(setup: Setup, title: str, way: Way) -> Iterator[tuple[str, Any, str]]:
    adapter = {"lora_target": "all", "lora_rank": RANK, "lora_alpha": ALPHA, "lora_dropout": DROPOUT}
    yield "model_name_or_path", quoted(setup.model), ""
    yield "do_train", True, ""
    yield "dataset_dir", _HERE, "from the run's folder"
    yield "output_dir", f"{_HERE}/{OUTPUT}/{title}", ""
    yield "cutoff_len", setup.max_length, "longer samples are cut here: see what `sluice pack` leaves out as too_long"
    yield "finetuning_type", way, ""
    yield from ((key, value, "") for key, value in (adapter.items() if way == "lora" else ()))
    yield "per_device_train_batch_size", BATCH, "rows on a device at once"
    yield "gradient_accumulation_steps", ACCUMULATED, "rows × this × devices make a step"
    yield "lr_scheduler_type", "cosine", ""
    yield "warmup_ratio", WARMUP, ""
    yield "bf16", True, ""
    yield "logging_steps", 5, ""
    yield "save_strategy", "epoch", ""
    yield "report_to", "none", ""
    yield "seed", setup.seed % 2**32, "the run's own"
