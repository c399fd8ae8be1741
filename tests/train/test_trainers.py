"""The real trainers read what we write: TRL on messages, on a packed set and on pairs, with tiny models that start from random weights.

Run by `make test-train` in an environment with torch and trl; skipped where they are missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")

import datasets  # noqa: E402 (only where torch and trl are)
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

from gen.exporters.kto import KTO  # noqa: E402
from gen.exporters.packed import pack_samples  # noqa: E402
from gen.exporters.preference import Preferences  # noqa: E402
from gen.exporters.prompt_completion import PromptCompletion  # noqa: E402
from gen.resources import resource  # noqa: E402
from gen.templates.plan_encoder import Encoded  # noqa: E402
from gen.templates.templating import open_templating  # noqa: E402
from gen.types import Message, Preference, Sample  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # the trainers' own

TOKENIZER = resource("data", "tokenizer")
SIZES = {
    "vocab_size": 4096,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 3,
}
MODELS = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}


def tiny(kind: str = "llama") -> Any:
    torch.manual_seed(0)
    config, model = MODELS[kind]
    return model(config(**SIZES, attn_implementation="sdpa")).eval()


@pytest.fixture
def samples() -> list[Sample]:
    made = []
    for number in range(24):
        pair = (
            Message("user", f"Count to {number}. " * (1 + number % 3)),
            Message("assistant", "one, two, " * (1 + number % 7) + str(number)),
        )
        made.append(Sample(f"s{number}", pair * (1 + number % 2)))
    return made


@pytest.fixture
def packed(samples: list[Sample], tmp_path: Path) -> Any:
    pack_samples(samples, tokenizer=TOKENIZER, max_length=160, out=tmp_path / "packed")
    return datasets.load_from_disk(str(tmp_path / "packed"))


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 3,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "logging_steps": 1,
        "disable_tqdm": True,
        **more,
    }


def losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def token_losses(model: Any, ids: list[int], labels: list[int], **inputs: Any) -> Any:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False, **inputs).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), ignore_index=-100, reduction="none")


@pytest.mark.parametrize("kind", MODELS)
def test_a_sample_has_the_same_loss_in_a_packed_row_as_alone(kind: str, samples: list[Sample], packed: Any) -> None:
    model = tiny(kind)
    alone: dict[tuple[int, ...], float] = {}
    for _, result in open_templating(TOKENIZER).encode(samples):
        assert isinstance(result, Encoded)
        labels = [number if flag else -100 for number, flag in zip(result.ids.tolist(), result.trained.tolist(), strict=True)]
        alone[tuple(result.ids.tolist())] = float(token_losses(model, result.ids.tolist(), labels).sum())
    seen = 0
    for row in packed:
        together = token_losses(model, row["input_ids"], row["labels"], position_ids=torch.tensor([row["position_ids"]]))
        start = 0
        for length in row["seq_lengths"]:
            here = float(together[max(start - 1, 0) : start + length - 1].sum())
            assert here == pytest.approx(alone[tuple(row["input_ids"][start : start + length])], abs=1e-4)
            start, seen = start + length, seen + 1
    assert seen == len(samples)


def test_without_positions_the_losses_differ_so_the_check_above_can_fail(packed: Any) -> None:
    model = tiny()
    row = next(row for row in packed if len(row["seq_lengths"]) > 1)
    right = token_losses(model, row["input_ids"], row["labels"], position_ids=torch.tensor([row["position_ids"]]))
    assert float((right - token_losses(model, row["input_ids"], row["labels"])).abs().max()) > 1e-4


def test_trl_trains_on_a_packed_set_and_keeps_labels_and_boundaries(packed: Any, tmp_path: Path) -> None:
    config = trl.SFTConfig(**settings(tmp_path, padding_free=True, packing=False, max_length=None))
    trainer = trl.SFTTrainer(model=tiny(), args=config, train_dataset=packed, processing_class=AutoTokenizer.from_pretrained(TOKENIZER))
    batch = trainer.data_collator([trainer.train_dataset[0], trainer.train_dataset[1]])
    rows = [packed[0], packed[1]]
    assert batch["input_ids"][0].tolist() == rows[0]["input_ids"] + rows[1]["input_ids"]
    assert batch["labels"][0].tolist() == rows[0]["labels"] + rows[1]["labels"]
    assert batch["position_ids"][0].tolist() == rows[0]["position_ids"] + rows[1]["position_ids"]
    assert "attention_mask" not in batch
    trainer.train()
    assert len(losses(trainer)) == 3
    assert all(loss > 0 for loss in losses(trainer))


def test_trl_trains_on_one_example_per_row(samples: list[Sample], tmp_path: Path) -> None:
    pack_samples(samples, tokenizer=TOKENIZER, max_length=160, out=tmp_path / "examples", layout="examples")
    data = datasets.load_from_disk(str(tmp_path / "examples"))
    assert data.column_names == ["input_ids", "attention_mask", "labels"]
    config = trl.SFTConfig(**settings(tmp_path, max_length=None))
    trainer = trl.SFTTrainer(model=tiny(), args=config, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(TOKENIZER))
    assert trainer.train_dataset[0]["labels"] == data[0]["labels"]
    trainer.train()
    assert all(loss > 0 for loss in losses(trainer))


def test_trl_trains_on_messages_and_has_the_ids_that_we_have(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [{"messages": [{"role": message.role, "content": message.content} for message in sample.messages]} for sample in samples]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    trainer = trl.SFTTrainer(
        model=tiny(),
        args=trl.SFTConfig(**settings(tmp_path)),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(TOKENIZER),
    )
    ours = [result.ids.tolist() for _, result in open_templating(TOKENIZER).encode(samples) if isinstance(result, Encoded)]
    assert [list(row["input_ids"]) for row in trainer.train_dataset] == ours
    trainer.train()
    assert all(loss > 0 for loss in losses(trainer))


def written(exporter: Any, items: list[Any], tmp_path: Path) -> Any:
    """What an exporter writes, as `datasets` loads it."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in exporter.rows(items)), encoding="utf-8")
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))


