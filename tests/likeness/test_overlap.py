"""Indexes of benchmarks and what they find."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from gen.errors import InputError
from gen.likeness.overlap import BOILERPLATE_ITEMS, Benchmark, build_index, hashed_words, join, load_index, read_index

QUESTION = (
    "A lighthouse keeper climbs 212 steps each evening and rests on every landing, of which there are seven. How many steps lie between?"
)
SHORT = "Name the rivers of northern Portugal"


def index_of(*texts: str) -> Benchmark:
    return load_index(build_index((str(number), text) for number, text in enumerate(texts)))


def test_an_item_is_found_inside_a_text() -> None:
    match = index_of(SHORT, QUESTION).match(hashed_words(f"Some words before. {QUESTION.upper()} And some after."))
    assert match is not None
    assert (match.item, match.share) == ("1", 1.0)


def test_a_text_of_its_own_holds_nothing() -> None:
    assert index_of(SHORT, QUESTION).match(hashed_words("How many steps lie between a plan and its end?")) is None


def test_a_short_item_counts_word_by_word() -> None:
    index = index_of(SHORT)
    assert index.match(hashed_words(f"Please: {SHORT.lower()}!")) is not None
    assert index.match(hashed_words("Name the rivers of southern Portugal")) is None


def test_an_item_of_a_few_words_is_no_evidence() -> None:
    assert index_of("Good morning!").match(hashed_words("Good morning! How are you?")) is None


def test_boilerplate_of_a_benchmark_is_no_evidence() -> None:
    boilerplate = "Answer with the letter of the one right option and nothing else whatsoever."
    own = ["red foxes sleep", "old maps fade", "cold rivers bend", "tall pines sway", "blue whales sing"]
    assert len(own) > BOILERPLATE_ITEMS
    index = index_of(*(f"{boilerplate} Why do {words} in the early hours of a long winter night?" for words in own))
    assert index.match(hashed_words(f"{boilerplate} Which of these is a fruit?")) is None


def test_indexes_join_under_their_names() -> None:
    joined = join(
        {
            "sea": index_of(SHORT, QUESTION),
            "empty": index_of(),
            "land": index_of("Three bakers share nine loaves and a jar of plum jam among them"),
        }
    )
    match = joined.match(hashed_words("three bakers share nine loaves and a jar of plum jam among them"))
    assert match is not None
    assert match.item == "land/0"
    found = joined.match(hashed_words(QUESTION))
    assert found is not None
    assert found.item == "sea/1"


@pytest.mark.parametrize(
    "text", ["", "word", "\ud800", "a" * 1_000_000, "\ufdfa" * 100_000], ids=["empty", "one word", "surrogate", "long", "expanding"]
)
def test_any_text_can_be_searched(text: str) -> None:
    assert index_of(QUESTION).match(hashed_words(text)) is None


def test_an_index_file_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "sea.ngrams.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in build_index([("q", QUESTION)])).encode()))
    match = read_index(path).match(hashed_words(QUESTION))
    assert match is not None
    assert match.item == "q"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{}\n",
        b'{"version": 2}\n',
        b'{"version": 1}\n{"id": 1}\n',
        b'{"version": 1}\n[]\n',
        b'{"version": 1}\n{"grams": "?", "id": 1}\n',
    ],
    ids=["empty", "bytes", "no version", "newer", "no grams", "list", "no base64"],
)
def test_a_file_that_is_no_index_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.ngrams.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.ngrams\.jsonl"):
        read_index(path)


def test_a_cut_or_missing_index_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.ngrams.jsonl.gz"
    with pytest.raises(InputError, match="No such file"):
        read_index(path)
    path.write_bytes(gzip.compress(b'{"version": 1}\n' * 1000)[:20])
    with pytest.raises(InputError, match="cut"):
        read_index(path)
