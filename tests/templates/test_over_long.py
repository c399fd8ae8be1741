"""A conversation longer than a row becomes parts that fit, and every answer is learnt once or named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.conversation import Skipped
from gen.resources import resource
from gen.templates.over_long import Part, parts_of
from gen.templates.plan_encoder import Encoded
from gen.templates.templating import Templating, TrainOn, open_templating
from gen.types import Message, Sample

TOKENIZER = resource("data", "tokenizer")
TEMPLATING: dict[TrainOn, Templating] = {which: open_templating(TOKENIZER, train_on=which) for which in ("all", "last")}
WORDS = st.integers(1, 60).map(lambda count: "so it is " * count)


def encoded(sample: Sample, train_on: TrainOn = "all") -> Encoded:
    result = next(result for _, result in TEMPLATING[train_on].encode([sample]))
    assert isinstance(result, Encoded)
    return result


def learnt(result: Encoded) -> list[int]:
    return [int(number) for number in result.ids[result.trained]]


def split(sample: Sample, longest: int, train_on: TrainOn = "all") -> tuple[list[Part], list[Skipped]]:
    def encode(one: Sample) -> object:
        return next(result for _, result in TEMPLATING[train_on].encode([one]))

    made = list(parts_of(sample, encode, longest, train_on))  # type: ignore[arg-type]
    return [one for one in made if isinstance(one, Part)], [one for one in made if isinstance(one, Skipped)]


def talk(*exchanges: tuple[str, str], system: str = "", weights: tuple[float | None, ...] = ()) -> Sample:
    messages = [Message("system", system)] if system else []
    for place, (asked, answer) in enumerate(exchanges):
        weight = weights[place] if place < len(weights) else None
        messages += [Message("user", asked), Message("assistant", answer, weight=weight)]
    return Sample("s", tuple(messages))


@settings(max_examples=60, deadline=None)
@given(
    exchanges=st.lists(st.tuples(WORDS, WORDS, st.sampled_from((None, None, 0.0, 1.0))), min_size=1, max_size=12),
    system=st.sampled_from(("", "Be kind.")),
    longest=st.integers(40, 300),
)
def test_no_trained_token_is_lost_doubled_or_moved(exchanges: list[tuple[str, str, float | None]], system: str, longest: int) -> None:
    numbered = [(f"{place} {asked}", f"{place} {answer}") for place, (asked, answer, _) in enumerate(exchanges)]
    sample = talk(*numbered, system=system, weights=tuple(weight for *_, weight in exchanges))
    parts, left_out = split(sample, longest)
    whole = {place: learnt(encoded(talk(numbered[place]))) for place, (*_, weight) in enumerate(exchanges) if weight != 0}
    found = [number for part in parts for number in learnt(part.encoded)]
    dropped = {int(one.detail.split()[1]) - 1 for one in left_out if one.reason == "too_long"}
    assert found == [number for place, ids in whole.items() if place not in dropped for number in ids]
    assert all(len(part.encoded.ids) <= longest and learnt(part.encoded) for part in parts)
    assert {one.reason for one in left_out} <= {"too_long", "nothing_to_train"}
    lead = sample.messages[: bool(system)]
    assert all(part.sample.messages[: len(lead)] == lead and part.sample.messages[len(lead)].role == "user" for part in parts)
    for place in dropped:
        assert len(encoded(talk(numbered[place], system=system)).ids) > longest


def test_parts_are_as_long_as_they_can_be_and_keep_whole_exchanges() -> None:
    sample = talk(*[(f"Question {place}?", "word " * 20) for place in range(10)], system="Be brief.")
    parts, left_out = split(sample, 150)
    assert left_out == []
    assert [message for part in parts for message in part.sample.messages[1:]] == list(sample.messages[1:])
    one = len(encoded(talk(("Question 0?", "word " * 20))).ids)
    assert all(len(part.encoded.ids) + one > 150 for part in parts[:-1])
    assert [part.sample.id for part in parts] == ["s#1-3", "s#4-6", "s#7-9", "s#10"]


def test_an_exchange_that_fits_no_row_is_named_and_nothing_is_joined_over_it() -> None:
    sample = talk(("One?", "1"), ("Two?", "two " * 200), ("Three?", "3"))
    parts, left_out = split(sample, 100)
    assert [[message.content for message in part.sample.messages] for part in parts] == [["One?", "1"], ["Three?", "3"]]
    assert [(one.id, one.reason) for one in left_out] == [("s", "too_long")]
    assert left_out[0].detail.startswith("exchange 2 of 3: ")
    assert left_out[0].detail.endswith("a row holds 100")


def test_with_the_last_answer_alone_one_part_is_left_its_end() -> None:
    sample = talk(*[(f"Question {place}?", "word " * 20) for place in range(10)])
    parts, left_out = split(sample, 100, "last")
    assert (len(parts), left_out) == (1, [])
    assert parts[0].sample.messages == sample.messages[-2 * (len(parts[0].sample.messages) // 2) :]
    assert len(parts[0].sample.messages) > 2
    assert learnt(parts[0].encoded) == learnt(encoded(sample, "last"))


@pytest.mark.parametrize("weights", [(None, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)], ids=["nothing-follows", "too-much-before"])
def test_exchanges_that_lead_to_no_answer_are_named(weights: tuple[float | None, ...]) -> None:
    sample = talk(*[(f"Question {place}?", "word " * 40) for place in range(4)], weights=weights)
    parts, left_out = split(sample, 60)
    assert len(parts) == 1
    assert [one.reason for one in left_out] == ["nothing_to_train"]
