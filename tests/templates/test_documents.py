"""Plain texts are packed without a template, and no token of theirs is lost, doubled or moved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import processors

from gen.errors import InputError
from gen.exporters.packed import PackReport, pack_samples
from gen.resources import resource
from gen.templates.documents import Document, document_plans, stretches
from gen.templates.item_encoder import Item, open_encoder
from gen.templates.packed_set import IGNORED
from gen.templates.template_check import decode_row
from gen.templates.tokenizer import load_tokenizer
from gen.types import Message, Sample

TOKENIZER = resource("data", "tokenizer")
LOADED = load_tokenizer(TOKENIZER)
END = "<|im_end|>"
PROSE = "It rained for three days. On the fourth, the river came — naïve, they said.\n\n"


def chat(name: str, question: str = "Why?", answer: str = "Because.") -> Sample:
    return Sample(name, (Message("user", question), Message("assistant", answer)))


def base_model(folder: Path, *, begin: bool = False) -> Path:
    """The shipped tokenizer as a base model has it: no chat template; by choice with a token put before each text."""
    shutil.copytree(TOKENIZER, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    if begin:
        from_file = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        number = next(token["id"] for token in from_file["added_tokens"] if token["content"] == "<|im_start|>")
        template = processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", number)])
        from_file["post_processor"] = json.loads(template.__getstate__())
        (folder / "tokenizer.json").write_text(json.dumps(from_file), encoding="utf-8")
    return folder


def packed(items: Iterable[Item], out: Path, **options: Any) -> tuple[PackReport, list[dict[str, Any]]]:
    report = pack_samples(items, **{"tokenizer": TOKENIZER, "max_length": 64} | options, out=out)
    return report, list(datasets.load_from_disk(str(out)))


def ids_of(document: Document, tokenizer: Path = TOKENIZER) -> list[int]:
    encoder = open_encoder(tokenizer)
    ((_, result),) = encoder.encode([document])
    return result.ids.tolist()  # type: ignore[union-attr]


def test_a_text_keeps_its_words_and_ends_with_the_end_of_sequence(tmp_path: Path) -> None:
    report, (row,) = packed([Document("one", PROSE)], tmp_path / "set")
    ((*runs, last),) = decode_row(row, LOADED)
    assert "".join(run.text for run in runs) == PROSE
    assert (last.text, last.trained, last.control) == (END, True, True)
    assert row["labels"] == [IGNORED, *row["input_ids"][1:]]
    assert (report.documents, report.document_parts, report.document_begin, report.document_end) == (1, 1, "", END)


def test_what_the_tokenizer_puts_before_a_text_is_there_once(tmp_path: Path) -> None:
    report, (row,) = packed([Document("one", PROSE)], tmp_path / "set", tokenizer=base_model(tmp_path / "base", begin=True))
    assert LOADED.decode(row["input_ids"]) == f"<|im_start|>{PROSE}{END}"
    assert report.document_begin == "<|im_start|>"


def test_a_long_text_is_cut_at_token_borders_and_joins_back(tmp_path: Path) -> None:
    long = Document("long", PROSE * 30)
    report, rows = packed([long], tmp_path / "set", layout="examples")
    assert report.documents == 1
    assert report.document_parts == report.samples == len(rows) > 5
    assert max(len(row["input_ids"]) for row in rows) == 64
    assert [number for row in rows for number in row["input_ids"]] == ids_of(long)
    assert LOADED.decode([number for row in rows for number in row["input_ids"]]) == PROSE * 30 + END
    assert report.dropped == {}


texts = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=60) | st.just(PROSE * 3) | st.just(END), max_size=12)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=texts, kinds=st.lists(st.booleans(), min_size=12, max_size=12), longest=st.integers(16, 80))
def test_no_token_is_lost_doubled_or_moved(tmp_path: Path, texts: list[str], kinds: list[bool], longest: int) -> None:
    """Every item's ids stand once in the set, in one piece or in neighbouring stretches, in whatever way kinds are mixed."""
    items: list[Item] = [
        Document(f"d{place}", text) if plain else chat(f"c{place}", answer=f"{text}.")
        for place, (text, plain) in enumerate(zip(texts, kinds, strict=False))
    ]
    encoded = [(item, result) for item, result in open_encoder(TOKENIZER).encode(items) if hasattr(result, "ids")]
    kept = [result.ids.tolist() for item, result in encoded if isinstance(item, Document) or len(result.ids) <= longest]
    if not kept:
        with pytest.raises(InputError, match="no sample"):
            packed(items, tmp_path / "set", max_length=longest)
        return
    report, rows = packed(items, tmp_path / "set", max_length=longest)
    parts = [tuple(ids[start:end]) for ids in kept for start, end in stretches(len(ids), longest)]
    found = []
    for row in rows:
        assert len(row["input_ids"]) <= longest
        start = 0
        for length in row["seq_lengths"]:
            found.append(tuple(row["input_ids"][start : start + length]))
            start += length
    assert sorted(found) == sorted(parts)
    assert report.samples + sum(report.dropped.values()) == len(parts) + len(items) - len(kept)
    assert report.tokens == sum(map(len, kept))