def test_trl_trains_on_prompt_and_completion_and_learns_our_last_answer(samples: list[Sample], tmp_path: Path) -> None:
    trainer = trl.SFTTrainer(
        model=tiny(),
        args=trl.SFTConfig(**settings(tmp_path)),
        train_dataset=written(PromptCompletion(), samples, tmp_path),
        processing_class=AutoTokenizer.from_pretrained(TOKENIZER),
    )
    ours = [result for _, result in open_templating(TOKENIZER, train_on="last").encode(samples) if isinstance(result, Encoded)]
    assert [list(row["input_ids"]) for row in trainer.train_dataset] == [one.ids.tolist() for one in ours]
    for row, one in zip(trainer.train_dataset, ours, strict=True):
        labels = trainer.data_collator([row])["labels"][0].tolist()
        learnt = [place for place, label in enumerate(labels) if label != -100]
        where = one.trained.nonzero()[0].tolist()
        assert learnt == [*where, where[-1] + 1]  # TRL learns the line end after the end of the turn too: it is in the completion
    trainer.train()
    assert all(loss > 0 for loss in losses(trainer))


def test_trl_trains_on_answers_labelled_good_and_bad(samples: list[Sample], tmp_path: Path) -> None:
    bad = (Message("assistant", "I would rather not say."),)
    pairs = [Preference(one.id, one.messages[:1], one.messages[1:2], bad, 5, 2, 3, "best_of_n", one.id) for one in samples[:8]]
    data = written(KTO(), pairs, tmp_path)
    assert sum(data["label"]) == 8
    trainer = trl.KTOTrainer(
        model=tiny(),
        ref_model=tiny(),
        args=trl.KTOConfig(**settings(tmp_path)),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(TOKENIZER),
    )
    trainer.train()
    assert losses(trainer)


def test_trl_trains_on_preference_rows(tmp_path: Path) -> None:
    bad = (Message("assistant", "I would rather not say."),)
    asked = [(Message("user", f"Say {number}"), Message("assistant", f"{number}.")) for number in range(8)]
    pairs = [Preference(f"p{place}", one[:1], one[1:], bad, 5, 2, 3, "best_of_n", "s") for place, one in enumerate(asked)]
    data = written(Preferences(), pairs, tmp_path)
    assert data.column_names == ["prompt", "chosen", "rejected", "chosen_score", "rejected_score", "margin", "source"]
    trainer = trl.DPOTrainer(
        model=tiny(),
        ref_model=tiny(),
        args=trl.DPOConfig(**settings(tmp_path)),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(TOKENIZER),
    )
    trainer.train()
    assert losses(trainer)[0] == pytest.approx(0.6931, abs=1e-2)
