"""Tell whether two texts ask for the same task, whatever their wording: the verification behind the near-duplicate gate.

A set overlap alone cannot tell "the square root of 64" from "the square root of 81", nor see that "please compute …" is "calculate …".
So texts are read into what their tasks consist of (`gen.likeness.reading`). Two readings are the same task when their figures and
negations agree, nothing was replaced by something else, no name was added, and enough of the words are shared. Slips of the pen (one
edit, two letters swapped) count as the same word. In languages other than English this holds on unfolded words.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from rapidfuzz.distance import OSA

from gen.likeness.reading import NOT, Reading, canonical, read

WORDS_PER_REPLACEMENT = 100  # one replaced word is forgiven per so many shared ones: long answers, never a usual instruction
WORDS_PER_ADDITION = 8  # one added word is forgiven per so many shared ones: "sort a list" is not "sort a list recursively"
SHORTEST_SLIP = 4  # letters: below it one edit makes another word (cat, car)
LONG_WORD = 6  # letters: from here on two swaps of neighbouring letters still are the same word
WORDS_PER_SLIP = 5  # one slip in so many words, and two, are looked for, at most MAX_SLIPS; more are another text, not slips
MAX_SLIPS = 64


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
    names = {canonical(word) for word in (one.names & missing.keys()) | (other.names & added.keys())}
    known = _fold(common)
    missing, added = _fold(missing), _fold(added)
    shared = known.total() + (missing & added).total()
    missing, added = missing - added, added - missing
    replaced = min(missing.total(), added.total())
    if replaced * WORDS_PER_REPLACEMENT > shared:
        return 0.0
    extra = [word for word in (missing + added).elements() if replaced or word == NOT or word not in known]
    if len(extra) * WORDS_PER_ADDITION > shared or NOT in extra or not names.isdisjoint(extra):
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
    shared = len(one.words)
    replaced, extra = len(lost), len(gained)
    missing, added = one.distinct - other.distinct, other.distinct - one.distinct
    if min(len(missing), len(added)) <= _most_slips(one):
        if replaced >= extra:  # what is most is the likeliest to be too much
            replaced = _unexplained(replaced, missing, added, other.again - one.again)
            if replaced * WORDS_PER_ADDITION > shared:
                return False
            extra = _unexplained(extra, added, missing, one.again - other.again)
        else:
            extra = _unexplained(extra, added, missing, one.again - other.again)
            if extra * WORDS_PER_ADDITION > shared:
                return False
            replaced = _unexplained(replaced, missing, added, other.again - one.again)
    return min(replaced, extra) * WORDS_PER_REPLACEMENT <= shared and (replaced + extra) * WORDS_PER_ADDITION <= shared


def same_task(one: str, other: str, threshold: float = 0.7) -> bool:
    """Whether two texts ask for the same task.

    >>> same_task("Please find the square root of 64.", "calculate the square root of 64")
    True
    >>> same_task("Find the square root of 64.", "Find the square root of 81.")
    False
    """
    return similarity(read(one), read(other)) >= threshold


def _same_figures(one: tuple[tuple[str, ...], ...], other: tuple[tuple[str, ...], ...]) -> bool:
    """The same figures in the same order, or the same sentences in another order: "3 apples, 5 pears" is not "5 apples, 3 pears"."""
    if one == other or sorted(one) == sorted(other):
        return True
    return [figure for sentence in one for figure in sentence] == [figure for sentence in other for figure in sentence]


def _fold(words: Counter[str]) -> Counter[str]:
    folded: Counter[str] = Counter()
    for word, count in words.items():
        if meaning := canonical(word):
            folded[meaning] += count
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


def _unexplained(count: int, words: frozenset[str], others: frozenset[str], again: frozenset[tuple[str, int]]) -> int:
    """How many of `count` words at least are no slips of the others, nor of what the other text says more often."""
    return max(0, count - _explained(words, others.union([word for word, _ in again]))) if count else 0


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
