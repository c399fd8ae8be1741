"""Topics from every kind of file, and what is said about each kind of mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.errors import InputError
from gen.sources.topics import MAX_CHARACTERS, read

WHERE = "sources.topics"


def write(folder: Path, name: str, content: str | bytes) -> str:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def message(value: object, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(value, folder=folder, where=WHERE)
    text = str(caught.value)
    assert text.startswith(f"{WHERE}: ")
    assert "\n" not in text
    return text


def test_an_inline_list_keeps_its_order_and_loses_surplus_white_space(tmp_path: Path) -> None:
    assert read(["b  topic ", "a\ttopic"], folder=tmp_path, where=WHERE) == ("b topic", "a topic")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.txt", "# a comment\nVAT on e-books\n\n  Reverse charge \n"),
        ("plain", "VAT on e-books\nReverse charge"),
        ("crlf.txt", b"VAT on e-books\r\nReverse charge\r\n"),
        ("bom.txt", b"\xef\xbb\xbfVAT on e-books\nReverse charge\n"),
        ("t.jsonl", '{"topic": "VAT on e-books"}\n\n{"topic": "Reverse charge", "other": 1}\n'),
        ("t.json", '[{"topic": "VAT on e-books"}, {"topic": "Reverse charge"}]'),
        ("t.yaml", "- VAT on e-books\n- Reverse charge\n"),
        ("under_a_key.yml", "topics:\n  - VAT on e-books\n  - Reverse charge\n"),
        ("t.csv", 'id,Topic\n1,VAT on e-books\n\n2,"Reverse charge"\n'),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_every_kind_of_file_gives_the_same_topics(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert read(write(tmp_path, name, content), folder=tmp_path, where=WHERE) == ("VAT on e-books", "Reverse charge")


@pytest.mark.parametrize("name", ["compliance", "compliance.txt", "topics/compliance.txt"])
def test_a_shipped_list_goes_by_its_name(tmp_path: Path, name: str) -> None:
    topics = read(name, folder=tmp_path, where=WHERE)
    assert len(topics) == 5
    assert topics[0] == "GDPR data retention requirements"


def test_a_file_beside_the_recipe_comes_before_a_shipped_one(tmp_path: Path) -> None:
    write(tmp_path, "compliance", "Our own rules\n")
    assert read("compliance", folder=tmp_path, where=WHERE) == ("Our own rules",)


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_list(tmp_path: Path) -> None:
    (tmp_path / "compliance").mkdir()
    assert len(read("compliance", folder=tmp_path, where=WHERE)) == 5


def test_a_shipped_name_cannot_climb_out_of_its_folder(tmp_path: Path) -> None:
    assert "no file 'topics/../../pyproject.toml'" in message("topics/../../pyproject.toml", tmp_path)


def test_a_missing_file_is_named_with_the_nearest_ones(tmp_path: Path) -> None:
    write(tmp_path, "payments.txt", "cards\n")
    assert "no file 'payment.txt' beside the recipe: did you mean 'payments.txt'?" in message("payment.txt", tmp_path)
    assert "did you mean 'compliance'?" in message("complaince", tmp_path)


def test_a_folder_is_answered_with_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    write(tmp_path / "lists", "a.txt", "x")
    assert message("lists", tmp_path) == f"{WHERE}: 'lists' is a folder: name a file in it, e.g. a.txt"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "names no topic"),
        (["  "], "item 1: an empty topic"),
        (["one", 2], "item 2: a topic must be text, got the number 2"),
        (["one", None], "item 2: a topic must be text, got nothing"),
        (["one", True], "got true"),
        (["one", ["two"]], "got a list"),
        (["x" * (MAX_CHARACTERS + 1)], "has 301 characters: at most 300"),
        (["a\x00b"], "control character U+0000"),
        (["half \ud800"], "half a surrogate pair"),
        (7, "the number 7, where a list of topics or a file's name is needed"),
        (None, "nothing, where a list of topics"),
        ({"a": 1}, "an object, where a list of topics"),
        ("", "an empty file name"),
        ("GDPR\nPSD2", "no file 'GDPR PSD2'"),
        ("y" * 5_000, "cannot be read as a file"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(tmp_path: Path, value: object, says: str) -> None:
    assert says in message(value, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.txt", "# only a comment\n", "'t.txt' names no topic"),
        ("t.txt", b"fine\nna\xefve\n", "t.txt:2: not UTF-8 (byte 0xef)"),
        ("t.txt", "topic".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        ("t.jsonl", '{"topic": "a"}\n{"topic": \n', "t.jsonl:2: invalid JSON"),
        ("t.jsonl", '{"topic": "a"}\n["b"]\n', "t.jsonl:2: a list, where a JSON object is needed"),
        ("t.jsonl", '{"Topic": "a"}\n', "t.jsonl:1: has no 'topic'"),
        ("t.jsonl", '{"topic": 5}\n', "t.jsonl:1: 'topic' must be text, got the number 5"),
        ("t.jsonl", '{"topic": "\\ud800"}\n', "t.jsonl:1: invalid JSON"),
        ("t.json", '[\n{"topic": "a"},\n]', "t.json:2: invalid JSON"),
        ("t.json", '{"topic": "a"}', "an object, where a .json file needs a list of objects"),
        ("t.yaml", "- a\n- [b\n", "t.yaml:3: invalid YAML"),
        ("t.yaml", "- a\n- 12\n", "t.yaml:2: a topic must be text, got the number 12"),
        ("t.yaml", "a: b\n", "an object, where a list of topics is needed"),
        ("t.yaml", "", "nothing, where a list of topics is needed"),
        ("t.yaml", "[" * 5_000, "brackets nested 20 deep"),
        ("t.csv", "id;topic\n1;a\n", "t.csv:1: no column 'topic' in id;topic"),
        ("t.csv", "id,topic\n1\n", "t.csv:2: an empty topic"),
        ("t.csv", 'topic\n"a\n', "invalid CSV"),
        ("t.pdf", "a", "topics are read from .txt, .jsonl, .json, .yaml, .yml or .csv, not .pdf"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_broken_file_is_answered_with_its_line(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    assert says in message(write(tmp_path, name, content), tmp_path)


def test_a_duplicate_in_other_case_and_spacing_names_both_lines(tmp_path: Path) -> None:
    name = write(tmp_path, "t.txt", "Tides\n# between\ntides  \n")
    assert message(name, tmp_path).endswith(f"t.txt:3: the topic 'tides' stands at {tmp_path / name}:1 already: remove one")


def test_line_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    name = write(tmp_path, "t.jsonl", '{"topic": "before\u2028after"}\n')
    assert read(name, folder=tmp_path, where=WHERE) == ("before after",)


def test_composed_and_decomposed_letters_are_the_same_topic(tmp_path: Path) -> None:
    assert "stands at item 1 already" in message(["caf\u00e9 culture", "cafe\u0301 culture"], tmp_path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(tmp_path, "t.txt", "a\n")

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert "cannot be read: Permission denied" in message(name, tmp_path)


def test_yaml_too_large_to_parse_is_sent_to_plain_text(tmp_path: Path) -> None:
    write(tmp_path, "t.yaml", "- a topic\n" * 110_000)
    assert "more than 1 MiB of YAML: write the topics as .txt" in message("t.yaml", tmp_path)


def test_a_file_of_corpus_size_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "t.txt").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "larger than 64 MiB" in message("t.txt", tmp_path)
