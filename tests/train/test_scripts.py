"""The scripts that `sluice export --trainer trl` writes train a tiny model some steps, as they are, with real TRL.

Run by `make test-train` in an environment with torch and trl; skipped where they are missing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl")

from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402 (only where torch and trl are)

from gen.resources import resource  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # the trainers' own

MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with the scripts in it, and a tiny model with the shipped tokenizer beside it."""
    home = tmp_path / "run" / "trainers" / "trl"
    home.mkdir(parents=True)
    for kind in ("sft", "dpo"):
        shutil.copy(resource("data", "trainers", f"trl_{kind}.py"), home / f"train_{kind}.py")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=4096, bos_token_id=None, eos_token_id=2, pad_token_id=3, **sizes))
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(resource("data", "tokenizer")).save_pretrained(tmp_path / "model")
    chats, pairs = [], []
    for number in range(12):
        asked, answer = {"role": "user", "content": f"Count to {number}."}, {"role": "assistant", "content": "one, " * number + "done."}
        later = [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Nothing."}]
        chats.append({"messages": [asked, answer, *(later if number % 2 else [])]})
        pairs.append({"prompt": [asked], "chosen": [answer], "rejected": [later[1]], "margin": 1.0})
    chats.append({"messages": [{"role": "user", "content": "All?"}, {"role": "assistant", "content": "word " * 600}]})
    for folder, rows in (("sft", chats), ("preference", pairs)):
        (tmp_path / "run" / folder).mkdir()
        for split, part in (("train", rows[2:]), ("validation", rows[:2])):
            (tmp_path / "run" / folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    files = {
        name: {split: f"../../{folder}/{split}.jsonl" for split in ("train", "validation")}
        for name, folder in (("sft", "sft"), ("dpo", "preference"))
    }
    settings = {"model": str(tmp_path / "model"), "reader": "json", **files, "max_length": 256, "seed": 7}
    (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path / "run"


def trained(run: Path, script: str, *options: str) -> str:
    """What the script printed; the model that it saved is there."""
    environment = {**os.environ, "HF_HOME": str(run.parent / "cache"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, f"trainers/trl/{script}", "--max-steps", "2", "--out", str(run / "out"), *options]
    done = subprocess.run(command, cwd=run, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert list((run / "out").glob("*.safetensors"))
    return done.stdout


def losses(printed: str, name: str = "loss") -> list[float]:
    return [float(found) for found in re.findall(rf"'{name}': '?([0-9.e+-]+)", printed)]


def test_the_supervised_script_trains_validates_and_leaves_out_what_would_be_cut(run: Path) -> None:
    printed = trained(run, "train_sft.py", "--full")
    assert "rows are longer than 256 tokens and left out" in printed
    assert losses(printed, "eval_loss")
    assert all(loss > 0 for loss in losses(printed, "eval_loss"))


def test_the_supervised_script_trains_an_adapter(run: Path) -> None:
    pytest.importorskip("peft")
    assert losses(trained(run, "train_sft.py"), "eval_loss")
    assert (run / "out" / "adapter_config.json").is_file()


def test_the_supervised_script_takes_the_markers_of_a_template_that_has_them(run: Path) -> None:
    path = run.parent / "model" / "tokenizer_config.json"
    for file in (run.parent / "model").glob("chat_template*"):
        file.unlink()
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "chat_template": MARKED}), encoding="utf-8")
    assert losses(trained(run, "train_sft.py", "--full"), "eval_loss")


def test_the_preference_script_trains_and_validates(run: Path) -> None:
    printed = trained(run, "train_dpo.py", "--full")
    assert losses(printed, "eval_loss")[-1] == pytest.approx(0.6931, abs=2e-2)


def test_answers_become_rows_of_their_own_with_all_that_stands_before_them(run: Path) -> None:
    script: Any = module(run / "trainers" / "trl" / "train_sft.py")
    messages = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))]
    rows = script.answers(script.Dataset.from_list([{"messages": messages}, {"messages": messages[:2]}]))
    assert [(len(row["prompt"]), row["completion"][0]["content"]) for row in rows] == [(1, "b"), (3, "d"), (1, "b")]
    messages[1]["weight"] = 0
    [row] = script.answers(script.Dataset.from_list([{"messages": messages}]))
    assert row["completion"] == [{"role": "assistant", "content": "d"}]


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("script", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
