"""The safety gate's word lists, read from data/safety_lexicon.json, and how a sentence is held against them.

Words are compared by a rough stem ("stealing", "steals" and "steal" are one). A *term* ("pipe bomb", "phishing") is harmful by itself;
a *pair* is an act and a target within six words after it ("steal" … "identity"): it tells `kill my neighbour` from `kill a process`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from gen.resources import resource

Stems = tuple[str, ...]

HITS = "hits"
SCREENED = ("slurs", "first_person", "addressed", "groups", "attacks", "insults", "slights", "denials", "facts", "owners")
TARGET_WITHIN = 6  # words between an act and its target: "steal" the personal and financial "data"

_WORD = re.compile(r"[a-z0-9]+|['’]s\b")
_LETTERS_AND_DIGITS = bytes(code if chr(code).isascii() and chr(code).isalnum() else 32 for code in range(256))
_POSSESSIVE = "'s"
_BESIDE = frozenset(
    "with for in at to from by like about as during against when than".split()
)  # before a noun, they make it something else than an object
_MANY = frozenset("lot group number bunch thousand hundred million dozen crowd kind type pair part couple all some most".split())
_MAXIMUM_WORD_CHARS = 24  # longer runs of letters are no words


class Hit(NamedTuple):
    """A match in a sentence: category, the words `start` to `end`, and whether it is an act with its target rather than a term."""

    category: str
    start: int
    end: int
    aimed: bool


class Phrases:
    """A set of phrases looked up by their first stem: `at(stems, index)` is the length of the longest that starts there, or 0."""

    __slots__ = ("_by_first",)

    def __init__(self, phrases: Iterable[str]) -> None:
        by_first: dict[str, set[Stems]] = {}
        for phrase in phrases:
            words = stems(phrase)
            by_first.setdefault(words[0], set()).add(words)
        self._by_first = {first: tuple(sorted(found, key=len, reverse=True)) for first, found in by_first.items()}

    def __iter__(self) -> Iterator[Stems]:
        return (phrase for found in self._by_first.values() for phrase in found)

    def at(self, words: Stems, index: int) -> int:
        for phrase in self._by_first.get(words[index], ()):
            if words[index : index + len(phrase)] == phrase:
                return len(phrase)
        return 0

    def find(self, words: Stems, start: int = 0, stop: int | None = None) -> tuple[int, int] | None:
        """Start and end of the first phrase that starts within `words[start:stop]`."""
        for index in range(start, len(words) if stop is None else min(stop, len(words))):
            if words[index] in self._by_first and (length := self.at(words, index)):
                return index, index + length
        return None


class Screen:
    """Which parts of the lexicon a text may hold, by the set of its stems alone: "no" is certain and quick, "perhaps" is not.

    A phrase is looked up by its longest stem, which few texts have, and counts when all its stems are in the text, wherever they stand.
    """

    __slots__ = ("_by_longest", "_keys")

    def __init__(self, phrases: Iterable[tuple[str, Stems, Screen | None]]) -> None:
        """Of each phrase its part's name, its stems, and what else has to be there."""
        by_longest: dict[str, list[tuple[str, frozenset[str], Screen | None]]] = {}
        for name, words, beside in phrases:
            by_longest.setdefault(max(words, key=len), []).append((name, frozenset(words), beside))
        self._by_longest = {key: tuple(found) for key, found in by_longest.items()}
        self._keys = frozenset(by_longest)

    def parts(self, words: frozenset[str]) -> set[str]:
        """The names of the parts of which the text may hold a phrase."""
        found: set[str] = set()
        for key in self._keys & words:
            for name, needed, beside in self._by_longest[key]:
                if name not in found and needed <= words and (beside is None or beside.any(words)):
                    found.add(name)
        return found

    def any(self, words: frozenset[str]) -> bool:
        """Whether the text may hold any phrase at all."""
        for key in self._keys & words:
            for _, needed, beside in self._by_longest[key]:
                if needed <= words and (beside is None or beside.any(words)):
                    return True
        return False


@dataclass(frozen=True)
class Pair:
    """Acts of one category and what they must aim at to be harmful."""

    category: str
    targets: Phrases


@dataclass(frozen=True)
class Lexicon:
    """Everything of data/safety_lexicon.json, ready for lookup. `screen` knows the `lists` in `SCREENED` by their names, terms
    and pairs as `HITS`; `screen_of_hits` these alone."""

    terms: Mapping[str, tuple[tuple[Stems, str], ...]]
    acts: Mapping[str, tuple[tuple[Stems, Pair], ...]]
    triggers: frozenset[str]
    bystanders: frozenset[str]
    lists: Mapping[str, Phrases]
    texts: Mapping[str, tuple[str, ...]]
    screen: Screen
    screen_of_hits: Screen

    def hits(self, words: Stems, participles: frozenset[int] = frozenset()) -> Iterator[Hit]:
        """Harmful terms and pairs of a sentence, in the order of their first words; a participle ("exposed persons") is no act."""
        for index, word in enumerate(words):
            if word not in self.triggers:
                continue
            for phrase, category in self.terms.get(word, ()):
                end = index + len(phrase)
                if words[index:end] == phrase and self.bystanders.isdisjoint(words[end : end + 2]):
                    yield Hit(category, index, end, aimed=False)
                    break
            for phrase, pair in () if index in participles else self.acts.get(word, ()):
                end = index + len(phrase)
                aimed = _aimed_at(pair.targets, words, end) if words[index:end] == phrase else None
                if aimed and self.bystanders.isdisjoint((*words[end : aimed[0]], *words[aimed[1] : aimed[1] + 2])):
                    yield Hit(pair.category, index, aimed[1], aimed=True)
                    break


