"""Split ASCII text into pre-tokens as a tokenizer does, with Python's own regular expressions.

A byte-level tokenizer first cuts a text with regular expressions and then merges each cut by itself. Its expressions are written for
another engine and for all of Unicode; over ASCII alone a category such as `\\p{L}` is a handful of characters, and the rest means the
same to both. What is not known to mean the same is refused, and nothing is believed before gen.templates.pretokens has proved it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Split = Callable[[str], list[str]]


class _Cut(NamedTuple):
    """One step of a split. `keeps_rest`: what the expression does not find is a piece too, else it is thrown away."""

    pattern: re.Pattern[str]
    keeps_rest: bool


_NO_CUT = _Cut(re.compile(r"(?!)"), True)
_NEVER = (r"(?!)", r"(?!)+")  # what an expression for other scripts comes to in ASCII

# The expression that a ByteLevel pre-tokenizer uses by itself: GPT-2's, as `tokenizers` documents it.
_BYTE_LEVEL = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_ASCII = [chr(number) for number in range(128)]
_WORD = " ?[A-Za-z]++"
# What a word may be looked for before: expressions that spell no word out, contractions apart, and count no letters.
_SPELT_OR_COUNTED = re.compile(r"[A-Za-z](?![^\[]*\])|A-Z[^\]]*\]\{")
_HARMLESS = re.compile(r"\\x..|\\.|\(\?i?:|'[a-z]{1,2}")
_LONGEST = 4000  # characters of an expression
_ATOM = re.compile(
    r"(?P<group>\(\?(?:i?:|!(?=\\S\))))"  # (?:  (?i:  (?!\S)
    r"|(?P<open>\()"
    r"|(?P<many>(?:[?*+]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\}(?!\+))\+?)"
    r"|(?P<plain>[)|]|\\[sSdrnt])"
    r"|\\(?P<sign>p|P)\{(?P<category>[A-Z][a-z]?|Han)\}"
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<class>\[)"
    r"|(?P<literal>[^\\\[\].^$()|?*+{}])"
)
_MEMBER = re.compile(
    r"\\(?P<sign>p)\{(?P<category>[A-Z][a-z]?|Han)\}"
    r"|(?P<plain>\\[sSdrnt])"
    r"|(?P<range>[A-Za-z0-9]-[A-Za-z0-9])"
    r"|(?P<foreign>[^\x00-\x7f]-[^\x00-\x7f])"
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<literal>[^\\\[\]&-]|&(?!&)|-(?=\]))"
)


def ascii_split(normalizer: Any, pre_tokenizer: Any, *, words_first: bool = False) -> Split | None:
    """The split of ASCII text that these parts of a tokenizer.json describe; None for anything that is not known to be one. `words_first`
    looks for a plain word before anything else: quicker, and the same for most expressions but not for all.

    >>> ascii_split(None, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True})("It's 2 o'clock")
    ['It', "'s", ' 2', ' o', "'", 'clock']
    """
    if not _keeps_ascii(normalizer) or not isinstance(pre_tokenizer, Mapping):
        return None
    steps = _steps(pre_tokenizer)
    if steps is None:
        return None
    found = [_step(step, last=place == len(steps) - 1) for place, step in enumerate(steps)]
    cuts = [step for step in found if step is not None and step is not _NO_CUT]
    return _in_turn(cuts, words_first) if cuts and None not in found else None


def ascii_pattern(source: str) -> re.Pattern[str] | None:
    """A tokenizer's expression as one of Python's that finds the same in ASCII text; None where that is not sure."""
    if len(source) > _LONGEST:
        return None
    written: list[str] = []
    at = 0
    while at < len(source):
        atom = _ATOM.match(source, at)
        if atom is None:
            return None
        at = atom.end()
        if atom["class"]:
            translated = _class(source, at)
            if translated is None:
                return None
            text, at = translated
            written.append(text)
        else:
            written.append(_atom(atom))
    try:
        pattern = re.compile("".join(written), re.ASCII)
    except (re.error, OverflowError):
        return None
    return None if pattern.groups or pattern.match("") else pattern


def _keeps_ascii(normalizer: Any) -> bool:
    """Whether a normalizer leaves ASCII as it is, and composes nothing across a space."""
    if normalizer is None:
        return True
    if not isinstance(normalizer, Mapping):
        return False
    if normalizer.get("type") == "Sequence":
        return all(_keeps_ascii(step) for step in normalizer.get("normalizers", [None]))
    return normalizer.get("type") == "NFC"


def ends_in_bytes(pre_tokenizer: Any) -> bool:
    """Whether the last step writes every byte as a letter."""
    steps = _steps(pre_tokenizer)
    return steps is not None and bool(steps) and steps[-1].get("type") == "ByteLevel"


def _steps(pre_tokenizer: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    steps = pre_tokenizer.get("pretokenizers") if pre_tokenizer.get("type") == "Sequence" else [pre_tokenizer]
    return steps if isinstance(steps, list) and all(isinstance(step, Mapping) for step in steps) else None


def _step(step: Mapping[str, Any], *, last: bool) -> _Cut | None:
    kind = step.get("type")
    if kind == "ByteLevel" and last and step.get("add_prefix_space") is False:
        return _cut(_BYTE_LEVEL) if step.get("use_regex", True) else _NO_CUT
    if kind == "Digits":
        return _cut(r"\p{N}" if step.get("individual_digits") else r"\p{N}+")
    if kind != "Split" or not isinstance(step.get("pattern"), Mapping):
        return None
    source = step["pattern"].get("Regex")
    how = (step.get("behavior"), step.get("invert"))
    if not isinstance(source, str) or how not in (("Isolated", False), ("Removed", True)):
        return None
    return _cut(source, keeps_rest=how == ("Isolated", False))


def _cut(source: str, *, keeps_rest: bool = True) -> _Cut | None:
    pattern = ascii_pattern(source)
    if pattern is None:
        return None
    return _NO_CUT if keeps_rest and pattern.pattern in _NEVER else _Cut(pattern, keeps_rest)


def _in_turn(cuts: Sequence[_Cut], words_first: bool) -> Split:
    """Every cut in each piece of the one before."""
    before = [_pieces(cut) for cut in cuts[:-1]]
    quick = words_first and not _SPELT_OR_COUNTED.search(_HARMLESS.sub("", cuts[-1].pattern.pattern))
    last = _last_pieces(cuts[-1], f"{_WORD}|" if quick else "")

    def split(text: str) -> list[str]:
        parts = [text]
        for pieces in before:
            parts = [piece for part in parts for piece in pieces(part) if piece]
        return [piece for part in parts for piece in last(part)]

    return split if before else last


def _pieces(cut: _Cut) -> Split:
    return re.compile(f"({cut.pattern.pattern})", re.ASCII).split if cut.keeps_rest else cut.pattern.findall


def _last_pieces(cut: _Cut, before: str) -> Split:
    source = f"{before}{cut.pattern.pattern}"
    # the last expression finds all of a text, so what lies between is looked for hardly ever
    return re.compile(f"{source}|(?:(?!{source})[\\x00-\\x7f])+" if cut.keeps_rest else source, re.ASCII).findall


def _atom(atom: re.Match[str]) -> str:
    if atom["open"]:
        return "(?:"
    if atom["category"]:
        members = _escaped(_members(atom["category"]))
        negative = atom["sign"] == "P"
        if not members:
            return r"[\x00-\x7f]" if negative else r"(?!)"
        return f"[{'^' * negative}{members}]"
    literal = atom["escaped"] or atom["literal"]
    return re.escape(literal) if literal else atom[0]


def _class(source: str, at: int) -> tuple[str, int] | None:
    """A character class that begins before `at`, and where it ends."""
    negative = source.startswith("^", at)
    at += negative
    members: list[str] = []
    while not source.startswith("]", at):
        member = _MEMBER.match(source, at)
        if member is None:
            return None
        at = member.end()
        if member["category"]:
            members.append(_escaped(_members(member["category"])))
        elif member["escaped"] or member["literal"]:
            members.append(_escaped(member["escaped"] or member["literal"]))
        elif not member["foreign"]:
            members.append(member[0])
    inside = "".join(members)
    if not inside:
        return (r"[\x00-\x7f]" if negative else r"(?!)"), at + 1
    return f"[{'^' * negative}{inside}]", at + 1


def _members(category: str) -> list[str]:
    """The ASCII characters of a Unicode general category; of the script Han there are none."""
    return [character for character in _ASCII if unicodedata.category(character).startswith(category)]


def _escaped(characters: Sequence[str]) -> str:
    """Characters as members of a class: letters and digits as ranges, which the engine tests faster."""
    text = "".join(characters)
    for run, short in (("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "A-Z"), ("abcdefghijklmnopqrstuvwxyz", "a-z"), ("0123456789", "0-9")):
        if run in text:
            head, tail = text.split(run)
            return _escaped(head) + short + _escaped(tail)
    return "".join(f"\\x{ord(character):02x}" if ord(character) < 128 else "" for character in text)
