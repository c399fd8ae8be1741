"""Tests of gen/patterns/spans.py and gen/patterns/redaction.py."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gen.patterns.redaction import looked_at, marker, number_of
from gen.patterns.spans import Span, disjoint, substitute


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12))
def test_disjoint_spans_are_ordered_and_every_span_left_out_overlaps_one_kept(pairs: list[tuple[int, int]]) -> None:
    spans = [Span(start, start + length, "kind") for start, length in pairs]
    chosen = disjoint(spans)
    assert all(first.end <= second.start for first, second in pairwise(chosen))
    assert all(any(span.start < kept.end and kept.start < span.end for kept in chosen) for span in spans)


def test_what_stands_between_the_spans_is_left_as_it_is() -> None:
    assert substitute("ab12cd34", (Span(2, 4, "a"), Span(6, 8, "b")), lambda kind, value: f"<{kind}{value}>") == "ab<a12>cd<b34>"
    assert marker("card_number", "4") == "[CARD_NUMBER]"


def test_one_value_gives_one_number_in_range() -> None:
    assert number_of("x", 100) == number_of("x", 100)
    assert all(0 <= number_of(str(value), 7) < 7 for value in range(50))


def test_the_reply_is_the_assistants_and_the_prompt_everything_else() -> None:
    assert [looked_at(role, "prompt") for role in ("system", "user", "tool", "assistant")] == [True, True, True, False]
    assert [looked_at(role, "reply") for role in ("system", "user", "tool", "assistant")] == [False, False, False, True]
