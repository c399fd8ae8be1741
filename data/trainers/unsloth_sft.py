"""Fine-tune a model on a run's conversations with Unsloth and LoRA on one GPU, the loss on the answers alone.

In the run's folder:   python trainers/unsloth/train_sft.py            LoRA on 16 bits
                       python trainers/unsloth/train_sft.py --4-bit    QLoRA: less memory, somewhat less exact
Model, files, seed and length stand in settings.json beside this file. Both are written again by every export: copy them before you
change them. Unsloth finds answers by the tokens of the headers around them, so the masks are looked at before anything is trained.
"""

from __future__ import annotations

import unsloth  # before trl and transformers, which it changes  # isort: skip

import argparse
import json
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from trl import SFTConfig, SFTTrainer
from unsloth.chat_templates import train_on_responses_only

HERE = Path(__file__).resolve().parent
EPOCHS = 2  # 1 to 3; the validation loss says when a small set is being learnt by heart
LEARNING_RATE = 2e-4  # LoRA: 1e-4 to 3e-4 (QLoRA, Dettmers et al. 2023, took 2e-4)
RANK, ALPHA = 16, 32
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LOOKED_AT = 50  # rows whose masks are checked
ASKED, ANSWERED = "first question", "first answer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="instead of that in settings.json")
    parser.add_argument("--4-bit", dest="four_bit", action="store_true", help="load the weights in 4 bits")
    parser.add_argument("--max-steps", type=int, default=-1, help="stop there, for a trial")
    parser.add_argument("--out", type=Path, default=HERE / "output" / "sft")
    arguments = parser.parse_args()
    settings = json.loads((HERE / "settings.json").read_text(encoding="utf-8"))
    model, tokenizer = unsloth.FastLanguageModel.from_pretrained(
        arguments.model or settings["model"], max_seq_length=settings["max_length"], load_in_4bit=arguments.four_bit
    )
    model = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0,
        target_modules=list(LAYERS),
        use_gradient_checkpointing="unsloth",
        random_state=settings["seed"],
    )
    rows = {}
    for split, path in settings["sft"].items():
        loaded = load_dataset(settings["reader"], data_files=str((HERE / path).resolve()), split="train")
        rows[split] = rendered(loaded, tokenizer, settings["max_length"])
    if any("simulated" in one.column_names for one in rows.values()):
        print("some rows were written by the simulator: they are for trying things out, never train on them for real")
    validation = rows.get("validation")
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=rows["train"],
        eval_dataset=validation,
        args=SFTConfig(
            output_dir=str(arguments.out),
            dataset_text_field="text",
            num_train_epochs=EPOCHS,
            max_steps=arguments.max_steps,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="cosine",
            warmup_steps=10,
            per_device_train_batch_size=2,
            per_device_eval_batch_size=2,
            gradient_accumulation_steps=8,
            max_length=settings["max_length"],
            packing=False,
            eval_strategy="epoch" if validation is not None else "no",
            save_strategy="epoch",
            logging_steps=5,
            report_to="none",
            seed=settings["seed"],
        ),
    )
    question, answer = headers(tokenizer)
    trainer = train_on_responses_only(trainer, instruction_part=question, response_part=answer)
    check_masks(trainer.train_dataset, rows["train"], tokenizer)
    trainer.train()
    trainer.save_model()


def rendered(rows: Dataset, tokenizer: Any, longest: int) -> Dataset:
    """Conversations as text by the model's own template, without its begin-of-text token, which the trainer adds again; those that are
    longer than `longest` tokens are left out, since the trainer would cut them."""

    def render(row: dict[str, Any]) -> dict[str, str]:
        turns = [{key: value for key, value in turn.items() if value is not None and key != "weight"} for turn in row["messages"]]
        tools = json.loads(row["tools"]) if row.get("tools") else None
        text = tokenizer.apply_chat_template(turns, tools=tools, tokenize=False)
        begin = tokenizer.bos_token or ""
        return {"text": text.removeprefix(begin) if begin and tokenizer("")["input_ids"] else text}

    if any(turn.get("weight") == 0 for messages in rows["messages"] for turn in messages):
        raise SystemExit("some answers have the loss weight 0, which Unsloth would train on: take trainers/trl instead")
    texts = rows.map(render)
    kept = texts.filter(lambda row: len(tokenizer(row["text"])["input_ids"]) <= longest)
    if len(kept) < len(texts):
        print(f"{len(texts) - len(kept)} of {len(texts)} rows are longer than {longest} tokens and left out")
    if not len(kept):
        raise SystemExit("no row is left to train on")
    return kept


def headers(tokenizer: Any) -> tuple[str, str]:
    """What this model's template writes before a question and before an answer, found by rendering two exchanges."""
    turns = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": ANSWERED},
        {"role": "user", "content": "second question"},
        {"role": "assistant", "content": "second answer"},
    ]

    def render(count: int, prompt: bool = False) -> str:
        return str(tokenizer.apply_chat_template(turns[:count], tokenize=False, add_generation_prompt=prompt))

    whole, asked, prompted = render(4), render(1), render(1, prompt=True)
    first, between = whole.split(ASKED, 1)[0], whole.split(ASKED, 1)[-1].split(ANSWERED, 1)[0]
    following = whole.split(ANSWERED, 1)[-1].split("second question", 1)[0]  # the end of an answer, and a question's header
    end = render(2).split(ANSWERED, 1)[-1]
    if following.startswith(end):
        question = following.removeprefix(end)
    else:  # a template that ends the whole text in a way of its own: <|endoftext|>
        question = next((following[at:] for at in range(len(following)) if first.endswith(following[at:])), "")
    answer = prompted.removeprefix(asked)
    if not answer or not prompted.startswith(asked) or answer not in whole:  # no header of its own ([/INST]), or none that is added
        answer = between.removeprefix(following.removesuffix(question))
    if not question.strip() or not answer.strip() or question == answer:
        raise SystemExit("this chat template has no headers to find answers by: take trainers/trl instead")
    return question, answer


def check_masks(trained: Dataset, rows: Dataset, tokenizer: Any) -> None:
    """Stop unless what is learnt of the first rows holds all of each answer and nothing of a question."""
    for place in range(min(LOOKED_AT, len(rows))):
        learnt = tokenizer.decode([number for number in trained[place]["labels"] if number != -100])
        texts = [(turn["role"], (turn["content"] or "").strip()) for turn in rows[place]["messages"]]
        answers = [text for role, text in texts if role == "assistant"]
        for role, text in texts:
            if role == "assistant" and text not in learnt:
                raise SystemExit(f"the mask of row {place + 1} leaves out an answer: take trainers/trl instead")
            if role != "assistant" and text in learnt and not any(text in answer for answer in answers):
                raise SystemExit(f"the mask of row {place + 1} lets a message of the {role} be learnt: take trainers/trl instead")


if __name__ == "__main__":
    main()
