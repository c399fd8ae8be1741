"""A tokenizer's expressions in Python: what finds the same in ASCII text is translated, what might not is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from tokenizers import Regex, pre_tokenizers

from gen.templates.ascii_split import ascii_pattern, ascii_split

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace("{1,3}", "")
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
)


def regex_split(source: str, behavior: str = "isolated", *, invert: bool = False) -> Any:
    return pre_tokenizers.Split(Regex(source), behavior, invert)


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
KINDS: dict[str, list[Any]] = {
    "gpt2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "llama3": [regex_split(LLAMA3), BYTES],
    "qwen": [regex_split(QWEN), BYTES],
    "cl100k": [regex_split(CL100K, "removed", invert=True), BYTES],
    "o200k": [regex_split(O200K), BYTES],
    "deepseek": [regex_split(r"\p{N}{1,3}"), regex_split("[一-龥぀-ゟ゠-ヿ]+"), regex_split(DEEPSEEK), BYTES],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
}
PARTS = (
    "He",
    "said",
    " I'LL",
    "'s",
    " 2024",
    "3.14",
    "\n",
    "\r\n",
    "  ",
    "    ",
    " \n ",
    "\t",
    "...",
    " (",
    "//\n",
    "_a",
    "camelCase",
    "\x00",
    "\x1c",
)


def described(part: Any) -> Any:
    return json.loads(part.__getstate__())


@pytest.mark.parametrize("words_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_ascii_is_cut_as_the_tokenizer_cuts_it(kind: str, words_first: bool) -> None:
    theirs = pre_tokenizers.Sequence(KINDS[kind])
    split = ascii_split(None, described(theirs), words_first=words_first and kind != "o200k")
    assert split is not None
    draw = random.Random(1)
    for _ in range(400):
        text = "".join(draw.choices(PARTS, k=draw.randint(1, 12)))
        assert split(text) == [text[start:end] for _, (start, end) in theirs.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    "source",
    [
        "a.b",  # what a dot leaves out differs between engines
        "^a",
        "a$",
        r"\bword",
        r"\p{Alphabetic}+",
        r"\p{N}{1,3}+",  # possessive here, repeated there
        "[a-z&&[^b]]",
        "[[:alpha:]]+",
        "(?=a)b",
        "(?<=a)b",
        r"(a)\1",
        "x*",  # finds nothing everywhere
        "(a",
        "a" * 5000,
    ],
)
def test_an_expression_that_may_mean_something_else_is_refused(source: str) -> None:
    assert ascii_pattern(source) is None


def test_a_group_does_not_capture() -> None:
    pattern = ascii_pattern(r"(\p{Lu}|\p{N})+")
    assert pattern is not None
    assert pattern.findall("AB1 c2") == ["AB1", "2"]


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer"),
    [
        ({"type": "Lowercase"}, described(KINDS["gpt2"][0])),
        ({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Prepend", "prepend": "▁"}]}, described(KINDS["gpt2"][0])),
        (None, described(pre_tokenizers.ByteLevel(add_prefix_space=True))),
        (None, described(pre_tokenizers.Metaspace())),
        (None, described(pre_tokenizers.Sequence([BYTES, regex_split(LLAMA3)]))),
        (None, described(pre_tokenizers.Sequence([regex_split(LLAMA3, "merged_with_next"), BYTES]))),
        (None, described(pre_tokenizers.Sequence([BYTES]))),
        (None, None),
        (None, {"type": "Sequence"}),
    ],
)
def test_a_tokenizer_that_cuts_otherwise_is_left_alone(normalizer: Any, pre_tokenizer: Any) -> None:
    assert ascii_split(normalizer, pre_tokenizer) is None


def test_a_normalizer_that_keeps_ascii_is_no_hindrance() -> None:
    split = ascii_split({"type": "Sequence", "normalizers": [{"type": "NFC"}]}, described(KINDS["gpt2"][0]))
    assert split is not None
    assert split("It's") == ["It", "'s"]


def test_words_are_not_looked_for_first_where_an_expression_spells_them_out() -> None:
    spelt = described(pre_tokenizers.Sequence([regex_split(r"foo|\p{L}+|\s+"), BYTES]))
    split = ascii_split(None, spelt, words_first=True)
    assert split is not None
    assert split("food") == ["foo", "d"]
