"""Tests of gen/gates/denylist.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gen.errors import InputError, RecipeError
from gen.plugins import build
from gen.types import Message, Sample


def gate(**options: Any) -> Any:
    return build("gates", "denylist", options)


def sample(prompt: str, reply: str = "Fine.") -> Sample:
    return Sample("1", (Message("user", prompt), Message("assistant", reply)))


def written(folder: Path, text: str, name: str = "denied.txt") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_term_of_the_file_is_named_by_its_line_and_never_by_itself(tmp_path: Path) -> None:
    file = written(tmp_path, "# code names\n\nNightjar\nproject blue harbour\n")
    verdict = gate(file=file).check(sample("Hi", "The Project: Blue-Harbour!"))
    assert (verdict.keep, verdict.gate, verdict.reason) == (False, "denylist", "denied_term")
    assert verdict.detail == "line 4 of denied.txt in message 1"


@pytest.mark.parametrize("text", ["nightjar", "A NIGHTJAR.", "(Nightjar)", "nightjar's"])
def test_case_and_punctuation_do_not_hide_a_term(text: str) -> None:
    assert gate(terms=["Nightjar"]).check(sample(text)).detail == "term 1 of terms in message 0"


@pytest.mark.parametrize("text", ["nightjars", "midnightjar", "night jar", "blue harbour project"])
def test_only_whole_words_in_order_count(text: str) -> None:
    assert gate(terms=["nightjar", "project blue harbour"]).check(sample(text)).keep


def test_a_term_inside_a_script_without_spaces_is_found() -> None:
    assert not gate(terms=["機密計画"]).check(sample("これは機密計画です")).keep


def test_the_second_of_two_phrases_with_one_first_word_is_found() -> None:
    assert gate(terms=["red fox", "red wolf"]).check(sample("a red wolf")).detail.startswith("term 2")


def test_a_long_list_and_a_long_text_take_one_lookup_for_each_word(tmp_path: Path) -> None:
    file = written(tmp_path, "\n".join(f"term{number} alpha" for number in range(10_000)))
    assert gate(file=file).check(sample("term " * 50_000 + "term9999 alpha")).detail == "line 10000 of denied.txt in message 0"


def test_only_the_side_asked_for_is_read() -> None:
    assert gate(terms=["nightjar"], on="reply").check(sample("nightjar")).keep


def test_a_term_is_text_and_no_pattern() -> None:
    assert gate(terms=["a.*b (c"]).check(sample("axxb c")).keep
    assert not gate(terms=["a.*b (c"]).check(sample("a b c")).keep


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(RecipeError, match="the list is empty"):
        gate()


def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.txt cannot be read"):
        gate(file=str(tmp_path / "missing.txt"))
    with pytest.raises(InputError, match="cannot be read"):
        gate(file=str(tmp_path))
    broken = tmp_path / "latin.txt"
    broken.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        gate(file=str(broken))
    with pytest.raises(InputError, match=r"line 2 of denied\.txt has no letter"):
        gate(file=written(tmp_path, "fine\n***\n"))
