"""`sluice pack`: a run or any dataset into rows for a trainer, nothing lost without being named, no path of this machine written."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest

from gen.commands import call
from gen.ledger import Ledger
from gen.resources import resource

ROOT = Path(__file__).resolve().parents[2]
Captured = pytest.CaptureFixture[str]


def pack(capsys: Captured, *arguments: object, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert call(["pack", *map(str, arguments), "--json"]) == status
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def refusal(capsys: Captured, *arguments: object) -> str:
    capsys.readouterr()
    assert call(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def trained(run: Path) -> int:
    """Samples in the training split."""
    return len(lines(run / "sft" / "train.jsonl"))


def dataset(path: Path, *records: Any) -> Path:
    path.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def test_a_run_is_packed_from_its_training_split(small_run: Path, capsys: Captured) -> None:
    made = pack(capsys, small_run, "--tokenizer", "shipped")
    train = lines(small_run / "sft" / "train.jsonl")
    assert made["out"] == str(small_run / "packed")
    assert made["samples"] == made["simulated_samples"] == len(train) < 14
    rows = datasets.load_from_disk(str(small_run / "packed"))
    assert len(rows) == made["rows"]
    assert sum(len(row["seq_lengths"]) for row in rows) == len(train)
    assert made["efficiency"] > made["unpacked_efficiency"]


@pytest.mark.parametrize("split", ["validation", "test", "all"])
def test_another_split_is_packed_when_asked_for(split: str, small_run: Path, tmp_path: Path, capsys: Captured) -> None:
    made = pack(capsys, small_run, "--tokenizer", "shipped", "--split", split, "--out", tmp_path / "set")
    files = [small_run / "sft" / f"{split}.jsonl"] if split != "all" else [small_run / "accepted.jsonl"]
    assert made["samples"] == sum(len(lines(file)) for file in files)


def test_an_empty_split_says_where_the_samples_are(small_run: Path, capsys: Captured) -> None:
    ledger = Ledger(small_run / "run.db")
    ledger.write_splits({row["id"]: "train" for row in lines(small_run / "accepted.jsonl") if ledger.splits()[row["id"]] != "test"})
    ledger.close()
    error = refusal(capsys, "pack", small_run, "--tokenizer", "shipped", "--split", "validation")
    assert re.search(
        r"no sample in the split 'validation' \(train 1\d, validation 0, test \d\): choose another with --split, or all", error
    )


def test_people_read_counts_a_row_and_how_to_load_it_without_colour(small_run: Path, capsys: Captured) -> None:
    assert call(["pack", str(small_run), "--tokenizer", "shipped"]) == 0
    shown = capsys.readouterr().out
    assert f"the split train: {trained(small_run)} samples in" in shown
    assert "are trained on" in shown
    assert "no packing needs fewer than" in shown
    assert "written by the simulator, so never train on it: " in shown
    assert "[<|im_start|>]assistant\n{+" in shown
    assert "[<|im_end|>]+}" in shown
    assert "SFTConfig(padding_free=True, packing=False, max_length=None)" in shown
    assert "use_cache=False" in shown
    assert "\x1b" not in shown


def test_no_file_holds_a_path_of_this_machine(small_run: Path, tmp_path: Path, capsys: Captured) -> None:
    shutil.copytree(resource("data", "tokenizer"), tmp_path / "my-model")
    template = shutil.copy(ROOT / "tests" / "templates" / "qwen25.jinja", tmp_path / "mine.jinja")
    made = pack(
        capsys, small_run, "--tokenizer", tmp_path / "my-model", "--chat-template", template, "--check", 3, "--max-length", 200, "--seed", 4
    )
    assert made["tokenizer"] == "my-model"
    assert len(made["tokenizer_sha256"]) == 64
    for name, content in everything(small_run / "packed").items():
        assert str(tmp_path).encode() not in content, name
        assert str(ROOT).encode() not in content, name


def test_a_page_shows_samples_beside_what_becomes_of_them(small_run: Path, capsys: Captured) -> None:
    made = pack(capsys, small_run, "--tokenizer", "shipped", "--check", 5)
    page = (small_run / "packed" / "template-check.html").read_text(encoding="utf-8")
    assert made["template_check"] == str(small_run / "packed" / "template-check.html")
    assert page.count("<section>") == made["checked"] == 5
    assert len(datasets.load_from_disk(str(small_run / "packed"))) == made["rows"]


def test_fifty_samples_are_on_the_page_unless_it_is_turned_off(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", *({"prompt": f"Why {place}?", "completion": "Because."} for place in range(60)))
    page = tmp_path / "d-packed" / "template-check.html"
    pack(capsys, file, "--tokenizer", "shipped")
    text = page.read_text(encoding="utf-8")
    assert text.count("<section>") == 50
    assert "Template check: 50 of 60 samples as &#39;tokenizer&#39; reads them" in text
    assert pack(capsys, file, "--tokenizer", "shipped", "--check", 0)["template_check"] is None
    assert not page.exists()


def test_the_terminal_shows_as_many_samples_as_asked_for(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", *({"prompt": f"Why {place}?", "completion": "Because."} for place in range(60)))
    for given, count in ((["--show", "7"], 7), ([], 3), (["--show", "0"], 0), (["--check", "2", "--show", "9"], 2)):
        assert call(["pack", str(file), "--tokenizer", "shipped", *given]) == 0
        shown = capsys.readouterr().out
        assert shown.count("\n--- line ") == shown.count("what the model reads\n") == count
        assert ("as they lie in the set: {+trained on+}, [control token]" in shown) == (count > 0)


def test_a_file_of_any_shape_is_packed_and_unreadable_lines_are_named(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(
        tmp_path / "mixed.jsonl",
        {"instruction": "Add", "input": "2 + 2", "output": "It is 4."},
        "{broken",
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "simulated": True},
        {"prompt": "Why?", "completion": "No.", "label": False},
        {"prompt": "Why?", "completion": "Because."},
    )
    assert call(["pack", str(file), "--tokenizer", "shipped"]) == 1
    assert "2 unreadable lines: 2 (invalid_json), 4 (undesired); all of them in" in capsys.readouterr().out
    out = tmp_path / "mixed-packed"
    assert [(line["line"], line["reason"]) for line in lines(out / "unreadable.jsonl")] == [(2, "invalid_json"), (4, "undesired")]
    facts = json.loads((out / "pack.json").read_text(encoding="utf-8"))
    assert (facts["samples"], facts["simulated_samples"]) == (3, 1)


def test_plain_texts_are_packed_as_documents_and_a_mixed_file_says_so(tmp_path: Path, capsys: Captured) -> None:
    texts = [{"text": "It rained for three days. " * 40}, {"text": "The river came.", "simulated": True}]
    only = dataset(tmp_path / "texts.jsonl", *texts)
    assert call(["pack", str(only), "--tokenizer", "shipped", "--max-length", "64"]) == 0
    shown = capsys.readouterr().out
    assert re.search(
        r"documents   2 plain texts in \d+ parts, without a template, every token trained on; each ends with <\|im_end\|>", shown
    )
    assert "mixes conversations" not in shown
    mixed = dataset(tmp_path / "mixed.jsonl", *texts, {"prompt": "Why?", "completion": "Because."})
    assert call(["pack", str(mixed), "--tokenizer", "shipped"]) == 0
    assert "the file mixes conversations and plain texts: each is packed as what it is" in capsys.readouterr().out
    facts = json.loads((tmp_path / "mixed-packed" / "pack.json").read_text(encoding="utf-8"))
    assert (facts["samples"], facts["documents"], facts["document_parts"], facts["simulated_samples"]) == (3, 2, 2, 1)


def test_control_tokens_in_texts_are_told_with_their_counts(tmp_path: Path, capsys: Captured) -> None:
    chats = [{"prompt": f"<|eot_id|> {place}?", "completion": "Yes <|end|>" if place else "Yes"} for place in range(3)]
    file = dataset(tmp_path / "d.jsonl", *chats, {"text": "<|im_start|>user"})
    assert call(["pack", str(file), "--tokenizer", "shipped"]) == 0
    shown = capsys.readouterr().out
    assert "text that is a control token of other models, and none of this one: <|eot_id|> in 3 samples, <|end|> in 2 samples" in shown
    assert "plain texts hold control tokens, which stay text: <|im_start|> in 1 sample" in shown


def test_encoding_without_a_memory_gives_the_same_set(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", *({"prompt": f"Why {place}?", "completion": "It's so."} for place in range(500)))
    pack(capsys, file, "--tokenizer", "shipped", "--out", tmp_path / "one")
    pack(capsys, file, "--tokenizer", "shipped", "--no-remember", "--out", tmp_path / "two")
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def against(run: Path, file: Path) -> None:
    """Have the run's recipe name a file that training must not touch."""
    ledger = Ledger(run / "run.db")
    ledger.set_fact("recipe", (run.parent / "recipe.yaml").read_text(encoding="utf-8") + f"export:\n  against: {file}\n")
    ledger.close()


