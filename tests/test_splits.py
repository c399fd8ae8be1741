"""Splits: families stay together, every split gets its share, and the test set never gives anything back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen.errors import RecipeError
from gen.likeness.minhash import families
from gen.splits import assign, assign_pairs, leaks
from gen.types import Message, Preference, Provenance, Sample

THREE = {"train": 0.8, "validation": 0.1, "test": 0.1}


def sample(
    name: int | str, *, topic: str = "", parents: tuple[str, ...] = (), prompt: str | None = None, notes: dict[str, object] | None = None
) -> Sample:
    said = f"question {name}" if prompt is None else prompt
    source = Provenance(topic=topic, parents=parents, notes=notes or {})
    return Sample(f"s{name}", (Message("user", said), Message("assistant", "answer")), provenance=source)


def many(count: int) -> list[Sample]:
    return [sample(at) for at in range(count)]


@st.composite
def families_of_samples(draw: st.DrawFn) -> tuple[list[Sample], list[int]]:
    count = draw(st.integers(1, 60))
    families = draw(st.lists(st.integers(0, 12), min_size=count, max_size=count))
    topics = draw(st.lists(st.sampled_from("abcde"), min_size=count, max_size=count))
    parents = draw(st.lists(st.one_of(st.none(), st.integers(0, count - 1)), min_size=count, max_size=count))
    samples = [
        sample(at, topic=topics[at], parents=() if parents[at] is None or parents[at] == at else (f"s{parents[at]}",))
        for at in range(count)
    ]
    return samples, families


@given(families_of_samples(), st.sampled_from(["family", "topic"]), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_no_family_straddles_and_every_sample_has_one_split(case: tuple[list[Sample], list[int]], by: str, seed: int) -> None:
    samples, families = case
    result = assign(samples, THREE, by=by, seed=seed, families=families)
    assert list(result.of) == [item.id for item in samples]
    assert leaks(samples, result.of, families) == []
    assert sum(result.counts.values()) == len(samples)
    assert result.empty == () or result.units < 3


@given(st.integers(3, 400), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_single_samples_are_divided_to_the_largest_remainder(count: int, seed: int) -> None:
    result = assign(many(count), THREE, seed=seed)
    for split, share in THREE.items():
        assert result.counts[split] >= 1
        assert abs(result.counts[split] - count * share) < 1 or count < 20


@given(st.integers(20, 120), st.integers(1, 120), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_what_was_test_once_is_test_for_ever(first: int, more: int, seed: int) -> None:
    before = assign(many(first), THREE, seed=seed)
    locked = {name: split for name, split in before.of.items() if split == "test"}
    after = assign(many(first + more), THREE, seed=seed, locked=locked)
    assert all(after.of[name] == "test" for name in locked)


def test_a_raised_goal_keeps_nearly_every_assignment() -> None:
    before = assign(many(1000), THREE, seed=7)
    after = assign(many(1500), THREE, seed=7)
    moved = sum(before.of[name] != after.of[name] for name in before.of)
    assert moved < 30


def test_a_sample_that_joins_a_locked_family_follows_it_into_the_test_set() -> None:
    samples = [*many(10), sample("late", parents=("s3",))]
    result = assign(samples, THREE, locked={"s3": "test"})
    assert result.of["s3"] == result.of["slate"] == "test"


def test_five_topics_fill_three_splits() -> None:
    samples = [sample(f"{topic}{at}", topic=topic) for at in range(40) for topic in ("a", "b", "c", "d", "e")]
    result = assign(samples, THREE, by="topic", seed=7)
    assert result.counts == {"train": 120, "validation": 40, "test": 40}
    assert result.units == 5
    assert all(len({result.of[item.id] for item in samples if item.provenance.topic == topic}) == 1 for topic in "abcde")


@pytest.mark.parametrize("seed", range(8))
def test_a_family_of_most_samples_is_training_data(seed: int) -> None:
    result = assign(many(100), THREE, seed=seed, families=[0] * 90 + list(range(1, 11)))
    assert result.counts == {"train": 90, "validation": 5, "test": 5}


def test_with_two_families_the_training_and_the_test_set_get_one_each() -> None:
    result = assign(many(2), THREE)
    assert result.counts == {"train": 1, "validation": 0, "test": 1}
    assert result.empty == ("validation",)


def test_one_sample_is_training_data() -> None:
    assert assign(many(1), THREE).of == {"s0": "train"}


def test_no_samples_leave_every_split_empty() -> None:
    result = assign([], THREE)
    assert result.empty == ("train", "validation", "test")
    assert result.achieved == {"train": 0, "validation": 0, "test": 0}


def test_equal_prompts_stay_together_whatever_case_and_spaces() -> None:
    samples = [*many(30), sample("x", prompt="What is  PSD2?"), sample("y", prompt="what is psd2?")]
    result = assign(samples, THREE, seed=3)
    assert result.of["sx"] == result.of["sy"]


def test_siblings_of_a_rejected_parent_stay_together() -> None:
    samples = [*many(30), sample("x", parents=("gone",)), sample("y", parents=("gone",))]
    assert all(assign(samples, THREE, seed=seed).of["sx"] == assign(samples, THREE, seed=seed).of["sy"] for seed in range(20))


def test_a_note_can_keep_samples_together() -> None:
    samples = [sample(at, notes={"document": f"d{at % 6}"}) for at in range(60)]
    result = assign(samples, THREE, by="document")
    assert result.units == 6
    assert Counter(result.of.values()) == {"train": 40, "validation": 10, "test": 10}


def test_lineage_leaves_near_duplicates_out() -> None:
    assert assign(many(40), THREE, by="lineage", families=[0] * 40).units == 40


def test_the_seed_decides_who_is_in_the_test_set() -> None:
    tests = {tuple(name for name, split in assign(many(50), THREE, seed=seed).of.items() if split == "test") for seed in range(5)}
    assert len(tests) == 5


@pytest.mark.parametrize(
    ("ratios", "message"),
    [({"train": -1.0}, "must be 0 or more, got -1"), ({"train": float("nan")}, "must be 0 or more"), ({}, "at least one ratio above 0")],
    ids=["negative", "nan", "none"],
)
def test_impossible_ratios_are_refused(ratios: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        assign(many(3), ratios)


def test_an_unknown_field_is_refused_with_the_right_ones() -> None:
    with pytest.raises(RecipeError, match="no sample has the field 'topc': choose from family, lineage, topic"):
        assign([sample(1, topic="a")], THREE, by="topc")


def test_a_locked_split_cannot_be_left_out() -> None:
    with pytest.raises(RecipeError, match="'test' is locked"):
        assign(many(5), {"train": 1.0}, locked={"s1": "test"})


def test_leaks_are_found() -> None:
    samples = [sample("a", prompt="same"), sample("b", prompt="Same"), sample("c", parents=("sa",)), sample("d")]
    found = leaks(samples, {"sa": "train", "sb": "test", "sc": "validation", "sd": "test"}, [0, 1, 2, 2])
    assert {(leak.kind, leak.ids) for leak in found} == {
        ("same_prompt", ("sa", "sb")),
        ("lineage", ("sa", "sc")),
        ("near_duplicate", ("sc", "sd")),
    }


def test_pairs_follow_their_prompt() -> None:
    samples = [sample("a"), sample("b")]
    good, bad = (Message("assistant", "y"),), (Message("assistant", "n"),)

    def pair(name: str, of: str, prompt: str, parents: tuple[str, ...] = ()) -> Preference:
        return Preference(name, (Message("user", prompt),), good, bad, 5, 1, 4, "repaired", of, Provenance(parents=parents))

    pairs = [pair("p1", "sb", "other"), pair("p2", "gone", "Question  B"), pair("p3", "gone", "?", ("sb",)), pair("p4", "gone", "new")]
    assert assign_pairs(pairs, samples, {"sa": "train", "sb": "test"}) == {"p1": "test", "p2": "test", "p3": "test", "p4": "train"}


WORDS = "otter badger heron falcon beetle walrus lemur gecko marmot osprey tapir viper weasel bison condor dingo ferret ibis".split()


@st.composite
def texts_with_relatives(draw: st.DrawFn) -> list[str]:
    """Texts of twelve words, most of them another one with a word or two replaced."""
    firsts = draw(st.lists(st.lists(st.sampled_from(WORDS), min_size=12, max_size=12, unique=True), min_size=1, max_size=6))
    found = []
    for at in draw(st.lists(st.integers(0, len(firsts) - 1), min_size=3, max_size=40)):
        words = list(firsts[at])
        for place in draw(st.lists(st.integers(0, 11), max_size=2)):
            words[place] = draw(st.sampled_from(["newt", "shrew", "stoat"]))
        found.append(" ".join(words))
    return found


@given(texts_with_relatives(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_two_splits_hold_texts_that_share_most_of_their_words(texts: list[str], seed: int) -> None:
    """Against word sets compared one by one, not against the index that made the families."""
    samples = [sample(at, prompt=text) for at, text in enumerate(texts)]
    split = assign(samples, THREE, seed=seed, families=families(texts)).of
    for left, one in enumerate(texts):
        for right in range(left):
            mine, other = set(one.split()), set(texts[right].split())
            if len(mine & other) / len(mine | other) >= 0.85:  # where the index misses fewer than 1 in 10,000
                assert split[f"s{left}"] == split[f"s{right}"]


@given(families_of_samples(), families_of_samples(), st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_a_locked_test_set_keeps_all_it_has_and_pulls_in_its_relatives(
    before: tuple[list[Sample], list[int]], after: tuple[list[Sample], list[int]], seed: int
) -> None:
    samples, components = before
    locked = {name: split for name, split in assign(samples, THREE, seed=seed, families=components).of.items() if split == "test"}
    grown = [*samples, *(replace(one, id=f"later-{one.id}") for one in after[0])]
    result = assign(grown, THREE, seed=seed + 1, families=[*components, *after[1]], locked=locked)
    assert all(result.of[name] == "test" for name in locked)
    assert leaks(grown, result.of, [*components, *after[1]]) == []
