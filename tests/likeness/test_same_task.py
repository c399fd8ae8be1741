"""What counts as the same task asked again, and what is another task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.likeness import reading as reading_module
from gen.likeness.reading import MAX_CHARS, read, unpack
from gen.likeness.same_task import may_be_same, same_task, similarity

POEM = "Write a short poem about the harbour of Lisbon in winter, in two stanzas."
RULES = (
    "Draft a notice for the residents of a quiet street: cyclists may park beside the fountain, delivery vans leave before noon, trucks "
    "heavier than the bridge allows turn around at the bakery, dogs stay on a leash, music ends when the church bell rings at night."
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(POEM, POEM.upper(), id="case"),
        pytest.param(POEM, "  Write a\nshort poem\tabout the harbour of  Lisbon in winter in two stanzas", id="space and punctuation"),
        pytest.param(POEM, "In two stanzas, write a short poem about the harbour of Lisbon in winter.", id="order"),
        pytest.param(POEM, f"Hello, could you please help me? {POEM} Thanks a lot in advance!", id="courtesy"),
        pytest.param(POEM, f"### Task\n\n**{POEM}**\n\n---", id="markdown"),
        pytest.param(POEM, f"{POEM} Keep your answer brief and precise.", id="a remark on style"),
        pytest.param(POEM, POEM.replace("Write", "Compose"), id="a synonym"),
        pytest.param(POEM, POEM.replace("harbour", "harbuor").replace("winter", "wintr"), id="slips of the pen"),
        pytest.param(POEM, POEM.replace("har", "h\u200bar").replace("fi", "\ufb01"), id="invisible characters"),
        pytest.param("What is the boiling point of water?", "Find the boiling point of water.", id="a question or a request"),
        pytest.param("Name three reasons to cycle.", "Name 3 reasons to cycle", id="a number as a word"),
        pytest.param("Why don't cats swim?", "Why do cats not swim?", id="a contraction"),
        pytest.param("Ann has 3 cats. Bob has 5 dogs. Count the legs.", "Bob has 5 dogs. Ann has 3 cats. Count the legs.", id="sentences"),
        pytest.param("¿Cuál es la capital de Perú?", "cuál es la capital de Perú", id="another language"),
        pytest.param("", " \n", id="nothing"),
    ],
)
def test_another_wording_is_the_same_task(one: str, other: str) -> None:
    assert same_task(one, other)
    assert same_task(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Find the square root of 64.", "Find the square root of 81.", id="number"),
        pytest.param("Solve x^2 + 3 = 7 for x and show each step.", "Solve x^2 - 3 = 7 for x and show each step.", id="operator"),
        pytest.param("Ann buys 3 apples and 5 pears, how many?", "Ann buys 5 apples and 3 pears, how many?", id="numbers swapped"),
        pytest.param("Add the points (2, 3) and (4, 5).", "Add the points (2, -3) and (4, 5).", id="sign"),
        pytest.param("What is the weather like in Paris today?", "What is the weather like in Oslo today?", id="place"),
        pytest.param("Write a letter that thanks Maria for the gift.", "Write a letter that thanks Omar for the gift.", id="name"),
        pytest.param("List animals that can fly in the night sky.", "List animals that can not fly in the night sky.", id="negation"),
        pytest.param("Return the largest value of the array.", "Return the smallest value of the array.", id="polarity"),
        pytest.param("Write a Python function to sort a list.", "Write a Rust function to sort a list.", id="programming language"),
        pytest.param("Write a C++ program that adds numbers.", "Write a C program that adds numbers.", id="C and C++"),
        pytest.param("Write a function to sort a list.", "Write a recursive function to sort a list.", id="a condition more"),
        pytest.param(RULES, RULES.replace("may park", "may not park"), id="negation in a long text"),
        pytest.param(RULES, RULES.replace("before", "after").replace("heavier", "lighter"), id="polarity in a long text"),
        pytest.param(RULES, RULES.replace("delivery vans", "delivery vans of Ontario"), id="a name more in a long text"),
        pytest.param("Summarize the article.", "Translate the article.", id="another verb"),
        pytest.param("😀", "😡", id="symbols only"),
    ],
)
def test_a_small_difference_that_matters_is_another_task(one: str, other: str) -> None:
    assert not same_task(one, other)
    assert not same_task(other, one)


def test_long_answers_may_differ_in_a_word() -> None:
    long = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(200))
    assert same_task(f"{long} happy ending", f"{long} joyful ending")


def test_texts_that_differ_beyond_what_is_read_are_two_tasks() -> None:
    opening = "tell a story " * (MAX_CHARS // 13 + 1)
    assert not same_task(f"{opening} of a fox", f"{opening} of a hen")


@given(st.text(max_size=300))
def test_a_text_is_always_the_same_task_as_itself(text: str) -> None:
    assert similarity(read(text), read(text)) == 1.0


@given(st.text(max_size=300), st.text(max_size=300))
def test_similarity_does_not_depend_on_the_order(one: str, other: str) -> None:
    assert similarity(read(one), read(other)) == pytest.approx(similarity(read(other), read(one)))


@given(st.text(max_size=300))
def test_a_packed_reading_unpacks_to_itself(text: str) -> None:
    reading = read(text)
    assert unpack(reading.pack()) == reading
    assert reading.content


@pytest.mark.parametrize(
    "text", ["\ud800 lone", "a" * 5_000_000, "\u0301\u0327" * 500_000, "1-" * 2_000_000, '.")' * 1_000_000, "\n \n" * 1_000_000]
)
def test_hostile_text_is_read_in_bounded_work(text: str) -> None:
    assert similarity(read(text), read(text)) == 1.0  # quadratic work would take minutes


_WORDS = st.sampled_from("sort soft names manes list lists of the big large develop devlop create write four 4 not Lisbon Lisbno".split())


@given(st.lists(_WORDS, min_size=1, max_size=14), st.lists(_WORDS, max_size=3), st.integers(0, 14))
def test_the_cheap_question_never_turns_a_same_task_away(words: list[str], more: list[str], place: int) -> None:
    one, other = read(" ".join(words)), read(" ".join(words[:place] + more + words[place + 1 :]))
    assert may_be_same(one, other) or similarity(one, other) == 0.0


def test_the_cheap_question_knows_that_a_slip_may_hide_among_repeated_words() -> None:
    assert same_task("Sort, sort, sort and devlop, develop.", "Sort, sort, sort and develop, develop.")
    assert may_be_same(read("sort sort sort devlop develop"), read("sort sort sort develop develop"))


def test_the_cheap_question_agrees_on_real_pairs(shared_data: Path) -> None:
    for line in (shared_data / "near_dups.jsonl").read_text(encoding="utf-8").split("\n")[:600]:
        if line:
            one, other = (read(json.loads(line)[side]) for side in "ab")
            assert may_be_same(one, other) or similarity(one, other) == 0.0


def test_two_different_letters_are_no_slip_of_the_pen() -> None:
    assert not same_task("Describe vitamin A.", "Describe vitamin B.")
    assert similarity(read("A"), read("B")) == similarity(read("B"), read("A")) == 0.0


PIECES = "Find xyz 12 - + = <= ( ) 3,000 2.5 -5 7-3 x=two well-known a' don't C++ Éa İ ! ' , a- 1 z".split(" ")


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_a_sentence_read_piece_by_piece_says_what_it_says_as_a_whole(pieces: list[str]) -> None:
    sentence = " ".join(pieces)
    whole, said = reading_module._tokenised(sentence), reading_module._said(sentence)
    assert (said.words, said.figures) == (whole.words, whole.figures)
    assert said.names == whole.names[whole.capital_first :]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("Tell me about the Hubble Space Telescope.", "Get the summary of the Hubble Space Telescope", True, id="a summary"),
        pytest.param("Give a brief summary of the Thirty Years' War", "Provide an overview of the Thirty Years' War.", True, id="overview"),
        pytest.param("Tell me the news about coral reefs.", "Look up the news about coral reefs.", True, id="look up"),
        pytest.param("Write a story about a lighthouse.", "Write a summary of a story about a lighthouse.", False, id="a summary to write"),
        pytest.param(
            "Translate the letter about the lease.", "Translate the summary of the letter about the lease.", False, id="translate"
        ),
        pytest.param("Walk along the road to the mill and draw it.", "Walk up the road to the mill and draw it.", False, id="walk up"),
    ],
)
def test_a_summary_that_is_asked_for_is_a_request_and_one_to_be_written_is_a_task(one: str, other: str, same: bool) -> None:
    assert same_task(one, other) is same
    assert same_task(other, one) is same


def test_names_are_words_with_a_capital_inside_a_sentence() -> None:
    assert read("Write to Anna, and call Zoe. Ask Omar about A4 paper and the BBC's 3 forms.").names == {
        "anna",
        "zoe",
        "omar",
        "a4",
        "bbc's",
    }
