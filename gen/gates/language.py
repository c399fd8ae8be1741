"""Keep what is written in the language asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from gen.errors import RecipeError
from gen.language import CODES, MIXED, SURE, UNDETERMINED, detect, english_words, near, second_opinion, sure_languages
from gen.plugins import suggest
from gen.text import code_share, contents, words
from gen.types import Sample, Sources, Verdict, kept, rejected

_NEIGHBOUR = 0.9  # a neighbour (Danish for Norwegian) is taken for the wrong language only when the model is this sure
_HABIT = 0.4  # below this confidence "en" may stand for anything in Latin letters
_NAME_WORDS = 3
_WORDS = 2  # one word of doubtful language says nothing
_FEW_LETTERS = 12  # below, two models that disagree on the language are no evidence
_OUTWEIGHED = MappingProxyType({"prompt": 40, "reply": 20})  # letters below which another turn is better evidence than they are
_CODE = 0.5  # share of lines: keywords and identifiers look like many a language
_NAMES = {
    "ar": "arabic", "bg": "bulgarian", "bn": "bengali", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "et": "estonian", "fa": "persian", "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi",
    "hr": "croatian", "hu": "hungarian", "id": "indonesian", "it": "italian", "ja": "japanese", "ko": "korean", "la": "latin",
    "lt": "lithuanian", "lv": "latvian", "ms": "malay", "nb": "norwegian", "nl": "dutch", "pl": "polish", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sk": "slovak", "sl": "sloven", "sr": "serbian", "sv": "swedish", "sw": "swahili", "ta": "tamil",
    "th": "thai", "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese", "zh": "chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Language:
    """Rejects a prompt or reply in another language than `language` (one ISO 639-1 code or several), or in two languages at once.

    fastText decides (see `gen.language`); where it is less than 60 % sure, langdetect must agree that the language is wrong. Code,
    numbers and fewer than eight letters are kept. Where the two also name different languages, a turn of fewer than 12 letters is kept,
    and a prompt of fewer than 40 or reply of fewer than 20 when another turn is surely in the wanted language ("minus zero", answered
    in English). A reply in a language that its prompt names ("translate into French") was asked for. `by_topic` names other languages for
    some topics (`{"Mietrecht*": de}`, the first pattern that fits, `*` for anything; in `sluice gate` the topic is the record's field).
    Reasons: `wrong_language`, `mixed_language`.

    >>> from gen.types import Message
    >>> PLUGIN("en", on="reply").check(Sample("1", (Message("assistant", "Das ist leider ein deutscher Satz."),))).reason
    'wrong_language'
    """

    language: str | tuple[str, ...] = "en"
    on: Literal["prompt", "reply", "both"] = "both"
    by_topic: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for codes in map(_codes, (self.language, *self.by_topic.values())):
            if not codes:
                raise ValueError("language must be one ISO 639-1 code or several, such as en or de, got none")
            for code in sorted(codes - CODES):
                raise ValueError(f"unknown language '{code[:40]}': {_right(code.lower())}")

    @property
    def reads_fields(self) -> bool:
        """Whether a record's own labels are looked at: its topic."""
        return bool(self.by_topic)

    def check_sources(self, sources: Sources) -> None:
        """Raises RecipeError where a topic is named that none of the recipe's topics fits."""
        names = [topic.casefold() for topic in sources.topics]
        for pattern in self.by_topic if names else ():
            if not any(fnmatchcase(name, pattern.casefold()) for name in names):
                right = suggest(pattern, get_close_matches(pattern, sources.topics, n=12, cutoff=0.0))
                raise RecipeError(f"no topic fits {pattern!r}: {right}", key="by_topic")

    def check(self, sample: Sample) -> Verdict:
        wanted = self._wanted(sample.provenance.topic)
        prompts, replies = contents(sample, "user"), contents(sample, "assistant")
        sides = (("prompt", prompts if self.on != "reply" else ()), ("reply", replies if self.on != "prompt" else ()))
        for side, texts in sides:
            for text in texts:
                found = _objection(text, wanted)
                if found is None or (found.unsure_letters < _OUTWEIGHED[side] and _any_surely(prompts + replies, wanted)):
                    continue
                if side == "prompt" or not _asked_for(found.language, " ".join(prompts).lower()):
                    return rejected("language", found.reason, f"{side} is {found.language}, wanted {', '.join(sorted(wanted))}")
        return kept("language")

    def _wanted(self, topic: str) -> frozenset[str]:
        fitting = (codes for pattern, codes in self.by_topic.items() if fnmatchcase(topic.casefold(), pattern.casefold()))
        return _codes(next(fitting, self.language))


def _codes(language: str | tuple[str, ...]) -> frozenset[str]:
    return _settled((language,) if isinstance(language, str) else tuple(language))


@lru_cache(maxsize=64)
def _settled(codes: tuple[str, ...]) -> frozenset[str]:
    return frozenset("nb" if code in ("no", "nn") else code for code in codes)


class _Objection(NamedTuple):
    """The reason code, the language found, and how many letters it was found in where the models were unsure."""

    reason: str
    language: str
    unsure_letters: float = math.inf


def _objection(text: str, wanted: frozenset[str]) -> _Objection | None:
    """What speaks against one turn; None when it may stay."""
    if code_share(text) > _CODE:
        return None
    code, confidence = detect(text)
    if code == UNDETERMINED or (code in wanted and not (code == "en" and confidence < _HABIT)):
        return None
    if code == MIXED:
        found = sure_languages(text)
        return None if found <= wanted else _Objection("mixed_language", " and ".join(sorted(found)))
    if code in wanted:
        return _if_hardly_english(text, wanted)
    if confidence < _NEIGHBOUR and any(near(frozenset((code, other))) for other in wanted):
        return None
    if _is_name(text):
        return None
    if confidence >= SURE:
        return _Objection("wrong_language", code)
    if _too_little(text, wanted):
        return None
    other, letters = second_opinion(text), _letters(text)
    if other in wanted or (letters < _FEW_LETTERS and other != code):
        return None
    return _Objection("wrong_language", code, math.inf if other == code else letters)


def _if_hardly_english(text: str, wanted: frozenset[str]) -> _Objection | None:
    """`en` is the model's habit for what it does not know: with no English word in the text, langdetect decides."""
    letters = _letters(text)
    if english_words(text)[1] or len(words(text)) < _WORDS or letters < _FEW_LETTERS:
        return None
    other = second_opinion(text)
    return None if other in wanted or other == UNDETERMINED else _Objection("wrong_language", other, letters)


def _right(wrong: str) -> str:
    """What to write instead: the code of a language's name, else the usual codes."""
    named = [code for code, name in _NAMES.items() if wrong == name]
    if named:
        return f"write {named[0]}"
    return f"{suggest(wrong, sorted(_NAMES))} or any of {len(CODES) - len(_NAMES)} rarer ISO 639 codes"


def _letters(text: str) -> float:
    """How many letters the text has, without end where one is not English: such a letter speaks for another language by itself."""
    return sum(map(str.isalpha, text)) if text.isascii() else math.inf


def _any_surely(texts: tuple[str, ...], wanted: frozenset[str]) -> bool:
    """Whether some turn is surely in a wanted language; the doubtful ones never are."""
    return any(code in wanted and confidence >= SURE for code, confidence in map(detect, texts))


def _too_little(text: str, wanted: frozenset[str]) -> bool:
    """Whether names and code may have misled the model: one word only, or several words that only English has."""
    return len(words(text)) < _WORDS or ("en" in wanted and english_words(text)[0] > 1)


def _is_name(text: str) -> bool:
    """Whether the text may be a name, which has no language: up to three capitalised words in Latin letters."""
    found = text.strip(" .\n").split()
    return len(found) <= _NAME_WORDS and text.isascii() and all(word.isalpha() and word[0].isupper() for word in found)


def _asked_for(found: str, asked: str) -> bool:
    """Whether the prompt (lower-cased) names every foreign language that was found in the reply."""
    codes = [code for code in found.split(" and ") if code != "en"]
    return bool(codes) and all(_NAMES.get(code, "?") in asked for code in codes)


PLUGIN = Language
