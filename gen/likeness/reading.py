"""What a task consists of: a text read once into content words, figures, negations and names, whatever its wording.

Function words, courtesy, requests such as "find" or "show me" and remarks on style are dropped; inflection and everyday synonyms folded.
The word lists are English; words of other languages stay as they are. `gen.likeness.same_task` compares two readings.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress
from operator import eq
from typing import NamedTuple

from gen.folding import fold

MAX_CHARS = 50_000  # what is read of a text; what lies beyond enters as one digest that has to agree
_SENTENCE_CHARS = 400  # a longer sentence is rare and not worth remembering

_FUNCTION = """a an the this that these those it its of in on at by for from to with about into as and or but if then than so such is are
 was were be been being am do does did done have has had having will would shall should can could may might must i me my you your yours we
 us our he him his she her they them their there here what which who whom whose how when where why some any also just like s d ll m re ve
 one use using used via given provided following below above each"""
_COURTESY = """please kindly hi hello hey dear thank thanks advance cheers greetings sorry appreciate appreciated grateful help request
 question favor favour need want like could would assist assistance task try know let lot much very regards"""
_STYLE = """respond response answer answers reply replies write keep make ensure clear clearly concise concisely brief briefly short
 detailed detail details thorough thoroughly accurate accurately helpful simple simply way manner style format fashion tone length
 possible explain step steps think carefully precise precisely complete sentences sentence plain language english easy understand point
 comprehensive well structured polite be"""
_REQUEST = """find show tell give get fetch search retrieve provide display locate lookup look calculate compute determine evaluate list
 check return information info details detail content"""
_NOW = "now right today current currently latest recent recently present presently moment"
_SYNONYMS = """create make build develop design implement generate produce write compose construct draft prepare craft
 describe portray depict explain clarify illustrate outline discuss elucidate
 imagine picture pretend suppose envision assume
 buy purchase acquire
 start begin commence
 help assist aid
 end finish conclude
 big large huge
 small little tiny
 quick fast rapid
 child kid
 movie film
 photo photograph
 program programme
 color colour
 center centre
 organise organize
 change modify alter
 remove delete eliminate
 choose select pick
 happen occur
 total overall
 error bug
 wrong incorrect
 correct right
 method approach technique
 advantage benefit
 disadvantage drawback
 summary synopsis overview
 function func
 require need
 allow permit
 obtain receive
 gift present
 job occupation
 automobile car"""
NOT = "not"
_NEGATING = "not no never without cannot none neither nor nothing nobody dont doesnt didnt isnt arent wasnt cant wont"
_NEGATIONS = frozenset(_NEGATING.split())
_TWO_TO_TWELVE = "two three four five six seven eight nine ten eleven twelve"
_SPELLED = {word: str(value) for value, word in enumerate(_TWO_TO_TWELVE.split(), 2)}

_HEADING = re.compile(
    r"^[#>*\s]{0,12}(?:task|instruction|question|prompt|problem|request|query|q)s?[*\s]{0,4}[:.]?[*\s]{0,4}$|^[*\s]{0,4}q:", re.I | re.M
)
# Requests of two words: "look up X", and "get a summary of X", which is "tell me about X" ("write a summary of X" is not).
_LOOKED_UP = re.compile(
    r"\b(look) up\b|\b((?:display|fetch|find|get|give|provide|retrieve|show|tell)(?: me| us)?(?: an?| the)?)"
    r"(?: brief| short| quick)? (?:overview|summary)(?= (?:about|of|on|information|info)\b)",
    re.IGNORECASE,
)
_LOOKED_UP_MARKS = (" up", " summary ", " overview ")
_SENTENCE = re.compile(r"[.!?]([\"')*\]]{0,3}\s)")
_MAY_COUNT = re.compile(r"[\d)\]x-z][ ]?[-+*/^<>=]|-\d")  # an operator or a sign
_ASCII_TOKEN = re.compile(r"\d{1,30}(?:,\d{3}){0,10}(?:\.\d{1,20})?(?![A-Za-z0-9])|[A-Za-z0-9]{1,64}(?:'[A-Za-z]{1,4})?(?:\+\+|\#)?")
_TOKEN = re.compile(
    r"(?P<sign>(?<![\w)\]])-(?=\d))?"
    r"(?:\d{1,30}(?:,\d{3}){0,10}(?:\.\d{1,20})?(?![^\W_])"
    r"|[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\W_]{1,64}(?:'[^\W\d_]{1,4})?(?:\+\+|\#)?)"
    r"|(?<=[\d)\]x-z])[ ]?(?P<operator>[-+*/^<>=]{1,3})[ ]?(?=[\da-z(])"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a task consists of. `words` are sorted, with repetitions, folded in case only and never empty; `names` those of them that
    are written with a capital inside a sentence; `figures` the numbers and operators of each sentence in their order; `distinct` each
    word once, `again` those that come again and how often; `meanings` the content words in canonical form; `content` the same, but
    never empty: the set that MinHash signatures are made of."""

    words: tuple[str, ...]
    names: frozenset[str]
    figures: tuple[tuple[str, ...], ...]
    distinct: frozenset[str] = field(init=False, repr=False, compare=False)
    again: frozenset[tuple[str, int]] = field(init=False, repr=False, compare=False)
    meanings: frozenset[str] = field(init=False, repr=False, compare=False)
    content: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        distinct = frozenset(self.words)
        object.__setattr__(self, "distinct", distinct)
        again = compress(self.words, map(eq, self.words, self.words[1:])) if len(distinct) < len(self.words) else ()
        object.__setattr__(self, "again", frozenset(Counter(again).items()) if again else frozenset())
        meanings = frozenset(filter(None, map(canonical, distinct)))
        object.__setattr__(self, "meanings", meanings)
        object.__setattr__(self, "content", meanings or distinct)

    @property
    def facts(self) -> int:
        """64 bits over the figures regardless of order: readings whose facts differ are never the same task."""
        if not self.figures:
            return _NO_FACTS
        return _digest(" ".join(sorted(figure for sentence in self.figures for figure in sentence)))

    def pack(self) -> bytes:
        """The reading in a few hundred bytes, for an index that remembers a million of them."""
        figures = ";".join(" ".join(sentence) for sentence in self.figures)
        return "\n".join((" ".join(self.words), " ".join(sorted(self.names)), figures)).encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> Reading:
    """The reading that `Reading.pack` packed."""
    words, names, figures = packed.decode("utf-8", "surrogatepass").split("\n")
    sentences = tuple(tuple(sentence.split(" ")) for sentence in figures.split(";") if sentence)
    return Reading(tuple(words.split(" ")), frozenset(names.split(" ") if names else ()), sentences)