def test_a_run_is_not_packed_when_training_touches_a_file_of_its_recipe(small_run: Path, tmp_path: Path, capsys: Captured) -> None:
    (first, *_) = lines(small_run / "sft" / "train.jsonl")
    mine = dataset(tmp_path / "mine.jsonl", first)
    against(small_run, mine)
    assert call(["pack", str(small_run), "--tokenizer", "shipped"]) == 1
    error = capsys.readouterr().err
    assert "mine.jsonl: 1 prompt of the training data is nearly in it (mine.jsonl:1 is nearly " in error
    assert not (small_run / "packed").exists()
    other = dataset(tmp_path / "other.jsonl", {"prompt": "How do whales sleep under the polar ice?", "completion": "Half awake."})
    assert pack(capsys, small_run, "--tokenizer", "shipped", "--against", other)["against"] == ["other.jsonl"]
    assert pack(capsys, small_run, "--tokenizer", "shipped", "--split", "test", "--out", tmp_path / "test")["against"] == []


def test_a_file_to_check_against_that_is_not_there_is_named(small_run: Path, capsys: Captured) -> None:
    against(small_run, Path("beside.jsonl"))
    error = refusal(capsys, "pack", small_run, "--tokenizer", "shipped")
    assert "beside.jsonl" in error
    assert "if it lies elsewhere, name it with --against" in error


