"""Which language a text is in."""

from __future__ import annotations

import doctest
import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import language


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(language).failed == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Der Hund läuft durch den Garten und bellt laut.", "de"),
        ("Le chat dort sur le canapé pendant toute la journée.", "fr"),
        ("これは日本語の文章です。", "ja"),
        ("这是一个中文句子。", "zh"),
        ("이것은 한국어 문장입니다.", "ko"),
        ("Αυτή είναι μια ελληνική πρόταση.", "el"),
        ("זהו משפט בעברית.", "he"),
        ("นี่คือประโยคภาษาไทย", "th"),
        ("Это предложение на русском языке.", "ru"),
        ("We will meet you at the station after lunch.", "en"),
    ],
)
def test_common_languages_are_known(text: str, code: str) -> None:
    assert language.detect(text)[0] == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "C++",
        "🇫🇷",
        "12345 67890",
        "https://example.org/a/b",
        "|---|---|\n| 1 | 2 |",
        "SELECT * FROM t WHERE id = 1;",
        "\x00\ud800",
        "x = [1, 2, 3];",
    ],
)
def test_what_is_no_language_stays_undetermined(text: str) -> None:
    assert language.detect(text)[0] == language.UNDETERMINED


def test_a_quotation_does_not_decide() -> None:
    text = 'Translate the following sentence into English: "Ich habe heute leider keine Zeit für dich gehabt."'
    assert language.detect(text)[0] == "en"


def test_passages_that_disagree_are_mixed() -> None:
    english = "Describe the plants of the forest and what they need to grow well."
    russian = "Этот лес был очень старым, и в нём жили самые разные звери и птицы."
    assert language.detect(f"{english}\n\n{russian}")[0] == language.MIXED
    assert language.sure_languages(f"{english}\n\n{russian}") == {"en", "ru"}


def test_code_beside_prose_does_not_count() -> None:
    assert (
        language.detect("Schreibe eine Funktion, die zwei Zahlen addiert.\n```python\ndef add(the, other):\n    return the + other\n```")[0]
        == "de"
    )


def test_the_second_opinion_is_always_the_same() -> None:
    assert len({language.second_opinion("Ciao bella, come va oggi") for _ in range(5)}) == 1
    assert language.second_opinion("12345") == language.UNDETERMINED


def test_accuracy_over_42_languages(shared_data: Path) -> None:
    with gzip.open(shared_data / "languages.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["lang"] not in ("mixed", "und")][::3]
    right = sum(language.detect(row["text"])[0] == row["lang"] for row in rows)
    assert right / len(rows) >= 0.94


COMBINED = re.compile(
    r"`[^`\n]{1,300}`|(?:https?://|www\.)\S{1,500}|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}|</?[a-zA-Z][^<>\n]{0,200}>"
    r"|\b\w{1,40}\([^()\n]{1,200}\)"
)


@given(st.lists(st.sampled_from("foo( f( (x) ) `a` ` http:// www. a@b.co @ <b> < > f(<i>) é( _ a . \n".split(" ")), max_size=20))
def test_noise_is_left_out_from_left_to_right_as_one_pattern_would(pieces: list[str]) -> None:
    for written in ("".join(pieces), " ".join(pieces)):
        assert language._without(written, [find for _, find in language._NOISE]) == COMBINED.sub(" ", written)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param("We call print(x) and then open(file) often.", "We call   and then   often.", id="calls"),
        pytest.param("See `ls` or `cd` there.", "See   or   there.", id="inline code"),
        pytest.param("Bold <b>words</b> stay.", "Bold  words  stay.", id="tags"),
        pytest.param("A bracket (like this) is no call.", "A bracket (like this) is no call.", id="a remark"),
    ],
)
def test_one_kind_of_noise_alone_is_left_out_and_nothing_beside_it(text: str, left: str) -> None:
    assert language._natural(text) == left


def test_two_lines_are_enough_to_disagree() -> None:
    text = "The meeting about the budget starts at nine in the morning.\nDie Besprechung über den Haushalt beginnt um neun Uhr morgens."
    assert language.detect(text)[0] == "mixed"