def read(text: str) -> Reading:
    """Read what a text asks for. Any text has a reading, an empty one too."""
    plain = _plain(text[:MAX_CHARS])
    sentences = [_remembered(sentence) if len(sentence) <= _SENTENCE_CHARS else _said(sentence) for sentence in _sentences(plain)]
    told = [one for one in sentences if not one.idle] or sentences
    words = [word for one in told for word in one.words]
    names = {word for one in told if one.names for word in one.names if canonical(word)}
    figures = tuple([one.figures for one in told if one.figures])
    if len(text) > MAX_CHARS:
        figures += ((f"{_digest(text[MAX_CHARS:]):x}",),)
    if not words:
        words = [f"{_digest(''.join(plain.split())):x}"]
    return Reading(tuple(sorted(words)), frozenset(names) if 2 * len(names) <= len(set(words)) else frozenset(), figures)


def _plain(text: str) -> str:
    """Compatibility forms folded; invisible characters, headings such as "### Task", typographic quotes and what two words ask gone."""
    if not text.isascii():
        text = fold(text)[: 2 * MAX_CHARS]
        text = re.sub("[‐‑‒–—−]", "-", text.replace("’", "'").replace("‘", "'"))
    if any(map(text.__contains__, _LOOKED_UP_MARKS)):
        text = _LOOKED_UP.sub(r"\1\2", text)
    return _HEADING.sub(" ", text)