def test_a_file_is_not_packed_when_it_touches_another(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", {"prompt": "How do whales sleep under the polar ice?", "completion": "Half awake."})
    assert call(["pack", str(file), "--tokenizer", "shipped", "--against", str(file)]) == 1
    assert "d.jsonl:1 is nearly d.jsonl:1" in capsys.readouterr().err
    assert not (tmp_path / "d-packed").exists()


def test_a_compressed_file_is_read_and_its_set_lies_beside_it(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "few.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "Why?", "completion": "Because."}\n'))
    assert pack(capsys, tmp_path / "few.jsonl.gz", "--tokenizer", "shipped")["out"] == str(tmp_path / "few-packed")


def test_a_file_without_a_readable_line_is_refused_with_its_lines(tmp_path: Path, capsys: Captured) -> None:
    error = refusal(capsys, "pack", dataset(tmp_path / "bad.jsonl", "[]", "{"), "--tokenizer", "shipped")
    assert "there is no sample to pack; 2 unreadable lines: 1 (not_an_object), 2 (invalid_json)" in error
    assert not (tmp_path / "bad-packed").exists()


def test_what_does_not_fit_is_counted_with_its_reason(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(
        tmp_path / "d.jsonl",
        {"prompt": "Why?", "completion": "so " * 500},
        {"prompt": "A", "completion": "B"},
        {"prompt": "A", "completion": ""},
    )
    made = pack(capsys, file, "--tokenizer", "shipped", "--max-length", 64)
    assert made["dropped"] == {"nothing_to_train": 1, "too_long": 1}
    assert [line["id"] for line in lines(tmp_path / "d-packed" / "dropped.jsonl")] == ["line 1", "line 3"]


def test_a_system_prompt_that_the_template_adds_is_told(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", {"prompt": "Why?", "completion": "Because."})
    template = ROOT / "tests" / "templates" / "qwen25.jinja"
    assert call(["pack", str(file), "--tokenizer", "shipped", "--chat-template", str(template)]) == 0
    assert 'puts a system prompt of its own before 1 sample: "system You are a helpful assistant made' in capsys.readouterr().out


def test_what_a_text_holds_never_steers_the_terminal(tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", {"prompt": "Why [bold]?", "completion": "\x1b[2J\x1b]0;owned\x07 \u202e [red]done[/red]"})
    assert call(["pack", str(file), "--tokenizer", "shipped"]) == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "⟨U+001B⟩" in shown
    assert "[red]done[/red]" in shown


@pytest.mark.parametrize("layout", ["padded", "examples"])
def test_every_layout_is_shown(layout: str, tmp_path: Path, capsys: Captured) -> None:
    file = dataset(tmp_path / "d.jsonl", {"prompt": "Why?", "completion": "Because."}, {"prompt": "Who?", "completion": "You."})
    assert call(["pack", str(file), "--tokenizer", "shipped", "--layout", layout, "--max-length", "64"]) == 0
    assert "{+" in capsys.readouterr().out


def test_options_reach_the_template_and_the_mask(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "t.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}{% if loop.first %} {{ tone }} {{ strftime_now('%Y') }}{% endif %}\n"
        "{{ m.content }}<|im_end|>\n{% endfor %}",
        encoding="utf-8",
    )
    turns = [{"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")]
    file = dataset(tmp_path / "d.jsonl", {"messages": turns})
    more = ["--template-option", "tone=dry", "--date", "2031-05-06", "--train-on", "last", "--chat-template", str(tmp_path / "t.jinja")]
    assert call(["pack", str(file), "--tokenizer", "shipped", *more]) == 0
    shown = capsys.readouterr().out
    assert "user dry 2031" in shown
    assert shown.count("{+") == 2  # the legend's and the last answer's
    assert "2031-05-06" in (tmp_path / "d-packed" / "pack.json").read_text(encoding="utf-8")


def test_packing_again_gives_the_same_bytes(small_run: Path, capsys: Captured) -> None:
    pack(capsys, small_run, "--tokenizer", "shipped")
    before = everything(small_run / "packed")
    pack(capsys, small_run, "--tokenizer", "shipped")
    assert everything(small_run / "packed") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["missing", "--tokenizer", "shipped"], "no such run folder or file: ", id="missing"),
        pytest.param(["empty", "--tokenizer", "shipped"], "is no run folder: it has no run.db", id="no run"),
        pytest.param(["unrun", "--tokenizer", "shipped"], "has no accepted sample: there is nothing to pack", id="no samples"),
        pytest.param(["d.jsonl", "--tokenizer", "shipped", "--split", "test"], "only a run has splits", id="split of a file"),
        pytest.param(["d.jsonl", "--tokenizer", "./none"], "tokenizer './none': no such folder", id="tokenizer"),
        pytest.param(["d.jsonl"], "Missing option '--tokenizer'", id="no tokenizer"),
        pytest.param(["d.jsonl", "--tokenizer", "shipped", "--max-length", "1"], "Invalid value for '--max-length'", id="max length"),
        pytest.param(["d.jsonl", "--tokenizer", "shipped", "--template-option", "x"], "write NAME=VALUE", id="template option"),
        pytest.param(
            ["d.jsonl", "--tokenizer", "shipped", "--chat-template", "none.jinja"], "choose alpaca, chatml, llama3", id="template"
        ),
        pytest.param(["d.jsonl", "--tokenizer", "shipped", "--chat-template", "llama3"], "has no token for", id="template's tokens"),
        pytest.param(["d.jsonl", "--tokenizer", "shipped", "--out", "empty/../full"], "holds no packed set", id="somebody's folder"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset(tmp_path / "d.jsonl", {"prompt": "Why?", "completion": "Because."})
    for name in ("empty", "full", "unrun"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine", encoding="utf-8")
    Ledger(tmp_path / "unrun" / "run.db").close()
    assert message in refusal(capsys, "pack", *arguments)
    assert (tmp_path / "full" / "thesis.txt").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "d-packed").exists()
    assert list((tmp_path / "empty").iterdir()) == []


# --- at the end of a recipe ---


def with_pack(run: Path, options: str) -> Path:
    recipe = run.parent / "packing.yaml"
    recipe.write_text((run.parent / "recipe.yaml").read_text(encoding="utf-8") + f"export:\n  pack:\n    {options}\n", encoding="utf-8")
    return recipe


def test_a_recipe_packs_its_training_split_and_says_so_without_a_path(small_run: Path, capsys: Captured) -> None:
    shutil.copytree(resource("data", "tokenizer"), small_run.parent / "my-model")
    recipe = with_pack(small_run, f"tokenizer: {small_run.parent / 'my-model'}")
    assert call(["export", str(small_run), "--recipe", str(recipe)]) == 0
    assert f"packed: {trained(small_run)} samples in" in capsys.readouterr().out
    assert (small_run / "packed" / "template-check.html").read_text(encoding="utf-8").count("<section>") == trained(small_run)
    assert sum(len(row["seq_lengths"]) for row in datasets.load_from_disk(str(small_run / "packed"))) == trained(small_run)
    for name in ("README.md", "quality-report.md", "data-card.md", "report.html", "packed/pack.json"):
        text = (small_run / name).read_text(encoding="utf-8")
        assert str(small_run.parent) not in text, name
    assert "my-model" in (small_run / "quality-report.md").read_text(encoding="utf-8")


def test_the_set_of_a_recipe_goes_with_its_option_and_one_made_by_hand_stays(small_run: Path, capsys: Captured) -> None:
    assert call(["export", str(small_run), "--recipe", str(with_pack(small_run, "max_length: 512"))]) == 0
    assert call(["export", str(small_run)]) == 0
    assert not (small_run / "packed").exists()
    pack(capsys, small_run, "--tokenizer", "shipped")
    assert call(["export", str(small_run)]) == 0
    assert (small_run / "packed" / "pack.json").exists()


def test_where_nothing_can_be_packed_the_papers_are_written_all_the_same(small_run: Path, capsys: Captured) -> None:
    (small_run / "README.md").unlink()
    assert call(["export", str(small_run), "--recipe", str(with_pack(small_run, "max_length: 4"))]) == 0
    assert f"packed: not written: no sample can be packed: too_long {trained(small_run)}" in capsys.readouterr().out
    assert (small_run / "README.md").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param("tokeniser: x", "export.pack.tokeniser: unknown option 'tokeniser' of exporter 'packed': did you mean", id="option"),
        pytest.param("max_length: long", "export.pack.max_length: option 'max_length'", id="type"),
        pytest.param("train_on: some", "export.pack.train_on: option 'train_on'", id="choice"),
        pytest.param("tokenizer: ./none", "export.pack.tokenizer: tokenizer './none': no such folder", id="tokenizer"),
        pytest.param("chat_template: none.jinja", "export.pack.chat_template: no chat template", id="template"),
        pytest.param("max_length: 1", "max_length is 1: a row must hold at least 2 tokens", id="bound"),
        pytest.param("check: 5000", "check is 5000: the page shows 0 to 1000 samples", id="page"),
    ],
)
def test_check_finds_a_packing_that_cannot_work_and_names_its_line(options: str, message: str, small_run: Path, capsys: Captured) -> None:
    recipe = with_pack(small_run, options)
    error = refusal(capsys, "check", recipe, "--no-prompts")
    place = recipe.read_text(encoding="utf-8").splitlines().index(f"    {options}") + 1
    assert message in error
    assert f"packing.yaml:{place - (options in ('max_length: 1', 'check: 5000'))}: " in error


def test_files_beside_the_recipe_are_found_from_there_only(small_run: Path, capsys: Captured) -> None:
    shutil.copytree(resource("data", "tokenizer"), small_run.parent / "beside")
    recipe = with_pack(small_run, "tokenizer: ./beside")
    assert call(["check", str(recipe), "--no-prompts"]) == 0
    ledger = Ledger(small_run / "run.db")
    ledger.set_fact("recipe", recipe.read_text(encoding="utf-8"))
    ledger.close()
    assert "if its files lie beside the recipe, name that with --recipe" in refusal(capsys, "export", small_run)
    assert call(["export", str(small_run), "--recipe", str(recipe)]) == 0


def test_the_example_ends_with_a_packed_set(tmp_path: Path, capsys: Captured) -> None:
    recipe = (ROOT / "examples" / "pack.yaml").read_text(encoding="utf-8").replace("accepted: 80", "accepted: 8")
    (tmp_path / "pack.yaml").write_text(recipe, encoding="utf-8")
    out = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache.db"), "--quiet"]
    assert call(["run", str(tmp_path / "pack.yaml"), *out]) == 0
    assert len(datasets.load_from_disk(str(tmp_path / "run" / "packed"))) >= 1


def test_lines_of_accepted_jsonl_say_their_difficulty_and_depth(tmp_path: Path, capsys: Captured) -> None:
    records = []
    for place in range(30):
        messages = [{"role": "user", "content": f"Question {place}?"}, {"role": "assistant", "content": "word " * 30 + f"hard {place % 5}"}]
        records.append({"messages": messages, "scores": {"tags.difficulty": 1 + place % 5}, "provenance": {"notes": {"round": place % 3}}})
    file = dataset(tmp_path / "accepted.jsonl", *records)
    for order in ("difficulty", "depth"):
        made = pack(capsys, file, "--tokenizer", "shipped", "--layout", "examples", "--order", order)
        assert (made["order"], made["order_unknown"], made["samples"]) == (order, 0, 30)
    plain = dataset(tmp_path / "plain.jsonl", *({"messages": record["messages"]} for record in records))
    error = refusal(capsys, "pack", plain, "--tokenizer", "shipped", "--order", "difficulty")
    assert "no sample has a difficulty: add the judge `tags`" in error


def test_a_long_conversation_becomes_parts_that_are_told(tmp_path: Path, capsys: Captured) -> None:
    turns = [{"role": role, "content": f"{role} {place} " + "word " * 20} for place in range(8) for role in ("user", "assistant")]
    file = dataset(tmp_path / "long.jsonl", {"messages": turns})
    made = pack(capsys, file, "--tokenizer", "shipped", "--max-length", 128, "--over-long", "split")
    assert (made["split_samples"], made["parts"], made["dropped"]) == (1, made["samples"], {})
    assert call(["pack", str(file), "--tokenizer", "shipped", "--max-length", "128", "--over-long", "split", "--order", "length"]) == 0
    shown = capsys.readouterr().out
    assert f"1 sample longer than a row became {made['parts']} parts" in shown
    assert "rows from low to high by length" in shown
