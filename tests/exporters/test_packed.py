"""A packed set decodes back sample for sample, loses nothing without a reason and is the same bytes on every run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from gen.conversation import Skipped
from gen.errors import InputError, StorageError
from gen.exporters.packed import PLUGIN, Packed, pack_samples
from gen.resources import resource
from gen.templates import packed_set
from gen.templates.packed_set import IGNORED
from gen.templates.template_check import decode_row
from gen.templates.tokenizer import load_tokenizer
from gen.types import Message, Provenance, Sample

TOKENIZER = resource("data", "tokenizer")
LOADED = load_tokenizer(TOKENIZER)


def sample(name: str, *contents: str, simulated: bool = False) -> Sample:
    messages = tuple(Message(("user", "assistant")[place % 2], content) for place, content in enumerate(contents))
    return Sample(name, messages, provenance=Provenance(simulated=simulated))


def conversations(count: int) -> list[Sample]:
    return [
        sample(f"s{n}", *(f"Question {n} with {'many ' * (n % 5)}words?", f"Answer {n}: {'so it is, ' * (n % 11)}done.") * (1 + n % 3))
        for n in range(count)
    ]


def chatml(item: Sample) -> str:
    return "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in item.messages)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_set_decodes_back_sample_for_sample(tmp_path: Path) -> None:
    items = conversations(60)
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=256, out=tmp_path / "packed")
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    decoded = [runs for row in rows for runs in decode_row(row, LOADED)]
    assert Counter("".join(run.text for run in runs) for runs in decoded) == Counter(map(chatml, items))
    answers = Counter(message.content + "<|im_end|>" for item in items for message in item.messages if message.role == "assistant")
    trained = Counter(text for runs in decoded for text in trained_stretches(runs))
    assert trained == answers
    assert (report.rows, report.samples, report.dropped) == (len(rows), 60, {})
    assert report.tokens == sum(len(row["input_ids"]) for row in rows)
    assert report.trained_tokens == sum(label != IGNORED for row in rows for label in row["labels"])


@pytest.mark.parametrize("layout", ["packed", "padded", "examples"])
@pytest.mark.parametrize("over_long", ["drop", "split"])
def test_what_is_shown_is_read_back_and_stands_beside_its_own_source(layout: Any, over_long: Any, tmp_path: Path) -> None:
    items = [*conversations(60), sample("long", *(f"Turn {place}: {'so it is, ' * 8}" for place in range(20))), sample("silent", "Hello")]
    exporter = Packed(tokenizer=str(TOKENIZER), max_length=256, layout=layout, over_long=over_long, check=100)
    made = exporter.packed(items, tmp_path / "packed")
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    fit = [one for one in made.checked if one.unfit is None]
    assert len(fit) == made.report.samples
    for one in fit:
        shown = "".join(run.text for run in one.runs)
        assert shown == "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in one.source)
        assert shown in LOADED.decode(rows[one.row - 1]["input_ids"])
    assert len({(one.row, one.place) for one in fit}) == len(fit)
    assert {one.id: one.unfit.reason for one in made.checked if one.unfit} == {"silent": "nothing_to_train"} | (
        {"long": "too_long"} if over_long == "drop" else {}
    )


def trained_stretches(runs: Any) -> list[str]:
    stretches, open_ = [], ""
    for run in runs:
        if run.trained:
            open_ += run.text
        elif open_:
            stretches.append(open_)
            open_ = ""
    return [*stretches, open_] if open_ else stretches


def test_boundaries_are_right_and_nothing_is_learnt_across_them(tmp_path: Path) -> None:
    pack_samples(conversations(40), tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    assert rows.column_names == ["input_ids", "labels", "seq_lengths", "position_ids"]
    assert any(len(row["seq_lengths"]) > 1 for row in rows)
    for row in rows:
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) == len(row["labels"]) <= 200
        assert row["position_ids"] == [place for length in row["seq_lengths"] for place in range(length)]
        starts = [place for place, position in enumerate(row["position_ids"]) if position == 0]
        assert all(row["labels"][start] == IGNORED for start in starts)
        assert all(label in (IGNORED, number) for label, number in zip(row["labels"], row["input_ids"], strict=True))


def test_two_runs_write_the_same_bytes_and_another_seed_only_another_order(tmp_path: Path) -> None:
    items = conversations(50)
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / name, seed=seed)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    one, three = (datasets.load_from_disk(str(tmp_path / name))["input_ids"][:] for name in ("one", "three"))
    assert one != three
    assert sorted(one) == sorted(three)


def test_samples_that_cannot_be_packed_are_counted_and_listed(tmp_path: Path) -> None:
    items = [*conversations(3), sample("long", "Why?", "because " * 400), sample("silent", "Hello"), sample("broken", "\ud800", "x")]
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    assert report.dropped == {"lone_surrogate": 1, "nothing_to_train": 1, "too_long": 1}
    assert report.samples + sum(report.dropped.values()) == len(items)
    listed = [json.loads(line) for line in (tmp_path / "packed" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(item["id"], item["reason"]) for item in listed] == [
        ("long", "too_long"),
        ("silent", "nothing_to_train"),
        ("broken", "lone_surrogate"),
    ]
    assert listed[0]["detail"].endswith("a row holds 200")


def test_pack_json_tells_what_the_set_is_and_how_to_load_it(tmp_path: Path) -> None:
    items = [*conversations(9), sample("sim", "Hello", "Good day", simulated=True)]
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed", seed=5)
    facts = json.loads((tmp_path / "packed" / "pack.json").read_text(encoding="utf-8"))
    assert {facts[key] for key in ("rows", "samples", "max_length", "seed")} == {report.rows, 10, 200, 5}
    assert facts["lower_bound"] <= facts["rows"]
    assert facts["unpacked_efficiency"] < facts["efficiency"] <= 1
    assert (facts["tokenizer"], len(facts["tokenizer_sha256"]), len(facts["template_sha256"])) == ("tokenizer", 64, 64)
    assert facts["simulated_samples"] == 1
    assert "padding_free=True, packing=False, max_length=None" in facts["load"]["trl"]
    assert str(tmp_path) not in (tmp_path / "packed" / "pack.json").read_text(encoding="utf-8")


def test_padded_rows_number_their_samples_in_the_attention_mask(tmp_path: Path) -> None:
    items = conversations(12)
    pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed", layout="padded")
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    pad = LOADED.pad_id
    for row in rows:
        assert {len(row[name]) for name in ("input_ids", "labels", "position_ids", "attention_mask")} == {200}
        assert sum(row["seq_lengths"]) == 200
        padding = [place for place, number in enumerate(row["attention_mask"]) if number == 0]
        assert all(row["input_ids"][place] == pad and row["labels"][place] == IGNORED for place in padding)
    decoded = Counter("".join(run.text for run in runs) for row in rows for runs in decode_row(row, LOADED))
    assert decoded == Counter(map(chatml, items))


def test_one_example_per_row_keeps_the_order_of_the_samples(tmp_path: Path) -> None:
    items = conversations(7)
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed", layout="examples")
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    assert rows.column_names == ["input_ids", "attention_mask", "labels"]
    assert [LOADED.decode(row["input_ids"]) for row in rows] == [chatml(item) for item in items]
    assert all(set(row["attention_mask"]) == {1} for row in rows)
    assert report.rows == 7


def test_many_shards_read_as_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = conversations(80)
    pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "one")
    monkeypatch.setattr(packed_set, "_SHARD_TOKENS", 600)
    monkeypatch.setattr(packed_set, "_BATCH_TOKENS", 300)
    pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "many")
    one, many = (datasets.load_from_disk(str(tmp_path / name)) for name in ("one", "many"))
    assert len(list((tmp_path / "many").glob("*.arrow"))) > 2
    assert one[:] == many[:]


def test_what_is_remembered_changes_no_byte(tmp_path: Path) -> None:
    items = [sample(f"s{n}", f"Question {n}: it's — naïve?", f"Answer {n} <|im_end|>\n\n  done, e\u0301 {n * 37}.") for n in range(700)]
    for name, remember in (("one", True), ("two", False)):
        pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / name, remember=remember)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_control_tokens_of_another_model_are_counted_by_sample(tmp_path: Path) -> None:
    items = [*conversations(3), sample("llama", "<|eot_id|> twice <|eot_id|>", "Hi"), sample("both", "<|eot_id|> <|end|>", "<|im_end|>")]
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    assert report.foreign_tokens == {"<|end|>": 1, "<|eot_id|>": 2}
    assert json.loads((tmp_path / "packed" / "pack.json").read_text(encoding="utf-8"))["foreign_tokens"] == report.foreign_tokens


def test_an_earlier_pack_is_replaced_whole_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    pack_samples(conversations(9), tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    pack_samples(conversations(4), tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    assert json.loads((tmp_path / "packed" / "pack.json").read_text(encoding="utf-8"))["samples"] == 4
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="mine exists and holds no packed set"):
        pack_samples(conversations(4), tokenizer=TOKENIZER, max_length=200, out=mine)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "packed"]


def test_a_failure_leaves_the_earlier_pack_and_no_rubbish(tmp_path: Path) -> None:
    pack_samples(conversations(4), tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    before = files(tmp_path / "packed")
    with pytest.raises(InputError, match=r"no sample can be packed: too_long 4; the first, 's0': .* a row holds 4"):
        pack_samples(conversations(4), tokenizer=TOKENIZER, max_length=4, out=tmp_path / "packed")
    assert files(tmp_path / "packed") == before
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]


def test_nothing_to_pack_and_impossible_options_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no sample to pack"):
        pack_samples([], tokenizer=TOKENIZER, max_length=200, out=tmp_path / "packed")
    with pytest.raises(InputError, match="max_length is 1"):
        pack_samples(conversations(1), tokenizer=TOKENIZER, max_length=1, out=tmp_path / "packed")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot write"):
        pack_samples(conversations(1), tokenizer=TOKENIZER, max_length=200, out=tmp_path / "file" / "packed")


def test_the_exporter_yields_rows_then_what_was_left_out() -> None:
    exporter = PLUGIN(tokenizer=str(TOKENIZER), max_length=200)
    assert isinstance(exporter, Packed)
    made = list(exporter.rows([*conversations(2), sample("silent", "Hello")]))
    assert [isinstance(item, Skipped) for item in made] == [False] * (len(made) - 1) + [True]
    assert made[-1] == Skipped("silent", "nothing_to_train", "no assistant message with text")


def test_a_long_conversation_is_split_by_choice_and_counted(tmp_path: Path) -> None:
    long = sample("long", *(f"Turn {place}: {'so it is, ' * 8}" for place in range(20)))
    items = [*conversations(2), long, sample("hopeless", "Why?", "because " * 400)]
    report = pack_samples(items, tokenizer=TOKENIZER, max_length=128, out=tmp_path / "packed", over_long="split")
    facts = json.loads((tmp_path / "packed" / "pack.json").read_text(encoding="utf-8"))
    assert (facts["over_long"], facts["split_samples"], facts["parts"]) == ("split", 1, report.parts)
    assert report.parts > 1
    assert report.samples == 2 + report.parts
    assert report.dropped == {"too_long": 1}
    rows = datasets.load_from_disk(str(tmp_path / "packed"))
    trained = Counter(text for row in rows for runs in decode_row(row, LOADED) for text in trained_stretches(runs))
    answers = Counter(message.content + "<|im_end|>" for item in items[:-1] for message in item.messages if message.role == "assistant")
    assert trained == answers


def test_rows_are_ordered_by_choice_and_it_is_recorded(tmp_path: Path) -> None:
    items = conversations(50)
    for name in ("one", "two"):
        pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / name, order="length")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    longest = [max(lengths) for lengths in datasets.load_from_disk(str(tmp_path / "one"))["seq_lengths"]]
    assert longest == sorted(longest)
    assert json.loads((tmp_path / "one" / "pack.json").read_text(encoding="utf-8"))["order"] == "length"
    with pytest.raises(InputError, match="add the judge `tags`"):
        pack_samples(items, tokenizer=TOKENIZER, max_length=200, out=tmp_path / "three", order="difficulty")
    assert not (tmp_path / "three").exists()
