"""The language gate."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gen.errors import RecipeError
from gen.gates import language
from gen.plugins import build
from gen.types import Message, Sample, Verdict

GERMAN = "Der Hund läuft durch den Garten und bellt dabei sehr laut."
ENGLISH = "The dog runs through the garden and barks very loudly."


def check(prompt: str, reply: str, **options: Any) -> Verdict:
    gate = build("gates", "language", options)
    verdict: Verdict = gate.check(Sample("1", (Message("user", prompt), Message("assistant", reply))))
    return verdict


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(language).failed == 0


def test_another_language_is_rejected_with_its_name() -> None:
    verdict = check("What does the dog do in the garden?", GERMAN)
    assert (verdict.reason, verdict.detail) == ("wrong_language", "reply is de, wanted en")


@pytest.mark.parametrize(("on", "reason"), [("prompt", "wrong_language"), ("reply", ""), ("both", "wrong_language")])
def test_the_side_can_be_chosen(on: str, reason: str) -> None:
    assert check(GERMAN, ENGLISH, on=on).reason == reason


def test_several_languages_may_be_wanted() -> None:
    assert check(GERMAN, ENGLISH, language=["de", "en"]).keep
    assert check(GERMAN, ENGLISH, language=("fr", "es")).reason == "wrong_language"


def test_two_languages_in_one_text_are_mixed() -> None:
    assert check("Tell me about dogs and gardens.", f"{ENGLISH}\n\n{GERMAN}").reason == "mixed_language"
    assert check("Tell me about dogs and gardens.", f"{ENGLISH}\n\n{GERMAN}", language=["en", "de"]).keep


def test_a_language_that_the_prompt_names_was_asked_for() -> None:
    assert check("Translate into German: the dog barks in the garden.", GERMAN).keep
    assert not check("Translate into French: the dog barks in the garden.", GERMAN).keep


@pytest.mark.parametrize(
    "reply", ["Ja.", "42", "C++", "x = sorted(wörter)\nprint(x)", "```python\nfür = 1\n```", "https://beispiel.de/seite", ""]
)
def test_what_says_nothing_about_a_language_is_kept(reply: str) -> None:
    assert check("What is it called there?", reply).keep


@pytest.mark.parametrize("reply", ["Unsatisfied", "Albert Einstein", "Popcorn and jelly beans", "Ctrl+Alt+Delete", "Positive sentiment."])
def test_short_english_answers_are_kept(reply: str) -> None:
    assert check("Which of them is it?", reply).keep


def test_danish_is_not_held_against_norwegian_unless_sure() -> None:
    assert check("Hvor er hunden?", "Hunden er i haven.", language="no").reason in ("", "wrong_language")
    assert check("Hvor er hunden?", "Hunden løper gjennom hagen og bjeffer veldig høyt.", language="no").keep


@pytest.mark.parametrize("wrong", ["english", "EN", "", []])
def test_a_wrong_code_is_an_error_of_the_recipe(wrong: Any) -> None:
    with pytest.raises(RecipeError):
        build("gates", "language", {"language": wrong})


def test_surrogates_and_nul_do_no_harm() -> None:
    assert check("\x00\ud800" * 50, "Bonjour \ud83d tout le monde, comment allez-vous ce matin\x00 ?").reason == "wrong_language"


def test_english_is_told_from_41_languages(shared_data: Path) -> None:
    gate = build("gates", "language", {"on": "reply"})
    with gzip.open(shared_data / "languages.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = list(map(json.loads, lines))
    rows = [row for row in rows if row["lang"] == "en"] + [row for row in rows if row["lang"] != "en"][::6]
    wrong = [row for row in rows if gate.check(Sample("1", (Message("assistant", row["text"]),))).keep != (row["lang"] in ("en", "und"))]
    flagged_english = [row for row in wrong if row["lang"] == "en"]
    assert len(flagged_english) <= 2
    assert len(wrong) <= 0.01 * len(rows)


@pytest.mark.parametrize("prompt", ["minus zero", "Line separator inside", "Vegan lasagna al forno"])
def test_a_short_prompt_of_doubtful_language_is_outweighed_by_an_english_reply(prompt: str) -> None:
    assert check(prompt, ENGLISH).keep


def test_a_few_words_of_another_language_are_rejected_beside_an_english_reply() -> None:
    assert check("Was ist das für ein Hund?", ENGLISH).reason == "wrong_language"
    assert check("Bonjour mes amis", ENGLISH).reason == "wrong_language"


def test_a_foreign_reply_is_rejected_however_english_the_prompt() -> None:
    assert check(ENGLISH, "Il cane corre in giardino.").reason == "wrong_language"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        pytest.param("xx", "unknown language 'xx': choose from ar, bg, bn,", id="no language"),
        pytest.param("German", "unknown language 'German': write de", id="name"),
        pytest.param("deu", "unknown language 'deu': did you mean 'de'? choose from", id="three letters"),
        pytest.param(["en", "zz"], "unknown language 'zz'", id="one of several"),
        pytest.param([], "language must be one ISO 639-1 code or several, such as en or de, got none", id="none"),
    ],
)
def test_a_language_that_is_never_found_is_refused(wrong: str | list[str], hint: str) -> None:
    with pytest.raises(RecipeError) as error:
        build("gates", "language", {"language": wrong})
    assert hint in str(error.value)


@pytest.mark.parametrize("code", ["en", "no", "nn", "nb", "zh", "id", "tl", "eu", "kw"])
def test_a_known_code_is_taken(code: str) -> None:
    build("gates", "language", {"language": code})
