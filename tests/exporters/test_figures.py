"""The numbers of the papers: they add up to the outcomes, and each says what it claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from gen import plugins
from gen.figures.concerns import SIMULATED, concerns
from gen.figures.counts import coverage, duplicates, funnel, openings, recoveries, repeated_openings, shown_topics
from gen.figures.facts import Fact, gather
from gen.figures.measures import cost, interval, lengths, novelty, own_figures, pairs, scores
from gen.figures.whole import figures_of
from gen.figures.wording import categories, gate_options, total_cost
from gen.markup import cut, html
from gen.record import GateLine, RunRecord
from gen.types import Call, Sample, SequenceEnd, Usage, rejected

Build = Callable[..., RunRecord]


def fact(name: int, **known: object) -> Fact:
    return replace(Fact(f"s{name}", "topic", "strategy", 1, accepted=True), **known)  # type: ignore[arg-type]


def lost(name: int, gate: str, reason: str, **known: object) -> Fact:
    return fact(name, accepted=False, gate=gate, reason=reason, **known)


def test_every_figure_counts_each_candidate_once(build: Build) -> None:
    record = build(200)
    outcomes = list(record.outcomes())
    figures = figures_of(record)
    fates = Counter((one.failure.gate, one.failure.reason) for one in outcomes if one.failure)
    assert figures.candidates == len(outcomes)
    assert figures.accepted == sum(one.accepted for one in outcomes)
    assert {(step.gate, reason): count for step in figures.funnel for reason, count in step.reasons} == fates
    assert figures.funnel[0].entered == len(outcomes)
    assert figures.funnel[-1].kept == figures.accepted
    assert all(before.kept == after.entered for before, after in zip(figures.funnel, figures.funnel[1:], strict=False))
    assert sum(figures.coverage.asked.values()) == sum(line.candidates for line in figures.table) == len(outcomes)
    assert sum(figures.coverage.accepted.values()) == sum(line.accepted for line in figures.table) == figures.accepted
    assert sum(asked for _, asked, _ in figures.attempts) == len(outcomes)
    assert sum(kept for _, _, kept in figures.attempts) == figures.accepted
    assert sum(kept for judge in figures.scores for _, kept, _ in judge.values) == figures.accepted


def test_the_funnel_begins_with_unread_replies_and_ends_with_the_surplus() -> None:
    steps = funnel(
        [lost(1, "goal", "surplus"), lost(2, "length", "too_short"), lost(3, "parse", "not_json"), fact(4)], ["schema", "length"]
    )
    assert [(step.gate, step.entered, step.rejected) for step in steps] == [
        ("parse", 4, 1),
        ("schema", 3, 0),
        ("length", 3, 1),
        ("goal", 2, 1),
    ]


def test_an_unknown_gate_is_not_forgotten() -> None:
    assert [step.gate for step in funnel([lost(1, "other", "x")], ["schema"])] == ["schema", "other"]


def test_empty_cells_are_those_a_sequence_worked_on() -> None:
    ends = [SequenceEnd("x", "a", 5, 0, 9, "saturated"), SequenceEnd("y", "a", 5, 1, 1, "goal_reached")]
    grid = coverage([fact(1, topic="a", strategy="y"), lost(2, "length", "too_short", topic="a", strategy="x")], ends)
    assert grid.empty == (("a", "x"),)


def test_many_topics_are_cut_to_the_emptiest_and_the_fullest() -> None:
    facts = [fact(at, topic=f"t{topic}") for topic in range(60) for at in range(topic)]
    shown = shown_topics(coverage(facts, [SequenceEnd("strategy", f"t{topic}", 1, 0, 0, "x") for topic in range(60)]))
    assert shown == tuple(f"t{topic}" for topic in (*range(20), *range(50, 60)))


def test_what_asking_again_brought_is_counted_by_the_first_reason(build: Build) -> None:
    record = build(200)
    facts = gather(record).candidates
    again = [one for one in facts if one.attempt > 1]
    assert again
    assert all(one.again for one in again)
    assert sum(one.asked_again for one in recoveries(facts)) == len(again)


def test_cost_counts_each_reply_once(build: Build) -> None:
    record = build(50)
    figure = figures_of(record).cost
    assert figure.total == pytest.approx(sum(call.cost or 0 for call in record.calls))
    assert figure.per_accepted == pytest.approx((figure.total or 0) / figures_of(record).accepted)
    assert figure.curve[-1][1] == pytest.approx(figure.per_accepted, rel=0.02)


def test_candidates_of_one_task_share_its_replies(build: Build) -> None:
    record = build(30)
    outcome = next(one for one in record.outcomes() if one.accepted)
    first, second = gather(replace(record, outcomes=lambda: [outcome, outcome])).candidates
    assert (first.calls, second.calls, second.cost) == (3, 0, 0)
    assert first.cost == pytest.approx(0.002)


def test_an_unknown_price_is_unknown_and_never_nothing(build: Build) -> None:
    record = build(20, priced=False)
    figures = figures_of(record)
    assert (figures.cost.total, figures.cost.per_accepted, figures.cost.curve) == (None, None, ())
    assert total_cost(figures).startswith("unknown (")
    one = Call("k", "m", "id", "p", Usage(1, 1), 0.5, "stop")
    mixed = cost([fact(1)], [one, replace(one, key="k2", cost=None)])
    assert (mixed.total, mixed.known, mixed.unpriced) == (None, 0.5, 1)
    assert [line.cost for line in mixed.by_model] == [None]


def test_lengths_are_of_accepted_texts() -> None:
    figure = lengths(
        [fact(at, prompt_words=10, reply_words=at) for at in range(1, 101)] + [lost(0, "length", "too_short", reply_words=9999)]
    )
    assert figure is not None
    [prompt, reply] = figure.spreads
    assert (prompt.low, prompt.middle, prompt.high) == (10, 10, 10)
    assert (reply.low, reply.middle, reply.high, figure.last) == (6, 50, 96, 100)


def test_scores_are_set_against_the_gate_that_compares_them() -> None:
    facts = [fact(at, scores=(("rubric", 5.0),), reply_words=10 * at) for at in range(1, 16)]
    facts += [lost(at, "score", "below_minimum", scores=(("rubric", 2.0),), reply_words=at) for at in range(1, 6)]
    facts.append(fact(99, scores=(("rubric", None),)))
    [figure] = scores(facts, [GateLine("score", (("judge", "rubric"), ("minimum", 4)))])
    assert figure.values == ((2.0, 0, 5), (5.0, 15, 0))
    assert (figure.minimum, figure.unreadable, figure.at_ceiling, figure.count) == (4.0, 1, 0.75, 20)
    assert figure.with_length is not None
    assert figure.with_length > 0.5


def test_a_judge_read_by_a_maximum_is_set_against_it() -> None:
    given = [(("guard", 0.001 * at), ("guard.hate", 0.001 * at), ("guard.self-harm", 0.0001)) for at in range(1, 31)]
    facts = [fact(at, scores=one, reply_words=10 * at) for at, one in enumerate(given)]
    facts.append(lost(99, "score", "above_maximum", scores=(("guard", 0.9), ("guard.hate", 0.9), ("guard.self-harm", 0.2)), reply_words=9))
    whole, hate, harm = scores(facts, [GateLine("score", (("judge", "guard"), ("minimum", None), ("maximum", 0.5)))])
    assert (whole.bounds, whole.maximum, whole.graded, whole.part_of) == ("maximum 0.5", 0.5, False, "")
    assert (hate.bounds, hate.part_of, hate.graded) == ("", "guard", False)
    assert whole.values[0] == (0.001, 1, 0)
    assert (harm.middle, harm.highest) == (0.0001, 0.2)
    assert own_figures([whole, hate, harm]) == (whole,)
    assert len(whole.binned) == 10
    assert sum(kept + out for _, kept, out in whole.binned) == whole.count == 31


def test_candidates_that_repeat_an_accepted_one_are_a_family_with_their_texts(build: Build) -> None:
    record = build(20)
    kept = [outcome for outcome in record.outcomes() if outcome.accepted]
    lost = [outcome for outcome in record.outcomes() if not outcome.accepted and isinstance(outcome.item, Sample)]
    about = [f"same task as {kept[1].item.id} (similarity 0.90, threshold 0.7)"] * 2 + [f"same text as {kept[0].item.id}, nearly"]
    copies = [replace(one, verdicts=(rejected("near_dup", "near_duplicate", detail),)) for one, detail in zip(lost, about, strict=False)]
    figures = figures_of(replace(record, outcomes=lambda: [*kept, *copies]))
    assert [(size, [outcome.item.id for outcome in members]) for size, members in figures.reading.families] == [
        (3, [kept[1].item.id, copies[0].item.id, copies[1].item.id]),
        (2, [kept[0].item.id, copies[2].item.id]),
    ]
    page = plugins.build("exporters", "report", {}).text(record, figures)
    assert 'id="families"' in page
    assert f"<summary>3 candidates · {html(cut(kept[1].item.first('user'), 120))}</summary>" in page


@pytest.mark.parametrize("name", ["claims.refuted", "claims.not_found", "claims.unsupported", "claims.spread"])
def test_a_number_beside_an_opinion_is_no_judge_that_could_favour_long_replies(name: str) -> None:
    facts = [fact(at, scores=(("claims", 0.5), (name, float(at))), reply_words=2**at) for at in range(1, 31)]
    whole, beside = scores(facts, [GateLine("score", (("judge", "claims"), ("minimum", 0.4)))])
    assert (beside.beside, beside.graded, beside.part_of) == (True, False, "claims")
    assert own_figures([whole, beside]) == (whole,)
    assert categories([whole, beside], "claims") == [(name.removeprefix("claims."), 30, "15", "30")]
    [alone] = scores([fact(1, scores=((name, 3.0),))], [])
    assert own_figures([alone]) == (alone,)
    assert not alone.graded


def test_a_category_with_a_gate_of_its_own_keeps_its_figure() -> None:
    facts = [fact(at, scores=(("guard", 0.1), ("guard.hate", 0.1), ("guard.violence", 0.1))) for at in range(3)]
    bound = (("judge", "guard"), ("maximum", 0.5))
    found = scores(facts, [GateLine("score", bound), GateLine("score", (*bound, ("aspect", "hate")))])
    assert [one.judge for one in own_figures(found)] == ["guard", "guard.hate"]


def test_novelty_sinks_when_a_topic_repeats_itself() -> None:
    fresh = [fact(at, new=1.0) for at in range(12)]
    tired = [fact(at, new=1.0 if at < 4 else 0.0, topic="tired") for at in range(12)]
    first, second = novelty(
        fresh + tired, [SequenceEnd("s", "tired", 9, 9, 9, "saturated"), SequenceEnd("s", "x", 1, 1, 1, "goal_reached")]
    )
    assert first.points[-1] == (12, 1.0)
    assert second.points[-1] == (12, 0.0)
    assert (first.saturated, second.saturated) == (False, True)


def test_the_first_prompt_of_a_topic_is_all_new_and_its_copy_is_not(build: Build) -> None:
    record = build(1)
    outcome = next(one for one in build(30).outcomes() if one.accepted)
    facts = gather(replace(record, outcomes=lambda: [outcome, outcome])).candidates
    assert [one.new for one in facts] == [1.0, 0.0]


def test_openings_and_their_repetition() -> None:
    facts = [fact(at, opening="how does a" if at % 2 else f"opening {at}") for at in range(20)]
    assert openings(facts)[0] == ("how does a", 10, 0.5)
    assert repeated_openings(facts) == (("topic", 0.6),)


def test_duplicates_are_those_of_every_gate_that_finds_them() -> None:
    facts = [fact(1), lost(2, "near_dup", "near_duplicate"), lost(3, "exact_dup", "exact_duplicate"), lost(4, "length", "too_short")]
    assert duplicates(facts) == (("topic", 4, 2),)


def test_pairs_are_measured(build: Build) -> None:
    record = build(40, extras=True)
    figure = pairs(record.pairs, record.dropped)
    assert figure is not None
    assert figure.made == len(record.pairs)
    assert figure.dropped == (("best_of_n", "below_margin", 1), ("best_of_n", "tie", 1))
    assert sum(count for _, count in figure.margins) == figure.made
    assert pairs([], []) is None


def test_an_interval_is_honest_about_small_counts() -> None:
    assert interval(0, 0) == (0.0, 1.0)
    low, high = interval(3, 3)
    assert low < 0.5
    assert high == 1.0


def test_the_texts_to_read_are_the_same_each_time_and_of_every_kind(build: Build) -> None:
    record = build(200)
    one, two = figures_of(record).reading, figures_of(record).reading
    assert one == two
    assert [outcome.accepted for outcome in one.samples].count(True) == 8
    assert [outcome.accepted for outcome in one.samples].count(False) == 4
    assert len({outcome.task.topic for outcome in one.samples if outcome.accepted}) >= 4
    assert {fate for fate, _ in one.examples} == {one.reasons[0] for one in record.outcomes() if one.reasons}
    assert one.languages[0][0] == "en"


def test_scans_are_counted_from_their_verdicts(build: Build) -> None:
    record = build(200)
    verdicts = [verdict for one in record.outcomes() for verdict in one.verdicts]
    for scan in figures_of(record).scans:
        mine = [verdict for verdict in verdicts if verdict.gate == scan.gate]
        assert scan.scanned == len(mine)
        assert scan.rejected == sum(not verdict.keep for verdict in mine)
        assert scan.redacted == sum(verdict.keep and verdict.replacement is not None for verdict in mine)


def test_a_surplus_is_no_strict_gate(build: Build) -> None:
    record = build(20)
    figures = replace(figures_of(record), funnel=funnel([lost(at, "goal", "surplus") for at in range(9)], []))
    assert not any("The gate goal" in concern.text for concern in concerns(record, figures))
    assert any("good but more than was asked for" in concern.text for concern in concerns(record, figures))
    strict = replace(
        figures, funnel=funnel([lost(at, "length", "too_short") for at in range(4)] + [fact(at) for at in range(6)], ["length"])
    )
    assert any(
        one.text == "The gate length rejected 40\u00a0% of what reached it, mostly as too_short." for one in concerns(record, strict)
    )


def test_options_read_as_a_line() -> None:
    assert gate_options(GateLine("schema")) == "none"
    line = GateLine("x", (("minimum", 4), ("preset", None), ("on", True), ("kinds", ("a", "b")), ("words", ["w" * 500])))
    assert gate_options(line).startswith("minimum 4, on on, kinds a/b, words www")
    assert len(gate_options(line)) < 200


def test_concerns_say_what_to_look_at(build: Build) -> None:
    record = build(100, simulated=True, extras=True)
    found = [concern.text for concern in concerns(record, figures_of(record))]
    assert found[0] == SIMULATED
    assert any("samples asked for were accepted: 3 % novel in the last 60." in text for text in found)
    assert any(text.startswith("The data card leaves 3 fields blank") for text in found)
    assert any("Saturated" in text and "Whistleblower" in text for text in found)


def test_a_run_without_candidates_has_figures_too(build: Build) -> None:
    record = replace(build(1), outcomes=list, calls=(), sequences=())
    figures = figures_of(record)
    assert (figures.candidates, figures.accepted, figures.lengths, figures.reading.samples) == (0, 0, None, ())
    assert "No sample was accepted." in [concern.text for concern in concerns(record, figures)]