@given(length=st.integers(1, 500), longest=st.integers(2, 60))
def test_stretches_cover_a_text_without_gap_or_overlap(length: int, longest: int) -> None:
    cut = list(stretches(length, longest))
    assert [place for start, end in cut for place in range(start, end)] == list(range(length))
    assert all(0 < end - start <= longest for start, end in cut)
    assert longest == 2 or length == 1 or all(end - start > 1 for start, end in cut)


def test_chats_and_texts_keep_their_order_each_as_what_it_is(tmp_path: Path) -> None:
    items: list[Item] = [chat("c1"), Document("d1", "A text."), chat("c2", answer="No."), Document("d2", "Another.")]
    report, rows = packed(items, tmp_path / "set", layout="examples")
    assert [LOADED.decode(row["input_ids"]) for row in rows] == [
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nBecause.<|im_end|>\n",
        "A text.<|im_end|>",
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>\n",
        "Another.<|im_end|>",
    ]
    assert (report.samples, report.documents, len(report.template_sha256)) == (4, 2, 64)


def test_a_base_model_without_a_template_packs_texts_and_says_what_a_chat_needs(tmp_path: Path) -> None:
    base = base_model(tmp_path / "base")
    report, _ = packed([Document("one", PROSE)], tmp_path / "set", tokenizer=base)
    assert (report.documents, report.template_sha256, report.template_date) == (1, "", "")
    for name, items in (("chat", [chat("c")]), ("later", [Document("d", PROSE), chat("c")]), ("none", [])):
        with pytest.raises(InputError, match="has no chat template: choose one with alpaca, chatml, llama3"):
            packed(items, tmp_path / name, tokenizer=base)
        assert not (tmp_path / name).exists()


def test_a_control_token_in_a_text_stays_text_and_is_counted_or_refused(tmp_path: Path) -> None:
    texts = [Document("own", f"<|im_start|>user\nHi{END}"), Document("other", "<|eot_id|> of Llama"), Document("plain", "Nothing.")]
    report, rows = packed(texts, tmp_path / "set", layout="examples")
    assert report.quoted_tokens == {"<|im_end|>": 1, "<|im_start|>": 1}
    assert report.foreign_tokens == {"<|eot_id|>": 1}
    control = LOADED.specials[END].id
    assert [row["input_ids"].count(control) for row in rows] == [1, 1, 1]
    report, _ = packed(texts, tmp_path / "strict", special_tokens="refuse")
    assert (report.documents, report.dropped) == (1, {"special_token_in_text": 2})


def test_what_holds_nothing_to_learn_is_left_out_with_a_reason(tmp_path: Path) -> None:
    texts = [Document("empty", ""), Document("space", " \n"), Document("half", "\ud800"), Document("good", "Good.")]
    report, _ = packed(texts, tmp_path / "set")
    assert (report.documents, report.dropped) == (1, {"lone_surrogate": 1, "nothing_to_train": 2})


def test_an_end_that_the_tokenizer_writes_itself_is_not_doubled(tmp_path: Path) -> None:
    base = base_model(tmp_path / "base")
    whole = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    number = LOADED.specials[END].id
    whole["post_processor"] = json.loads(processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, number)]).__getstate__())
    (base / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    plans = document_plans(load_tokenizer(base), "as_text")
    assert (plans.begin, plans.end) == ((), (number,))


def test_the_page_shows_a_part_beside_its_own_stretch_of_the_text(tmp_path: Path) -> None:
    numbered = " ".join(f"sentence number {place} 文," for place in range(400))
    packed([Document("long", numbered)], tmp_path / "set", max_length=48)
    page = (tmp_path / "set" / "template-check.html").read_text(encoding="utf-8")
    sections = page.split("<section>")[1:]
    assert len(sections) > 10
    for section in sections:
        source, result = (part.split("</pre>")[0] for part in section.split("<pre>")[1:])
        text = "".join(piece.split(">", 1)[1] for piece in result.split("</span>") if ">" in piece).replace("&lt;|im_end|&gt;", "")
        assert source.split("</span>\n")[1].strip("文") == text.replace("\ufffd", "").strip("文")
