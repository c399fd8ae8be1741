"""Compatibility forms and invisible characters."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from gen.folding import fold


@given(st.text(alphabet=st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=60))
def test_folding_is_nfkc_for_text_without_invisible_characters(text: str) -> None:
    plain = "".join(letter for letter in text if fold(letter))
    words = plain.split(" ")
    assert fold(plain) == " ".join(unicodedata.normalize("NFKC", word) for word in words)


def test_invisible_characters_go_and_case_and_space_stay() -> None:
    assert fold("A\u200b\u00adB\ufeff\n ﬁ\ufe0f") == "AB\n fi"


def test_a_lone_surrogate_passes() -> None:
    assert fold("\ud800é") == "\ud800é"


def test_a_million_combining_marks_in_bad_order_fold() -> None:
    assert len(fold("e" + "\u0301\u0327" * 500_000)) > 900_000
