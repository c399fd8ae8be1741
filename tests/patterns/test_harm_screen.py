"""The screen before the safety gate's lists: it may only ever say no where nothing harmful can be."""

from __future__ import annotations

import json
from pathlib import Path

from gen.gates.safety import Safety
from gen.patterns.harm_lexicon import HITS, SCREENED, lexicon, stem_set, stems
from gen.types import Message, Sample


def test_every_term_and_every_act_with_its_target_passes_the_screen() -> None:
    found = lexicon()
    for phrases in found.terms.values():
        for phrase, _ in phrases:
            assert found.screen_of_hits.any(frozenset(phrase))
            assert HITS in found.screen.parts(frozenset(phrase))
    for acts in found.acts.values():
        for act, pair in acts:
            for target in pair.targets:
                assert found.screen_of_hits.any(frozenset((*act, *target)))


def test_every_listed_phrase_is_known_by_its_list() -> None:
    found = lexicon()
    for name in SCREENED:
        for phrase in found.lists[name]:
            assert name in found.screen.parts(frozenset((*phrase, "tea")))


def test_words_without_harm_do_not_pass() -> None:
    assert not lexicon().screen_of_hits.any(stem_set("the cat sat on the mat and looked at the moon"))
    assert lexicon().screen.parts(stem_set("how do i boil an egg?")).isdisjoint({HITS, "slurs"})


def test_the_set_of_stems_lacks_none_of_a_text() -> None:
    for text in ("my ex’s self-made bombs", "don't 12 robbing été naïve x\udcff", "a" * 30, ""):
        assert stem_set(text) >= set(stems(text))


def test_the_screen_changes_no_verdict_on_labelled_requests(shared_data: Path) -> None:
    gate, open_gate = Safety(), Safety()
    always = type("Open", (), {"any": lambda *_: True, "parts": lambda *_: {HITS}})()
    without = {"screen": always, "screen_of_hits": always}
    object.__setattr__(open_gate, "_lexicon", type("L", (), {**vars(lexicon()), **without, "hits": lexicon().hits})())
    for line in (shared_data / "safety.jsonl").read_text(encoding="utf-8").splitlines()[:300]:
        text = json.loads(line)["text"]
        sample = Sample("1", (Message("user", text), Message("assistant", f"1. First, {text}")))
        assert gate.check(sample) == open_gate.check(sample)
