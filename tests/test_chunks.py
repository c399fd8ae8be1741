"""Chunks lose nothing, keep to their limit and end where a reader would."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen.chunks import chunks
from gen.conversation import Skipped
from gen.exporters.documents import Documents
from gen.text import count_words, estimate_tokens
from gen.types import Message, Sample

TEXTS = st.text(st.sampled_from("ab .!\n\r\t。東京é"), max_size=300) | st.text(max_size=200)


@example("a b.\n\nc d e.\n\nf g", 3)
@given(TEXTS, st.integers(1, 20))
def test_chunks_join_to_the_text_and_none_is_too_long(text: str, limit: int) -> None:
    found = list(chunks(text, limit))
    assert "".join(found) == text
    assert all(count_words(chunk) <= limit for chunk in found)
    assert all(found)


@given(TEXTS, st.integers(2, 20), st.data())
def test_an_overlap_repeats_the_end_of_the_chunk_before(text: str, limit: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(1, limit - 1))
    found = list(chunks(text, limit, overlap=overlap))
    at = 0  # where the chunk begins that is not a repetition
    for chunk in found:
        assert count_words(chunk) <= limit
        shared = next(size for size in range(len(chunk)) if at >= size and text.startswith(chunk, at - size))
        at += len(chunk) - shared
    assert at == len(text)


@given(TEXTS, st.integers(1, 30))
def test_tokens_bound_a_chunk_too(text: str, limit: int) -> None:
    found = list(chunks(text, limit, measure=estimate_tokens))
    assert "".join(found) == text
    assert all(estimate_tokens(chunk) <= limit for chunk in found)


def test_paragraphs_are_kept_together_then_lines_then_sentences() -> None:
    text = "First paragraph here.\n\nSecond one. It has two sentences.\n\nThird\nof two lines."
    assert list(chunks(text, 9)) == ["First paragraph here.\n\nSecond one. It has two sentences.\n\n", "Third\nof two lines."]
    assert list(chunks(text, 4)) == ["First paragraph here.\n\n", "Second one. ", "It has two sentences.\n\n", "Third\nof two lines."]
    assert list(chunks(text, 3))[-2:] == ["Third\n", "of two lines."]


def test_a_text_without_white_space_is_cut_all_the_same() -> None:
    assert max(map(count_words, chunks("東京" * 500, 10))) <= 10


@pytest.mark.parametrize(("limit", "overlap"), [(0, 0), (5, 5), (5, -1)])
def test_a_limit_that_cannot_be_kept_is_refused(limit: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="the limit must be at least 1 and above the overlap"):
        list(chunks("a b", limit, overlap=overlap))


def test_long_documents_are_chunked_and_nothing_is_dropped_as_too_long() -> None:
    text = "\n\n".join(f"Paragraph {number} has a few words of its own." for number in range(2000))
    rows = [row for row in Documents(max_words=200).rows([Sample("d", (Message("assistant", text),))]) if isinstance(row, dict)]
    assert "".join(row["text"] for row in rows) == text
    assert [row["chunk"] for row in rows] == list(range(1, len(rows) + 1))
    assert {row["document"] for row in rows} == {"d"}


def test_a_conversation_without_an_answer_is_named() -> None:
    [row] = Documents().rows([Sample("d", (Message("user", "Hi"),))])
    assert isinstance(row, Skipped)
    assert (row.id, row.reason) == ("d", "no_reply")


@pytest.mark.parametrize("options", [{"max_words": 0}, {"overlap": 1000}, {"max_tokens": 10, "overlap": 10}, {"max_tokens": -1}])
def test_documents_check_their_options(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="overlap must be at least 0 and below"):
        Documents(**options)
