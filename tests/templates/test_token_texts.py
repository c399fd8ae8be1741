"""Texts of tokens are found as tokenizers find them: the longest first."""

from __future__ import annotations

from gen.templates.token_texts import token_texts


def test_the_longest_is_found_first_whatever_the_order() -> None:
    found = token_texts(["<|end", "<|end|>", "</s>"])
    assert found.named("a <|end|> b </s> <|end") == ["<|end|>", "</s>", "<|end"]
    assert found.begin == "<"


def test_a_text_without_what_they_begin_with_holds_none() -> None:
    found = token_texts(["<|im_start|>", "<|im_end|>"])
    assert found.begin == "<|im_"
    assert [found.within(text) for text in ("plain", "<|im_ends|>", "x<|im_end|>")] == [False, False, True]


def test_no_texts_are_found_nowhere() -> None:
    assert (token_texts([]).named("anything"), token_texts([""]).within("")) == ([], False)


def test_signs_in_a_token_are_no_expression() -> None:
    assert token_texts(["[INST]", "a.c"]).named("[INST] abc a.c I") == ["[INST]", "a.c"]
