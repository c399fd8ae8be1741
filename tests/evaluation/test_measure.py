from __future__ import annotations

from random import Random

import pytest

from gen import plugins
from gen.evaluation.labelled import Item
from gen.evaluation.measure import Candidate, decide, figures
from gen.evaluation.thresholds import FOLDS, suggestions, tunable
from gen.types import Message, Sample

LENGTH = Candidate("length", {"min_words": 3})


def item(name: str, reply: str, *, keep: bool, gate: str = "", reason: str = "", before: str = "", prompt: str = "Why?") -> Item:
    sample = Sample(name, (Message("user", prompt), Message("assistant", reply)))
    other = Sample(f"{name}-0", (Message("user", before), Message("assistant", ""))) if before else None
    return Item(name, sample, keep, gate, reason, other)


def test_a_gate_is_counted_on_good_records_and_on_those_of_its_own() -> None:
    items = [
        item("good", "one two three", keep=True),
        item("wrongly", "one", keep=True),
        item("rightly", "one", keep=False, gate="length", reason="too_short"),
        item("missed", "one two three", keep=False, gate="length", reason="too_short"),
        item("other", "one", keep=False, gate="refusal"),
    ]
    whole, length = figures(items, decide(items, [LENGTH]))
    counts = length.counts
    assert (counts.true_positives, counts.false_positives, counts.false_negatives, counts.true_negatives) == (1, 1, 1, 1)
    assert (length.false_positives, length.false_negatives, length.others, length.attributed) == (("wrongly",), ("missed",), 1, True)
    assert whole.counts.true_positives == 2
    (reason,) = length.reasons
    assert (reason.name, reason.counts.false_negatives, reason.attributed) == ("length/too_short", 1, True)


def test_without_a_named_gate_all_that_is_bad_counts_and_that_is_told() -> None:
    items = [item("bad", "one two three", keep=False), item("short", "one", keep=False)]
    _, length = figures(items, decide(items, [LENGTH]))
    assert (length.counts.true_positives, length.counts.false_negatives, length.attributed) == (1, 1, False)


def test_gates_with_a_memory_are_asked_about_pairs_each_on_its_own() -> None:
    items = [
        item("same", "", prompt="Please add 2 and 3!", before="Add 2 and 3.", keep=False),
        item("other", "", prompt="Add 2 and 3.", before="Describe a river in spring.", keep=True),
        item("plain", "one two three four", keep=True),
    ]
    decisions = decide(items, [LENGTH, Candidate("near_dup", {})])
    assert decisions["near_dup"] == ["near_duplicate", "", None]
    assert decisions["length"][:2] == [None, None]


def test_without_pairs_a_memory_holds_what_no_gate_rejected() -> None:
    items = [item("1", "one", keep=False), item("2", "one two three", keep=True), item("3", "one two three four", keep=True)]
    decisions = decide(items, [LENGTH, Candidate("exact_dup", {})])
    assert [bool(reason) for reason in decisions["exact_dup"]] == [False, False, True]


def words(count: int) -> str:
    return "word " * count


def test_the_better_threshold_is_found_and_judged_on_held_out_records() -> None:
    rng = Random(3)
    items = [item(f"g{place}", words(rng.randint(30, 60)), keep=True) for place in range(60)]
    items += [item(f"b{place}", words(rng.randint(4, 18)), keep=False, gate="length") for place in range(60)]
    found = {(one.option, one.rule): one for one in suggestions(items, LENGTH, most_false_positives=0.01)}
    best = found["min_words", "best_f1"]
    assert (best.current, best.value) == (3, 20)
    assert (best.expected.items, best.expected.true_positives, best.expected.false_positives) == (120, 60, 0)
    assert best.present.true_positives == 0
    assert found["min_words", "few_false_positives"].value == 20


def test_on_noise_cross_validation_promises_less_than_the_records_themselves() -> None:
    rng = Random(8)
    items = [item(str(place), words(rng.randint(1, 60)), keep=rng.random() < 0.5) for place in range(80)]
    each = [one for one in suggestions(items, LENGTH, most_false_positives=0.05) if one.rule == "few_false_positives"]
    assert each
    for one in each:
        assert one.chosen_on.recall is not None
        assert one.expected.recall is not None
        assert one.chosen_on.false_positive_rate is not None
        assert one.chosen_on.false_positive_rate.value <= 0.05
        assert one.expected.recall.value <= one.chosen_on.recall.value + 0.1
        assert one.expected.items == 80


def test_a_value_that_finds_nothing_is_not_suggested() -> None:
    items = [item(f"g{place}", words(300), keep=True) for place in range(20)]
    items += [item(f"b{place}", words(5), keep=False) for place in range(20)]
    found = list(suggestions(items, LENGTH, most_false_positives=0.01))
    assert found
    assert {one.option for one in found} == {"min_words"}


def test_too_few_records_give_no_suggestion() -> None:
    items = [item(str(place), words(5), keep=place % 2 == 0) for place in range(2 * FOLDS)]
    assert list(suggestions(items, LENGTH, most_false_positives=0.01)) == []


@pytest.mark.parametrize("name", plugins.names("gates"))
def test_every_threshold_that_a_gate_declares_is_an_option_with_values_it_takes(name: str) -> None:
    plugin = plugins.find("gates", name)
    declared = getattr(plugin, "thresholds", {})
    needed = {"score": {"judge": "rubric"}, "semantic_dup": {"model": "embedder"}}.get(name, {})
    for option, values in declared.items():
        assert option in plugins.options(plugin)
        assert list(values) == sorted(set(values))
        for value in values:
            plugins.build("gates", name, {**needed, option: value})


def test_of_bounds_that_exclude_each_other_only_the_one_in_use_is_tried() -> None:
    assert set(tunable(Candidate("score", {"judge": "rubric", "minimum": 3.2}))) == {"minimum"}
    assert 3.2 in tunable(Candidate("score", {"judge": "rubric", "minimum": 3.2}))["minimum"]
