"""Fine-tune a model on a run's conversations with TRL, the loss on the answers alone.

In the run's folder:   accelerate launch trainers/trl/train_sft.py            LoRA; needs peft
                       accelerate launch trainers/trl/train_sft.py --full     all weights
Model, files, seed and length stand in settings.json beside this file. Both are written again by every export: copy them before you
change them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer
from transformers.utils import is_flash_attn_2_available
from trl import SFTConfig, SFTTrainer

HERE = Path(__file__).resolve().parent
EPOCHS = 2  # 1 to 3; the validation loss says when a small set is being learnt by heart
LEARNING_RATE = {"full": 2e-5, "lora": 2e-4}  # full: 1e-5 to 5e-5 (Stanford Alpaca 2e-5); LoRA: 1e-4 to 3e-4 (QLoRA, Dettmers et al. 2023)
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
TURN = ("role", "content", "tool_calls", "tool_call_id", "name")
MARKERS = re.compile(r"\{%-?\s{0,9}generation\b")  # {% generation %} in a chat template: what TRL needs to find the answers in messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="instead of that in settings.json")
    parser.add_argument("--full", action="store_true", help="train all weights instead of LoRA's")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop there, for a trial")
    parser.add_argument("--out", type=Path, default=HERE / "output" / "sft")
    arguments = parser.parse_args()
    settings = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
    model = arguments.model or settings["model"]
    tokenizer = AutoTokenizer.from_pretrained(model)
    files = {split: str((HERE / path).resolve()) for split, path in settings["sft"].items()}
    loaded = {split: load_dataset(settings["reader"], data_files=path, split="train") for split, path in files.items()}
    if any("simulated" in one.column_names for one in loaded.values()):
        print("some rows were written by the simulator: they are for trying things out, never train on them for real")
    whole = bool(MARKERS.search(str(tokenizer.chat_template))) and not any(has_weights(rows) for rows in loaded.values())
    ready = {
        split: fitting(as_messages(rows) if whole else answers(rows), tokenizer, settings["max_length"]) for split, rows in loaded.items()
    }
    cuda = torch.cuda.is_available()
    flash = cuda and is_flash_attn_2_available()  # without it, samples of a packed row would see each other
    validation = ready.get("validation")
    options = SFTConfig(
        output_dir=str(arguments.out),
        num_train_epochs=EPOCHS,
        max_steps=arguments.max_steps,
        learning_rate=LEARNING_RATE["full" if arguments.full else "lora"],
        lr_scheduler_type="cosine",
        warmup_steps=10,
        per_device_train_batch_size=2,
        per_device_eval_batch_size=2,
        gradient_accumulation_steps=8,
        max_length=settings["max_length"],
        packing=flash,
        padding_free=flash,
        eval_packing=False,
        assistant_only_loss=whole,
        completion_only_loss=None if whole else True,
        bf16=cuda and torch.cuda.is_bf16_supported(),
        use_cpu=not cuda,
        eval_strategy="epoch" if validation is not None else "no",
        save_strategy="epoch",
        logging_steps=5,
        report_to=[],
        seed=settings["seed"],
        model_init_kwargs={"attn_implementation": "flash_attention_2"} if flash else None,
    )
    trainer = SFTTrainer(
        model=model,
        args=options,
        train_dataset=ready["train"],
        eval_dataset=validation,
        processing_class=tokenizer,
        peft_config=None if arguments.full else importlib.import_module("peft").LoraConfig(**LORA),
    )
    trainer.train()
    trainer.save_model()


def has_weights(rows: Dataset) -> bool:
    """Whether an answer says that it is not to be learnt."""
    return any(turn.get("weight") == 0 for messages in rows["messages"] for turn in messages)


def as_messages(rows: Dataset) -> Dataset:
    """The conversations as they are, for a template whose markers say what is an answer."""
    kept = {"messages", "tools"} & set(rows.column_names)
    return rows.select_columns(sorted(kept))


def answers(rows: Dataset) -> Dataset:
    """A row for each answer that is to be learnt, with all that stands before it as its prompt: right for every chat template."""

    def split(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        made: dict[str, list[Any]] = {name: [] for name in ("prompt", "completion", *(["tools"] if "tools" in batch else []))}
        for at, messages in enumerate(batch["messages"]):
            turns = [{key: turn[key] for key in TURN if turn.get(key) is not None} for turn in messages]
            for place, turn in enumerate(messages):
                if place and turn["role"] == "assistant" and turn.get("weight") != 0:
                    made["prompt"].append(turns[:place])
                    made["completion"].append([turns[place]])
                    if "tools" in batch:
                        made["tools"].append(batch["tools"][at])
        return made

    return rows.map(split, batched=True, remove_columns=rows.column_names)


def fitting(rows: Dataset, tokenizer: Any, longest: int) -> Dataset:
    """The rows of at most `longest` tokens: TRL would cut the others, and a cut answer teaches to stop in the middle."""

    def fits(row: dict[str, Any]) -> bool:
        messages = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
        tools = json.loads(row["tools"]) if row.get("tools") else None
        text = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
        return len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= longest

    kept = rows.filter(fits)
    if len(kept) < len(rows):
        print(f"{len(rows) - len(kept)} of {len(rows)} rows are longer than {longest} tokens and left out")
    if not len(kept):
        raise SystemExit("no row is left to train on")
    return kept


if __name__ == "__main__":
    main()
