"""Train a model on a run's preference pairs with TRL (DPO: Rafailov et al. 2023).

In the run's folder:   accelerate launch trainers/trl/train_dpo.py --model trainers/trl/output/sft            LoRA; needs peft
                       accelerate launch trainers/trl/train_dpo.py --model trainers/trl/output/sft --full     all weights
Without --model it begins with the model of settings.json, which has not seen the run's answers yet. Files, seed and length stand there
too. Both files are written again by every export: copy them before you change them.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import torch
from datasets import load_dataset
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer

HERE = Path(__file__).resolve().parent
EPOCHS = 1  # more, and the model drifts from what it knew
BETA = 0.1
LEARNING_RATE = {"full": 1e-6, "lora": 1e-5}  # all weights: as in the paper, at most 5e-6; LoRA: about ten times that
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
COLUMNS = ("prompt", "chosen", "rejected", "tools")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="instead of that in settings.json: the model that the supervised training left")
    parser.add_argument("--full", action="store_true", help="train all weights instead of LoRA's")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop there, for a trial")
    parser.add_argument("--out", type=Path, default=HERE / "output" / "dpo")
    arguments = parser.parse_args()
    settings = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
    model = arguments.model or settings["model"]
    rows = {}
    for split, path in settings["dpo"].items():
        loaded = load_dataset(settings["reader"], data_files=str((HERE / path).resolve()), split="train")
        if "simulated" in loaded.column_names:
            print(f"some {split} rows were written by the simulator: they are for trying things out, never train on them for real")
        rows[split] = loaded.select_columns([name for name in COLUMNS if name in loaded.column_names])
    cuda = torch.cuda.is_available()
    validation = rows.get("validation")
    options = DPOConfig(
        output_dir=str(arguments.out),
        num_train_epochs=EPOCHS,
        max_steps=arguments.max_steps,
        learning_rate=LEARNING_RATE["full" if arguments.full else "lora"],
        beta=BETA,
        warmup_steps=10,
        per_device_train_batch_size=2,
        per_device_eval_batch_size=2,
        gradient_accumulation_steps=8,
        max_length=settings["max_length"],
        bf16=cuda and torch.cuda.is_bf16_supported(),
        use_cpu=not cuda,
        eval_strategy="epoch" if validation is not None else "no",
        save_strategy="epoch",
        logging_steps=5,
        report_to=[],
        seed=settings["seed"],
    )
    trainer = DPOTrainer(
        model=model,
        args=options,
        train_dataset=rows["train"],
        eval_dataset=validation,
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=None if arguments.full else importlib.import_module("peft").LoraConfig(**LORA),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
