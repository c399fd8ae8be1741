"""Find near-duplicate texts among many: MinHash signatures over sets of content words, LSH bands, exact Jaccard where it matters.

Each text is a set of content words. The minimum of a random hash over a set is equal for two sets with probability J, their Jaccard
similarity; `bands` groups of `rows` such minima make them meet in some group with probability 1 − (1 − J^rows)^bands (Broder 1997;
Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", ch. 3). With 25 × 5 that is .99 at J = .7 and .04 at J = .3. Words rather than
word 3-grams, because moved sentences, slips of the pen and courtesy break most 3-grams of a short instruction but few of its words.

`Index` answers for one text at a time and grows; `near_duplicates` and `families` take a whole data set at once. All are deterministic.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gen.folding import fold

BANDS, ROWS = 25, 5
MAX_CHARS = 50_000  # characters of one text that make its set: some 8,000 words
_HALF = np.uint64(32)
_LABEL_FACTOR = 0x9E3779B97F4A7C15  # odd: 2^64 over the golden ratio
_SEED = 20_250  # of the random hash functions: another value makes another, equally good index

_PENDING = 256  # newest texts of an index, compared one by one until they are sorted in
_MAX_BUCKET = 256  # texts of one bucket that a text is compared with: a true duplicate shares other, emptier buckets too
_WORDS_AT_ONCE = 4_096  # rows of the hash table in work: 4 MB, within the processor's cache
_TEXTS_AT_ONCE = 2_048  # whose words, signatures and keys are in work: some 5 MB
_PAIR_WORDS_AT_ONCE = 1_000_000  # of pairs whose words are compared together: some 50 MB in work

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]|[^\W_]{1,64}(?:\+\+|#)?")
_FUNCTION_WORDS = frozenset(
    """a an the this that these those it its of in on at by for from to with about into as and or but if then than so is are was were be
    been am do does did have has had will would can could may must should i me my you your we our he him his she her they them their there
    here what which who how when where why please s t""".split()
)

Positions = NDArray[np.int64]
_NONE: Positions = np.empty(0, np.int64)
Sketch = tuple[NDArray[np.uint16], NDArray[np.uint32]]  # of one set: the lower 16 bits of its signature, and its bucket keys


def content_words(text: str) -> frozenset[str]:
    """The set a text is compared by: its words, case and compatibility forms folded, without function words unless it has no others.

    Never empty: a text without any word is the set of itself. Han, kana, Thai and Lao count by character.
    """
    folded = fold(text[:MAX_CHARS])[: 2 * MAX_CHARS]
    words = frozenset(_WORD.findall(folded.casefold()))
    return words - _FUNCTION_WORDS or words or frozenset([" ".join(folded.split())])


@dataclass(frozen=True, slots=True)
class Scheme:
    """`bands` × `rows` random hash functions: how sets become signatures and signatures bucket keys."""

    bands: int = BANDS
    rows: int = ROWS

    def sketch(self, hashes: NDArray[np.uint64], label: int = 0) -> Sketch:
        """The signature (its lower 16 bits) and bucket keys of one set, as `signatures` and `keys` make them of many. The label, 64 bits,
        is mixed in, so equal keys mean the same label too."""
        factors, mixers, offsets = _functions(self.bands, self.rows)
        minima = np.minimum.reduce(np.multiply.outer(hashes, factors))
        minima >>= _HALF
        sums = minima.reshape(self.bands, self.rows) @ mixers
        sums += offsets
        sums += np.uint64(label * _LABEL_FACTOR % 2**64)
        sums >>= _HALF
        return minima.astype(np.uint16), sums.astype(np.uint32)

    def signatures(self, hashes: NDArray[np.uint64], starts: Positions) -> NDArray[np.uint32]:
        """Signatures (sets × bands·rows) of sets given as the word hashes of all of them, end to end, and where each begins."""
        factors, _, _ = _functions(self.bands, self.rows)
        ends = np.append(starts[1:], len(hashes))
        signatures = np.empty((len(starts), self.bands * self.rows), np.uint32)
        first = 0
        while first < len(starts):
            last = max(first + 1, int(np.searchsorted(ends, starts[first] + _WORDS_AT_ONCE, "right")))
            products = hashes[starts[first] : ends[last - 1], None] * factors
            minima = np.minimum.reduceat(products, starts[first:last] - starts[first], axis=0)
            signatures[first:last] = minima >> _HALF
            first = last
        return signatures

    def keys(self, signatures: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Bucket keys (sets × bands); the band is mixed in, so equal keys mean the same band."""
        _, mixers, offsets = _functions(self.bands, self.rows)
        grouped = signatures.reshape(len(signatures), self.bands, self.rows).astype(np.uint64)
        return np.asarray(((grouped * mixers).sum(axis=2) + offsets) >> _HALF, np.uint32)