def _aimed_at(targets: Phrases, words: Stems, start: int) -> tuple[int, int] | None:
    """The first target near the act that is aimed at itself: not the owner in "cut someone's hair", nor who is only beside the act's own
    object in "kill time with the kids"."""
    found = targets.find(words, start, start + TARGET_WITHIN)
    while found and words[found[1] : found[1] + 1] == (_POSSESSIVE,) and words[found[1] - 1] != _POSSESSIVE:
        found = targets.find(words, found[1], start + TARGET_WITHIN)
    return None if found is None or _is_beside(words, start + 1, found[0]) else found


def _is_beside(words: Stems, start: int, stop: int) -> bool:
    """Whether something else stands between the act and its target: "shoot a portrait of my wife", but "kill a lot of people"."""
    between = words[start:stop]
    if not _BESIDE.isdisjoint(between):
        return True
    return any(word == "of" and before not in _MANY for before, word in zip(words[start - 1 :], between, strict=False))


def stem_set(lowered: str) -> frozenset[str]:
    """Every stem of a lower-cased text and perhaps some more, several times quicker than `stems`."""
    words = lowered.encode("ascii", "replace").translate(_LETTERS_AND_DIGITS).decode("ascii").split()
    if "'" in lowered or "’" in lowered:
        words.append(_POSSESSIVE)
    return frozenset(map(stem, set(words)))


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A rough stem: plural, -ing, -ed and a final e are cut, a doubled last consonant is made single.

    >>> stem("robbing"), stem("robs"), stem("manipulate"), stem("manipulated"), stem("ties")
    ('rob', 'rob', 'manipulat', 'manipulat', 'tie')
    """
    if word[0] in "'’":
        return _POSSESSIVE
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1].isalpha() and word[-1] not in "aeiouls":
        return word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def stems(text: str) -> Stems:
    """The stems of a text's words; hyphenated words count as two, and the possessive as a word of its own.

    >>> stems("My ex's self-made bombs")
    ('my', 'ex', "'s", 'self', 'mad', 'bomb')
    """
    return tuple(stem(word) for word in _WORD.findall(text.lower()) if len(word) <= _MAXIMUM_WORD_CHARS)


def participles(text: str) -> frozenset[int]:
    """Which of the text's `stems` were words in -ed.

    >>> participles("exposed persons fled")
    frozenset({0})
    """
    words = [word for word in _WORD.findall(text.lower()) if len(word) <= _MAXIMUM_WORD_CHARS]
    return frozenset(index for index, word in enumerate(words) if len(word) > 4 and word.endswith("ed"))


@cache
def lexicon() -> Lexicon:
    """The lexicon that ships with the project, read once."""
    source = json.loads(resource("data", "safety_lexicon.json").read_text(encoding="utf-8"))
    terms: dict[str, list[tuple[Stems, str]]] = {}
    acts: dict[str, list[tuple[Stems, Pair]]] = {}
    for category, entry in source["categories"].items():
        for term in entry["terms"]:
            terms.setdefault(stems(term)[0], []).append((stems(term), category))
        for pair in entry["pairs"]:
            made = Pair(category, Phrases(_expanded(pair["targets"], source["lists"])))
            for act in dict.fromkeys(stems(act) for act in pair["acts"]):
                acts.setdefault(act[0], []).append((act, made))
    lists = {"groups": source["lists"]["groups"], **source["contested_rights"], **source["statements"], **source["private"]}
    lists |= {name: source["exempt"][name] for name in ("protective", "mitigating", "institutions", "professional")}
    frames = ("imperatives", "informing", "method_words", "doing", "agents", "artefacts", "sought_by_method", "evasive")
    lists |= {name: source["frames"][name] for name in frames}
    phrases = {name: Phrases(words) for name, words in lists.items()}
    targets = {id(pair): Screen((HITS, phrase, None) for phrase in pair.targets) for found in acts.values() for _, pair in found}
    hits: list[tuple[str, Stems, Screen | None]] = [(HITS, phrase, None) for found in terms.values() for phrase, _ in found]
    hits += [(HITS, phrase, targets[id(pair)]) for found in acts.values() for phrase, pair in found]
    screened = [(name, phrase, None) for name in SCREENED for phrase in phrases[name]]
    return Lexicon(
        terms={first: tuple(found) for first, found in terms.items()},
        acts={first: tuple(found) for first, found in acts.items()},
        triggers=frozenset(terms) | frozenset(acts),
        bystanders=frozenset(stem(word) for word in source["exempt"]["not_human"]),
        lists=phrases,
        screen=Screen([*screened, *hits]),
        screen_of_hits=Screen(hits),
        texts={
            "openings": tuple(source["frames"]["openings"]),
            "definition": tuple(source["exempt"]["definition"]),
            "past": tuple(source["exempt"]["past"]),
            "fiction": tuple(source["exempt"]["fiction"]),
            "role_play": tuple(source["exempt"]["role_play"]),
        },
    )


def _expanded(names: Sequence[str], lists: Mapping[str, Any]) -> Iterator[str]:
    for name in names:
        if name.startswith("$"):
            yield from lists[name[1:]]
        else:
            yield name