def _sentences(plain: str) -> list[str]:
    """The text cut after each end mark that white space follows, quotation marks and brackets between them left out."""
    cuts = [match.span(1) for match in _SENTENCE.finditer(plain)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(plain)]
    return [plain[start:end] for start, end in zip(starts, ends, strict=True)]


class _Said(NamedTuple):
    """In reading order: words, those of them that are written with a capital, figures and operators; and whether the first word has one."""

    words: tuple[str, ...]
    names: tuple[str, ...]
    figures: tuple[str, ...]
    capital_first: bool

    @property
    def idle(self) -> bool:
        """Whether nothing is asked: courtesy and remarks on style."""
        return _IDLE.issuperset(self.words)


def _said(sentence: str) -> _Said:
    """What a sentence consists of; `names` leaves out its first word. Where no operator or sign can stand each word is read by itself."""
    if not sentence.isascii() or _MAY_COUNT.search(sentence):
        whole = _tokenised(sentence)
        return whole._replace(names=whole.names[whole.capital_first :])
    tokens = _ASCII_TOKEN.findall(sentence)
    words = " ".join(tokens).lower().split()
    figures: list[str] = []
    for place, word in enumerate(words):
        if not word.isalpha() or word in _SPELLED:
            words[place], is_figure = _word(word)
            if is_figure:
                figures.append(words[place])
    names = tuple([word for token, word in zip(tokens[1:], words[1:], strict=True) if "A" <= token < "["])
    return _Said(tuple(words), names, tuple(figures), capital_first=False)


_remembered = lru_cache(maxsize=4_096)(_said)  # texts of one template share sentences


def _tokenised(text: str) -> _Said:
    words: list[str] = []
    names: list[str] = []
    figures: list[str] = []
    capital_first = False
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "operator":
            figures.append(match["operator"])
            continue
        word, figure = _word(match[0])
        if match[0][0].isupper():
            capital_first = capital_first or not words
            names.append(word)
        words.append(word)
        if figure:
            figures.append(word)
    return _Said(tuple(words), tuple(names), tuple(figures), capital_first)


def _word(token: str) -> tuple[str, bool]:
    """The token as a word, case folded, and whether it is a figure: in digits, without commas, or spelled."""
    word = token.casefold()
    if not word.isalpha() and any(map(str.isdigit, word)):
        return word.replace(",", ""), True
    spelled = _SPELLED.get(word)
    return spelled or word, spelled is not None


@lru_cache(maxsize=65_536)
def canonical(word: str) -> str:
    """The form under which words of one meaning meet; empty for a word that carries none."""
    if word in _NEGATIONS or word.endswith("n't"):
        return NOT
    word = word.partition("'")[0]
    if word in _DROPPED:
        return ""
    stem = _stem(word)
    return "" if stem in _DROPPED_STEMS else _GROUPS.get(stem, stem)


def _stem(word: str) -> str:
    """English inflection off: plural, -ing, -ed, a final e, a doubled last letter. Crude, but the same for both texts."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True)


_NO_FACTS = _digest("")
_IDLE = frozenset(f"{_FUNCTION} {_COURTESY} {_STYLE}".split())
_DROPPED = frozenset(f"{_FUNCTION} {_REQUEST} {_NOW} please kindly hi hello hey thank thanks".split())
_DROPPED_STEMS = frozenset(map(_stem, f"{_REQUEST} {_NOW}".split()))
_GROUPS = {_stem(word): _stem(group.split()[0]) for group in _SYNONYMS.splitlines() for word in group.split()}