class Index:
    """Sets of words seen so far, to be asked for the ones like a new set. Positions count from 0 in the order of `add`. Each set may carry
    a label (64 bits, signed), and only sets of the label asked for are compared.

    Memory per set with the default scheme: 260 bytes of signature and 200 of bucket keys (both with room to grow by half). Bucket keys
    are kept in sorted runs that are merged when they grow as long as the run before, so adding costs a constant amount on average. A label
    that no other set has costs some 100 bytes more, and spares the search of whoever has another.
    """

    def __init__(self, scheme: Scheme | None = None) -> None:
        self._scheme = scheme or Scheme()
        self._signatures = np.empty((_PENDING, self._scheme.bands * self._scheme.rows), np.uint16)
        self._labels = np.zeros(_PENDING, np.int64)
        self._runs: list[tuple[NDArray[np.uint32], NDArray[np.uint32]]] = []
        self._pending: list[NDArray[np.uint32]] = []
        self._newest: dict[int, list[int]] = {}  # of each label, the positions that are pending
        self._known: set[int] = set()  # labels
        self._length = 0
        self._last: tuple[frozenset[str], int, Sketch] | None = None  # asked for, then added

    def __len__(self) -> int:
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes held by the index's arrays."""
        runs = sum(keys.nbytes + positions.nbytes for keys, positions in self._runs)
        return self._signatures.nbytes + self._labels.nbytes + runs + sum(keys.nbytes for keys in self._pending)

    def add(self, words: Collection[str], label: int = 0) -> int:
        """Remember a set and return its position."""
        return self.add_sketch(self.sketch(words, label), label)

    def add_sketch(self, sketch: Sketch, label: int = 0) -> int:
        """Remember the set that the sketch with this label was made of, and return its position."""
        signature, keys = sketch
        if self._length == len(self._signatures):
            self._signatures = np.resize(self._signatures, (self._length * 3 // 2, self._signatures.shape[1]))
            self._labels = np.resize(self._labels, self._length * 3 // 2)
        self._signatures[self._length] = signature
        self._labels[self._length] = label
        self._newest.setdefault(label, []).append(self._length)
        self._known.add(label)
        self._length += 1
        self._pending.append(keys)
        if len(self._pending) == _PENDING:
            self._sort_in()
        return self._length - 1

    def alike(self, words: Collection[str], at_least: float, label: int = 0, *, most: int | None = None) -> list[tuple[int, float]]:
        """Positions of the label's sets whose estimated Jaccard similarity is `at_least`, with the estimate, the most alike first; no more
        than `most` of them."""
        return self.alike_sketch(self.sketch(words, label), at_least, label, most=most)

    def alike_sketch(self, sketch: Sketch, at_least: float, label: int = 0, *, most: int | None = None) -> list[tuple[int, float]]:
        """What `alike` says of the set that the sketch with this label was made of."""
        if label not in self._known:
            return []
        signature, keys = sketch
        newest = self._newest.get(label)
        candidates = np.array(newest, np.int64) if newest else _NONE
        if found := [held for run in self._runs for held in _in_buckets(run, keys)]:
            bucketed = np.unique(np.concatenate(found)).astype(np.int64)  # a label may share a key with another by chance
            candidates = np.concatenate([bucketed[self._labels[bucketed] == label], candidates])
        if not len(candidates):
            return []
        matches = _matches(self._signatures[candidates], signature)
        alike = (matches >= _fewest(len(signature), at_least)).nonzero()[0]
        if not len(alike):
            return []
        alike = alike[np.argsort(len(signature) - matches[alike], kind="stable")][:most]
        return list(zip(candidates[alike].tolist(), (matches[alike] / len(signature)).tolist(), strict=True))

    def sketch(self, words: Collection[str], label: int = 0) -> Sketch:
        """A set's signature and bucket keys, which any index of this scheme takes in the set's place."""
        if self._last is None or self._last[0] is not words or self._last[1] != label:
            sketch = self._scheme.sketch(np.fromiter(map(_word_hash, words), np.uint64, len(words)), label)
            if not isinstance(words, frozenset):  # the caller may change it
                return sketch
            self._last = (words, label, sketch)
        return self._last[2]

    def _sort_in(self) -> None:
        owners = np.repeat(np.arange(self._length - len(self._pending), self._length, dtype=np.uint32), self._scheme.bands)
        self._runs.append(_sorted_run(np.concatenate(self._pending), owners))
        self._pending.clear()
        self._newest.clear()
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= len(self._runs[-1][0]):
            (keys, owners), (more_keys, more_owners) = self._runs.pop(-2), self._runs.pop()
            self._runs.append(_sorted_run(np.concatenate([keys, more_keys]), np.concatenate([owners, more_owners])))


def near_duplicates(texts: Iterable[str], threshold: float = 0.7, *, scheme: Scheme | None = None) -> Iterator[tuple[int, int, float]]:
    """Pairs of positions whose content-word sets have a Jaccard similarity of `threshold` or more, with that similarity (exact).

    A text whose set is equal to an earlier one's is paired with the first of them alone (similarity 1.0) and stands back from there.
    About .99 of the pairs at .7 are found and .9999 at .85. Some 150 bytes a text and four more per different word in it: no text is held.
    """
    sets = _Sets.of(texts, scheme or Scheme())
    if not len(sets.starts):
        return
    firsts, copies = sets.distinct()
    for position in np.flatnonzero(firsts[copies] != np.arange(len(copies))).tolist():
        yield int(firsts[copies[position]]), position, 1.0
    sizes = sets.sizes[firsts]
    portion = max(1, _PAIR_WORDS_AT_ONCE // max(2, 2 * int(sizes.mean())))
    for left, right in _portions(_candidates(sets.keys_of(firsts), sizes, threshold), portion):
        similarities = sets.jaccard(firsts[left], firsts[right])
        for hit in np.flatnonzero(similarities >= threshold).tolist():
            yield int(firsts[left[hit]]), int(firsts[right[hit]]), float(similarities[hit])


def families(texts: Sequence[str], threshold: float = 0.7) -> list[int]:
    """A family number for each text: texts that a chain of near-duplicates connects share one. Numbers count from 0 as they appear.

    A split that keeps families together leaks no near-duplicate. Texts that share a long preamble are alike in its words: hand in the
    part that differs.

    >>> families(["Name the largest planet of the solar system.", "Sort a list.", "Name the solar system's largest planet!"])
    [0, 1, 0]
    """
    parents = list(range(len(texts)))

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for left, right, _ in near_duplicates(texts, threshold):
        low, high = sorted((root(left), root(right)))
        parents[high] = low
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(position), len(numbers)) for position in range(len(texts))]


@dataclass(slots=True)
class _Sets:
    """Many sets of words end to end, a word as the lower half of its hash (of two sets of a hundred words, one pair in 400,000 has two
    words that look the same): set i begins at `starts[i]`; `sums` tell sets apart, `portions` are the bucket keys."""

    words: NDArray[np.uint32]
    starts: Positions
    sums: NDArray[np.uint64]
    portions: list[NDArray[np.uint32]]

    @classmethod
    def of(cls, texts: Iterable[str], scheme: Scheme) -> _Sets:
        """Read the texts once, some at a time."""
        words, starts, sums, portions = array("I"), array("q"), array("Q"), []
        source = iter(texts)
        while sets := [content_words(text) for text in islice(source, _TEXTS_AT_ONCE)]:
            sizes = np.fromiter(map(len, sets), np.int64, len(sets))
            firsts = np.cumsum(sizes) - sizes
            hashes = np.fromiter((_word_hash(word) for one in sets for word in one), np.uint64, int(sizes.sum()))
            starts.frombytes((firsts + len(words)).tobytes())
            words.frombytes(hashes.astype(np.uint32).tobytes())
            sums.frombytes((np.add.reduceat(_mixed(hashes), firsts) + sizes.astype(np.uint64)).tobytes())
            portions.append(scheme.keys(scheme.signatures(hashes, firsts)))
        return cls(np.frombuffer(words, np.uint32), np.frombuffer(starts, np.int64), np.frombuffer(sums, np.uint64), portions)

    @property
    def sizes(self) -> Positions:
        return np.diff(self.starts, append=len(self.words))

    def distinct(self) -> tuple[Positions, Positions]:
        """The first position of every different set, and for each set which of them it equals (by a 64-bit sum and its size)."""
        _, firsts, copies = np.unique(self.sums, return_index=True, return_inverse=True)
        return firsts, copies

    def keys_of(self, positions: Positions) -> NDArray[np.uint32]:
        """The bucket keys of the sets at `positions`. They can be asked for once: their memory moves."""
        keys = np.empty((len(self.starts), self.portions[0].shape[1]), np.uint32)
        first = 0
        while self.portions:
            portion = self.portions.pop(0)
            keys[first : first + len(portion)] = portion
            first += len(portion)
        return keys if len(positions) == len(keys) and (positions[1:] > positions[:-1]).all() else keys[positions]

    def jaccard(self, left: Positions, right: Positions) -> NDArray[np.float64]:
        """Exact similarities of pairs: a word that stands in both sets of a pair is the one that occurs twice."""
        (left_words, left_pairs), (right_words, right_pairs) = self._gather(left), self._gather(right)
        tagged = np.concatenate([left_pairs, right_pairs]) << np.int64(32) | np.concatenate([left_words, right_words]).astype(np.int64)
        tagged.sort()
        shared = np.bincount(tagged[1:][tagged[1:] == tagged[:-1]] >> np.int64(32), minlength=len(left))
        sizes = self._sizes_at(left) + self._sizes_at(right)
        return np.asarray(shared / (sizes - shared), np.float64)

    def _gather(self, positions: Positions) -> tuple[NDArray[np.uint32], Positions]:
        """The words of the sets at `positions` end to end, and for each word which of the positions it belongs to."""
        sizes = self._sizes_at(positions)
        owners = np.repeat(np.arange(len(positions)), sizes)
        offsets = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.words[self.starts[positions][owners] + offsets], owners

    def _sizes_at(self, positions: Positions) -> Positions:
        last = positions == len(self.starts) - 1
        ends = np.where(last, len(self.words), self.starts[np.where(last, positions, positions + 1)])
        return np.asarray(ends - self.starts[positions], np.int64)


def _candidates(keys: NDArray[np.uint32], sizes: Positions, threshold: float) -> Iterator[tuple[Positions, Positions]]:
    """Pairs that share a bucket and may reach the threshold by their sizes, each pair once, a few or a great many at a time."""
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        ranks = np.arange(len(order))
        for distance in range(1, _MAX_BUCKET):
            ranks = ranks[ranks + distance < len(order)]
            ranks = ranks[keys[order[ranks], band] == keys[order[ranks + distance], band]]
            if not len(ranks):
                break
            left, right = order[ranks], order[ranks + distance]
            fits = np.minimum(sizes[left], sizes[right]) >= threshold * np.maximum(sizes[left], sizes[right])
            fits[fits] = ~(keys[left[fits], :band] == keys[right[fits], :band]).any(axis=1)
            if fits.any():
                yield left[fits], right[fits]


def _portions(pairs: Iterator[tuple[Positions, Positions]], size: int) -> Iterator[tuple[Positions, Positions]]:
    """The same pairs, about `size` at a time: verification is fast on many and bounded in memory."""
    held: list[tuple[Positions, Positions]] = []
    held_count = 0
    for left, right in pairs:
        for begin in range(0, len(left), size):
            held.append((left[begin : begin + size], right[begin : begin + size]))
            held_count += len(held[-1][0])
            if held_count >= size:
                yield np.concatenate([one for one, _ in held]), np.concatenate([other for _, other in held])
                held, held_count = [], 0
    if held:
        yield np.concatenate([one for one, _ in held]), np.concatenate([other for _, other in held])


def _in_buckets(run: tuple[NDArray[np.uint32], NDArray[np.uint32]], keys: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    """The positions that a sorted run holds under each of the keys that it has; of a full bucket the newest."""
    held, positions = run
    lows = held.searchsorted(keys)
    hits = held.take(lows, mode="clip") == keys
    if not hits.any():
        return []
    highs = held.searchsorted(keys[hits], "right").tolist()
    return [positions[max(low, high - _MAX_BUCKET) : high] for low, high in zip(lows[hits].tolist(), highs, strict=True)]


def _matches(signatures: NDArray[np.uint16], signature: NDArray[np.uint16]) -> NDArray[np.unsignedinteger]:
    """How many of the minima each signature shares with the one given."""
    equal = (signatures == signature).view(np.uint8)
    return np.asarray(np.add.reduce(equal, axis=1, dtype=np.uint8 if len(signature) < 256 else np.uint16))


@lru_cache(maxsize=64)
def _fewest(size: int, at_least: float) -> int:
    """How many of `size` minima have to be shared for an estimate of `at_least`."""
    return next((count for count in range(size + 1) if count / size >= at_least), size + 1)


def _sorted_run(keys: NDArray[np.uint32], owners: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    order = np.argsort(keys, kind="stable")  # a merge of two sorted runs costs linear time this way
    return keys[order], owners[order]


@lru_cache(maxsize=8)
def _functions(bands: int, rows: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Odd multipliers: one for each hash function, one for each row to mix a band's minima into a key; and what is added for each band.

    The upper half of such a sum of products is a universal hash (Dietzfelbinger et al. 1997): as good as any for telling keys apart."""
    size = bands * rows
    odd = np.random.Generator(np.random.PCG64(_SEED)).integers(0, 2**63, size + rows + bands, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return odd[:size], odd[size : size + rows], odd[size + rows :]


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the input in every bit of the output (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


_word_hash = lru_cache(maxsize=65_536)(_hash)
