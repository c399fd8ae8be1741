"""Ten samples of the package for a person to judge, at the end of its quality report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from gen.markup import cut, fenced, markdown
from gen.types import Sample

TO_INSPECT = 10
_SHOWN = 4_000  # characters of a text: nearly every sample whole
_QUESTIONS = (
    "the answer is right, as far as you know or can look up",
    "it answers what was asked, completely",
    "nothing in it is personal, secret or harmful",
    "you would want a model to answer like this",
)


def drawn(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Ten samples at random (all of them where there are fewer), in the set's order; the same ones for the same set and seed."""
    places = Random(f"{seed}/lab").sample(range(len(samples)), min(TO_INSPECT, len(samples)))
    return [samples[place] for place in sorted(places)]


def inspection(samples: Sequence[Sample], splits: dict[str, str], seed: int) -> str:
    """The section as Markdown; `splits` gives each sample id its split."""
    return "\n\n".join(_blocks(drawn(samples, seed), splits, seed)) + "\n"


def _blocks(chosen: Sequence[Sample], splits: dict[str, str], seed: int) -> Iterator[str]:
    yield f"## {len(chosen)} samples to inspect"
    yield f"Drawn at random with seed {seed}. Tick what holds; one that fails several is a reason to look at its whole topic."
    for place, sample in enumerate(chosen, start=1):
        source = sample.provenance
        where = ", ".join(filter(None, (source.topic, source.strategy, splits.get(sample.id, ""))))
        yield f"### {place}. {markdown(where)}"
        yield f"`{markdown(sample.id)}`"
        yield f"instruction\n\n{fenced(cut(sample.last('user'), _SHOWN))}"
        yield f"output\n\n{fenced(cut(sample.last('assistant'), _SHOWN))}"
        yield "\n".join(f"- [ ] {question}" for question in _QUESTIONS)
