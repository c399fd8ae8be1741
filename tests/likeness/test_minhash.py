"""Near-duplicates in bulk and one by one."""

from __future__ import annotations

import gzip
import json
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.likeness.minhash import Index, Scheme, content_words, families, near_duplicates

WORDS = [f"word{number}" for number in range(400)]


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def varied_texts(count: int) -> list[str]:
    """Texts of 20 words, half of them an earlier one with up to eight words exchanged."""
    rng = random.Random(3)
    texts: list[list[str]] = []
    for _ in range(count):
        words = list(rng.choice(texts)) if texts and rng.random() < 0.5 else rng.sample(WORDS, 20)
        for _ in range(rng.randrange(8)):
            words[rng.randrange(20)] = rng.choice(WORDS)
        texts.append(words)
    return [" ".join(words) for words in texts]


def test_content_words_fold_case_and_drop_function_words() -> None:
    assert content_words("What is the CAPITAL of Perú?") == {"capital", "perú"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("What is it?", {"what", "is", "it"}), ("!!!", {"!!!"}), ("", {""}), ("東京 C++", {"東", "京", "c++"})],
    ids=["function words only", "no word", "empty", "Han and C++"],
)
def test_every_text_has_content(text: str, words: set[str]) -> None:
    assert content_words(text) == words


def test_signatures_estimate_jaccard() -> None:
    index = Index(Scheme(bands=100, rows=5))
    index.add(WORDS[:80])
    ((position, estimate),) = index.alike(WORDS[20:100], 0.0)
    assert position == 0
    assert estimate == pytest.approx(0.6, abs=0.08)


def test_signatures_do_not_depend_on_the_sets_beside() -> None:
    hashes = np.arange(1, 20_001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    starts = np.arange(0, 20_000, 40, dtype=np.int64)
    together = Scheme().signatures(hashes, starts)
    alone = Scheme().signatures(hashes[400:440], np.zeros(1, np.int64))
    assert (together[10] == alone[0]).all()


def test_the_index_finds_what_an_exact_search_finds() -> None:
    texts = varied_texts(800)  # several times the number that is kept unsorted
    sets = [content_words(text) for text in texts]
    index, missed, wanted = Index(), 0, 0
    for position, words in enumerate(sets):
        found = {earlier for earlier, _ in index.alike(words, 0.5)}
        alike = {earlier for earlier in range(position) if jaccard(words, sets[earlier]) >= 0.7}
        wanted, missed = wanted + len(alike), missed + len(alike - found)
        assert index.add(words) == position
    assert wanted > 100
    assert missed <= 0.01 * wanted
    assert index.nbytes / len(index) < 1_000


def test_asking_an_index_changes_nothing() -> None:
    index = Index()
    index.add(["apple", "pear"])
    assert index.alike(["apple", "pear"], 0.7) == index.alike(["apple", "pear"], 0.7) == [(0, 1.0)]
    assert len(index) == 1


def test_near_duplicates_are_the_pairs_of_an_exact_join() -> None:
    texts = list(dict.fromkeys(varied_texts(600)))
    sets = [content_words(text) for text in texts]
    truth = {(i, j) for i, j in combinations(range(len(sets)), 2) if sets[i] != sets[j] and jaccard(sets[i], sets[j]) >= 0.7}
    pairs = [(min(i, j), max(i, j), similarity) for i, j, similarity in near_duplicates(texts) if similarity < 1]
    assert len(pairs) == len({(i, j) for i, j, _ in pairs})
    assert all(similarity == pytest.approx(jaccard(sets[i], sets[j])) for i, j, similarity in pairs)
    assert {(i, j) for i, j, _ in pairs} <= truth
    assert len(pairs) >= 0.99 * len(truth) > 100


def test_copies_are_paired_with_the_first() -> None:
    assert sorted(near_duplicates(["Sort a list", "sort the list!", "Boil an egg", "List sort"])) == [(0, 1, 1.0), (0, 3, 1.0)]


def test_no_texts_have_no_pairs_and_no_families() -> None:
    assert list(near_duplicates([])) == []
    assert families([]) == []


def test_a_chain_of_near_duplicates_is_one_family() -> None:
    first, step, last = WORDS[:20], WORDS[2:22], WORDS[4:24]
    assert jaccard(frozenset(first), frozenset(last)) < 0.7
    assert families([" ".join(first), "something else", " ".join(last), " ".join(step)]) == [0, 1, 0, 0]


def test_many_copies_of_one_preamble_stay_bounded() -> None:
    preamble = " ".join(WORDS[:30])
    assert set(families([f"{preamble} task{number}" for number in range(900)])) == {0}


@settings(max_examples=40)
@given(st.lists(st.text(alphabet="abc \n\ud800", max_size=12), max_size=12), st.sampled_from([0.3, 0.7, 1.0]))
def test_families_are_a_partition_that_keeps_copies_together(texts: list[str], threshold: float) -> None:
    numbers = families(texts, threshold)
    assert len(numbers) == len(texts)
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
    family_of: dict[frozenset[str], int] = {}
    for text, number in zip(texts, numbers, strict=True):
        assert family_of.setdefault(content_words(text), number) == number


def test_recall_on_real_pairs(shared_data: Path) -> None:
    with gzip.open(shared_data / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["instruction"] for line in list(lines)[::12]]
    sets = list(dict.fromkeys(map(content_words, texts)))
    truth = sum(
        min(len(one), len(other)) >= 0.7 * max(len(one), len(other)) and jaccard(one, other) >= 0.7 for one, other in combinations(sets, 2)
    )
    found = sum(similarity < 1 for _, _, similarity in near_duplicates(texts))
    assert found >= 0.99 * truth > 0


def test_only_sets_of_the_label_asked_for_are_alike() -> None:
    index = Index()
    index.add({"square", "root"}, 64)
    index.add({"square", "root"}, -81)
    assert index.alike({"square", "root"}, 0.9, -81) == [(1, 1.0)]
    assert index.alike({"square", "root"}, 0.9) == []


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(3, 2)])
def test_the_sketch_of_one_set_is_its_signature_and_keys_among_many(scheme: Scheme) -> None:
    hashes = np.arange(1, 41, dtype=np.uint64) ** np.uint64(7)
    signatures = scheme.signatures(hashes, np.array([0, 15], np.int64))
    for number, part in enumerate((hashes[:15], hashes[15:])):
        signature, keys = scheme.sketch(part)
        assert signature.tolist() == signatures.astype(np.uint16)[number].tolist()
        assert keys.tolist() == scheme.keys(signatures)[number].tolist()
    assert set(scheme.sketch(hashes, -1)[1].tolist()).isdisjoint(scheme.sketch(hashes, 5)[1].tolist())


def test_a_set_is_found_once_before_and_after_it_is_sorted_in() -> None:
    index = Index()
    sets = [frozenset(f"w{number + step}" for step in range(20)) for number in range(0, 30 * 600, 30)]
    for number, words in enumerate(sets):
        index.add(words, number % 2)
        assert index.alike(sets[0], 0.9) == [(0, 1.0)]
    assert [index.alike(words, 0.9, number % 2) for number, words in enumerate(sets)] == [[(number, 1.0)] for number in range(len(sets))]
    assert index.alike(sets[0], 0.9, 7) == []
