from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import FakeModel

from gen.pairs.repaired import Repaired
from gen.types import Dropped, Malformed, Message, Outcome, Preference, Provenance, Sample, Task, Verdict, kept, rejected

TASK = Task("self_instruct", "bread", 0, 0, 1)


def outcome(name: str, answer: str, *verdicts: Verdict, parent: str = "", ask: str = "How is bread baked?") -> Outcome:
    messages = (Message("user", ask), Message("assistant", answer))
    provenance = Provenance(parents=(parent,) if parent else (), finish_reason="stop", requests=("r1",))
    return Outcome(TASK, Sample(name, messages, provenance=provenance), verdicts)


async def pairs(*outcomes: Outcome) -> list[Preference | Dropped]:
    model = FakeModel(lambda _: "")
    made = await Repaired().make(outcomes, model, None)
    assert model.requests == []
    return made


async def test_a_rejected_answer_stands_against_its_accepted_repair() -> None:
    short = outcome("bad", "Bake.", kept("schema"), rejected("length", "too_short"))
    (pair,) = await pairs(short, outcome("good", "Knead, wait, bake.", kept("schema"), parent="bad"))
    assert isinstance(pair, Preference)
    assert (pair.chosen, pair.rejected) == ((Message("assistant", "Knead, wait, bake."),), (Message("assistant", "Bake."),))
    assert pair.prompt == (Message("user", "How is bread baked?"),)
    assert (pair.chosen_score, pair.rejected_score, pair.margin) == (None, None, None)
    assert (pair.source, pair.sample, pair.provenance.parents) == ("repaired", "good", ("good", "bad"))
    assert pair.provenance.notes["rejected_by"] == "length/too_short"
    assert pair.provenance.finish_reason == "stop"


@pytest.mark.parametrize(
    ("verdict", "reason", "detail"),
    [
        (rejected("near_dup", "near_duplicate"), "about_the_prompt", "near_dup/near_duplicate"),
        (rejected("exact_dup", "duplicate"), "about_the_prompt", "exact_dup/duplicate"),
        (rejected("length", "prompt_too_short"), "about_the_prompt", "length/prompt_too_short"),
        (rejected("goal", "surplus"), "about_the_prompt", "goal/surplus"),
        (rejected("pii", "email"), "rejected_unsafe", "pii/email"),
        (rejected("secrets", "slack_token"), "rejected_unsafe", "secrets/slack_token"),
        (rejected("safety", "unsafe_reply"), "rejected_unsafe", "safety/unsafe_reply"),
        (rejected("score", "above_maximum"), "rejected_unsafe", "score/above_maximum"),
    ],
)
async def test_what_is_no_worse_or_must_not_be_shown_is_dropped(verdict: Verdict, reason: str, detail: str) -> None:
    (one,) = await pairs(outcome("bad", "Bake.", verdict), outcome("good", "Knead, wait, bake.", parent="bad"))
    assert isinstance(one, Dropped)
    assert (one.source, one.sample, one.reason, one.detail) == ("repaired", "good", reason, detail)


async def test_a_secret_behind_another_objection_is_still_not_shown() -> None:
    both = outcome("bad", "Bake.", rejected("length", "too_short"), rejected("secrets", "aws_access_key"))
    (one,) = await pairs(both, outcome("good", "Knead, wait, bake.", parent="bad"))
    assert isinstance(one, Dropped)
    assert one.reason == "rejected_unsafe"


async def test_another_prompt_is_no_pair() -> None:
    bad = outcome("bad", "Bake.", rejected("length", "too_short"), ask="Bread?")
    (one,) = await pairs(bad, outcome("good", "Knead, wait, bake.", parent="bad"))
    assert isinstance(one, Dropped)
    assert (one.reason, one.detail) == ("other_prompt", "length/too_short was followed by another instruction")


async def test_a_rejected_answer_without_an_accepted_repair_is_no_try() -> None:
    bad = outcome("bad", "Bake.", rejected("length", "too_short"))
    again = outcome("again", "Bake it.", rejected("length", "too_short"), parent="bad")
    broken = Outcome(TASK, Malformed("m1", "unreadable_list"))
    after_broken = outcome("fresh", "Knead, wait, bake.", parent="m1")
    evolved = outcome("evolved", "Knead for ten minutes.", parent="fresh")
    assert await pairs(bad, again, broken, after_broken, evolved) == []


async def test_a_simulated_side_marks_the_pair() -> None:
    bad = outcome("bad", "Bake.", rejected("length", "too_short"))
    assert isinstance(bad.item, Sample)
    marked = replace(bad, item=replace(bad.item, provenance=replace(bad.item.provenance, simulated=True)))
    (pair,) = await pairs(marked, outcome("good", "Knead, wait, bake.", parent="bad"))
    assert isinstance(pair, Preference)
    assert pair.provenance.simulated


async def test_pairs_come_in_the_order_of_the_accepted_samples_with_ids_of_their_own() -> None:
    bad = outcome("bad", "Bake.", rejected("length", "too_short"))
    goods = [outcome(name, f"Knead, wait, bake {name}.", parent="bad") for name in ("b", "a")]
    made = await pairs(bad, *goods)
    assert [one.sample for one in made] == ["b", "a"]
    assert len({one.id for one in made}) == 2
