"""Tell whether two texts ask for the same task, whatever their wording: the verification behind the near-duplicate gate.

A set overlap alone cannot tell "the square root of 64" from "the square root of 81", nor see that "please compute …" is "calculate …".
So a text is read once into what its task consists of: its content words in a canonical form (function words, courtesy, requests such as
"find" or "show me" and remarks on style dropped; inflection and everyday synonyms folded), its figures, its negations, its names. Two
readings are the same task when their figures and negations agree, nothing was replaced by something else, no name was added, and enough
of the words are shared. Slips of the pen (one edit, two letters swapped) count as the same word.

The word lists are English; in other languages the rules on figures, replacements, names and slips still hold, on unfolded words.
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

from rapidfuzz.distance import OSA

from gen.folding import fold

MAX_CHARS = 50_000  # what is read of a text; what lies beyond enters as one digest that has to agree
WORDS_PER_REPLACEMENT = 100  # one replaced word is forgiven per so many shared ones: long answers, never a usual instruction
WORDS_PER_ADDITION = 8  # one added word is forgiven per so many shared ones: "sort a list" is not "sort a list recursively"
SHORTEST_SLIP = 4  # letters: below it one edit makes another word (cat, car)
LONG_WORD = 6  # letters: from here on two swaps of neighbouring letters still are the same word
WORDS_PER_SLIP = 5  # one slip in so many words, and two, are looked for, at most MAX_SLIPS; more are another text, not slips
MAX_SLIPS = 64
_PIECE_CHARS, _SENTENCE_CHARS = 32, 400  # longer pieces between white space, and sentences, are rare and not worth remembering

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
_NOT = "not"
_NEGATING = "not no never without cannot none neither nor nothing nobody dont doesnt didnt isnt arent wasnt cant wont"
_NEGATIONS = frozenset(_NEGATING.split())
_TWO_TO_TWELVE = "two three four five six seven eight nine ten eleven twelve"
_SPELLED = {word: str(value) for value, word in enumerate(_TWO_TO_TWELVE.split(), 2)}

_HEADING = re.compile(
    r"^[#>*\s]{0,12}(?:task|instruction|question|prompt|problem|request|query|q)s?[*\s]{0,4}[:.]?[*\s]{0,4}$|^[*\s]{0,4}q:", re.I | re.M
)
_SENTENCE = re.compile(r"[.!?]([\"')*\]]{0,3}\s)")
_MAY_COUNT = re.compile(r"^[-+*/^<>=]|[\d)\]x-z][-+*/^<>=]|-\d")  # what has it between two spaces may be a sign, or an operator with both
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
        object.__setattr__(self, "again", frozenset(Counter(compress(self.words, map(eq, self.words, self.words[1:]))).items()))
        meanings = frozenset(map(_canonical, distinct)) - _WITHOUT
        object.__setattr__(self, "meanings", meanings)
        object.__setattr__(self, "content", meanings or distinct)

    @property
    def facts(self) -> int:
        """64 bits over the figures regardless of order: readings whose facts differ are never the same task."""
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
    names = {word for one in told if one.names for word in one.names if _canonical(word)}
    figures = tuple([one.figures for one in told if one.figures])
    if len(text) > MAX_CHARS:
        figures += ((f"{_digest(text[MAX_CHARS:]):x}",),)
    if not words:
        words = [f"{_digest(''.join(plain.split())):x}"]
    return Reading(tuple(sorted(words)), frozenset(names) if 2 * len(names) <= len(set(words)) else frozenset(), figures)


def similarity(one: Reading, other: Reading) -> float:
    """How much of the content words two readings share, 0 … 1; 0.0 when anything says that they are two tasks."""
    if one == other:
        return 1.0
    if not _same_figures(one.figures, other.figures):
        return 0.0
    missing, added = Counter(one.words), Counter(other.words)
    common = missing & added
    missing, added = missing - common, added - common
    common += _pair_slips(missing, added, one.names | other.names, most=_most_slips(one))
    names = {_canonical(word) for word in (one.names & missing.keys()) | (other.names & added.keys())}
    known = _fold(common)
    missing, added = _fold(missing), _fold(added)
    shared = known.total() + (missing & added).total()
    missing, added = missing - added, added - missing
    replaced = min(missing.total(), added.total())
    if replaced * WORDS_PER_REPLACEMENT > shared:
        return 0.0
    extra = [word for word in (missing + added).elements() if replaced or word == _NOT or word not in known]
    if len(extra) * WORDS_PER_ADDITION > shared or _NOT in extra or not names.isdisjoint(extra):
        return 0.0
    return shared / (shared + len(extra)) if shared else 0.0


def may_be_same(one: Reading, other: Reading) -> bool:
    """Whether `similarity` may be more than 0: False is certain, True is not. Several times cheaper, as it only looks at the words that
    one of the two lacks, and whether slips of the pen could explain them.

    >>> may_be_same(read("Sort a list of names."), read("Sort a list of dates."))
    False
    """
    lost, gained = one.meanings - other.content, other.meanings - one.content
    if not lost and not gained:
        return True
    missing, added = one.distinct - other.distinct, other.distinct - one.distinct
    shared = len(one.words)
    few = min(len(missing), len(added)) <= _most_slips(one)
    replaced = (
        max(0, len(lost) - _explained(missing, added.union([word for word, _ in other.again - one.again]))) if lost and few else len(lost)
    )
    if replaced * WORDS_PER_ADDITION > shared:
        return False
    extra = (
        max(0, len(gained) - _explained(added, missing.union([word for word, _ in one.again - other.again])))
        if gained and few
        else len(gained)
    )
    return min(replaced, extra) * WORDS_PER_REPLACEMENT <= shared and (replaced + extra) * WORDS_PER_ADDITION <= shared


def same_task(one: str, other: str, threshold: float = 0.7) -> bool:
    """Whether two texts ask for the same task.

    >>> same_task("Please find the square root of 64.", "calculate the square root of 64")
    True
    >>> same_task("Find the square root of 64.", "Find the square root of 81.")
    False
    """
    return similarity(read(one), read(other)) >= threshold


def _plain(text: str) -> str:
    """Compatibility forms folded, invisible characters, headings such as "### Task" and typographic quotes gone."""
    if not text.isascii():
        text = fold(text)[: 2 * MAX_CHARS]
        text = re.sub("[‐‑‒–—−]", "-", text.replace("’", "'").replace("‘", "'"))
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
    """What a sentence consists of; `names` leaves out its first word. Only operators and signs look beyond white space, so without them
    each piece is read by itself, and remembered."""
    words: list[str] = []
    names: list[str] = []
    figures: list[str] = []
    for text in sentence.split():
        piece = _piece(text) if len(text) <= _PIECE_CHARS else _read_piece(text)
        if piece is None:
            whole = _tokenised(sentence)
            return whole._replace(names=whole.names[whole.capital_first :])
        found, capitalised, counted, capital_first = piece
        if capitalised:
            names += capitalised[1:] if capital_first and not words else capitalised
        words += found
        if counted:
            figures += counted
    return _Said(tuple(words), tuple(names), tuple(figures), capital_first=False)


_remembered = lru_cache(maxsize=4_096)(_said)  # texts of one template share sentences


def _read_piece(text: str) -> _Said | None:
    """What a piece without white space consists of; None where that depends on its neighbours."""
    return None if _MAY_COUNT.search(text) else _tokenised(text)


_piece = lru_cache(maxsize=32_768)(_read_piece)


def _tokenised(text: str) -> _Said:
    words: list[str] = []
    names: list[str] = []
    figures: list[str] = []
    capital_first = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match.lastgroup == "operator":
            figures.append(match["operator"])
            continue
        word = token.casefold()
        figure = word.replace(",", "") if not word.isalpha() and any(map(str.isdigit, word)) else _SPELLED.get(word, "")
        if token[0].isupper():
            capital_first = capital_first or not words
            names.append(figure or word)
        words.append(figure or word)
        if figure:
            figures.append(figure)
    return _Said(tuple(words), tuple(names), tuple(figures), capital_first)


@lru_cache(maxsize=65_536)
def _canonical(word: str) -> str:
    """The form under which words of one meaning meet; empty for a word that carries none."""
    if word in _NEGATIONS or word.endswith("n't"):
        return _NOT
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


def _same_figures(one: tuple[tuple[str, ...], ...], other: tuple[tuple[str, ...], ...]) -> bool:
    """The same figures in the same order, or the same sentences in another order: "3 apples, 5 pears" is not "5 apples, 3 pears"."""
    if one == other or sorted(one) == sorted(other):
        return True
    return [figure for sentence in one for figure in sentence] == [figure for sentence in other for figure in sentence]


def _fold(words: Counter[str]) -> Counter[str]:
    folded: Counter[str] = Counter()
    for word, count in words.items():
        if canonical := _canonical(word):
            folded[canonical] += count
    return folded


def _pair_slips(missing: Counter[str], added: Counter[str], names: frozenset[str], *, most: int) -> Counter[str]:
    """Take out of both the words that differ by a slip of the pen, and return them as the first text has them.

    With more than `most` different words left on both sides nothing is paired.
    """
    paired: Counter[str] = Counter()
    if min(len(missing), len(added)) > most or max(len(missing), len(added)) > 2 * MAX_SLIPS:
        return paired
    near: dict[str, list[str]] = {}
    for word in added:
        near.setdefault(word[0], []).append(word)
        near.setdefault(_letters(word), []).append(word)
    for word in list(missing):
        for other in (*near.get(_letters(word), ()), *near.get(word[0], ())):
            if (count := min(missing[word], added[other])) and _is_slip(word, other, names):
                paired[word] += count
                missing[word] -= count
                added[other] -= count
    return paired


def _most_slips(one: Reading) -> int:
    return min(MAX_SLIPS, 2 + len(one.words) // WORDS_PER_SLIP)


def _explained(words: frozenset[str], others: frozenset[str]) -> int:
    """How many of the words might be slips of one of the others: as many as `_is_slip` finds, or more."""
    if not others:
        return 0
    marks = frozenset().union(*[_marks(other)[0] for other in others])
    return len(words) - sum([marks.isdisjoint(_marks(word)[1]) for word in words])


@lru_cache(maxsize=16_384)
def _marks(word: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a word and its slips have in common, the word's own marks and those to look for: the same letters, or the same first letter
    and nearly the same length."""
    own, near = {_letters(word)}, {_letters(word)}
    if len(word) >= SHORTEST_SLIP:
        own.add(f"{word[0]} {len(word)}")
        near.update(f"{word[0]} {len(word) + longer}" for longer in (-1, 0, 1))
    return frozenset(own), frozenset(near)


def _letters(word: str) -> str:
    return "".join(sorted(word)) if len(word) > 1 else ""


def _is_slip(one: str, other: str, names: frozenset[str]) -> bool:
    if abs(len(one) - len(other)) > 1:
        return False
    if len(one) > 1 and _letters(one) == _letters(other):
        swaps = 2 if len(one) >= LONG_WORD and one not in names and other not in names else 1
        return OSA.distance(one, other, score_cutoff=swaps) <= swaps
    if min(len(one), len(other)) < SHORTEST_SLIP or one[0] != other[0] or one in names or other in names:
        return False
    return not any(map(str.isdigit, one + other)) and OSA.distance(one, other, score_cutoff=1) <= 1


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True)


_WITHOUT = frozenset([""])
_IDLE = frozenset(f"{_FUNCTION} {_COURTESY} {_STYLE}".split())
_DROPPED = frozenset(f"{_FUNCTION} {_REQUEST} {_NOW} please kindly hi hello hey thank thanks".split())
_DROPPED_STEMS = frozenset(map(_stem, f"{_REQUEST} {_NOW}".split()))
_GROUPS = {_stem(word): _stem(group.split()[0]) for group in _SYNONYMS.splitlines() for word in group.split()}
