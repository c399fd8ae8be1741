"""A conversation that is longer than a row, as parts that fit: cut between exchanges, never inside one.

Each part keeps the system message and whole exchanges (a question with all that follows until the next one), with at least one answer that
is learnt. Every answer is learnt in one part, or its exchange is named as left out. A part no longer sees what was said in those
before it, which is why splitting is a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gen.conversation import Skipped
from gen.templates.chat_template import Unfit
from gen.templates.plan_encoder import Encoded
from gen.templates.templating import TrainOn
from gen.types import Message, Sample

Encode = Callable[[Sample], Encoded | Unfit]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a sample's messages, and their tokens."""

    sample: Sample
    encoded: Encoded


def parts_of(sample: Sample, encode: Encode, longest: int, train_on: TrainOn) -> Iterator[Part | Skipped]:
    """The parts of a sample of more than `longest` tokens, in order, and what is left out of it: `too_long` for an exchange that fits
    no row, `nothing_to_train` for exchanges that no answer to be learnt leads on from.

    Where only the last answer is learnt there is one part: the last exchanges that fit.
    """
    lead, exchanges = _exchanges(sample.messages)
    cut = _Cut(sample, lead, exchanges, encode, longest)
    yield from cut.last() if train_on == "last" else cut.all()


@dataclass(frozen=True, slots=True)
class _Cut:
    sample: Sample
    lead: tuple[Message, ...]
    exchanges: Sequence[tuple[Message, ...]]
    encode: Encode
    longest: int

    def all(self) -> Iterator[Part | Skipped]:
        start, count = 0, len(self.exchanges)
        while start < count:
            learnt = next((place for place in range(start, count) if _is_learnt(self.exchanges[place])), None)
            if learnt is None:
                yield self._skipped("nothing_to_train", start, count, "no answer in or after it is learnt")
                return
            found = _furthest(lambda end, start=start: self._fitting(start, end), learnt + 1, count)  # type: ignore[misc]
            if found is not None:
                start, part = found
                yield part
            elif learnt > start:  # what leads up to the answer is too much: begin with its own question
                yield self._skipped("nothing_to_train", start, learnt, "they lead on to an answer that has no room beside them")
                start = learnt
            else:
                yield self._unfit(start)
                start += 1

    def last(self) -> Iterator[Part | Skipped]:
        count = len(self.exchanges)
        found = _furthest(lambda taken: self._fitting(count - taken, count), 1, count)
        yield found[1] if found else self._unfit(count - 1)

    def _fitting(self, start: int, end: int) -> Part | None:
        part = self._part(start, end)
        result = self.encode(part)
        return None if isinstance(result, Unfit) or len(result.ids) > self.longest else Part(part, result)

    def _part(self, start: int, end: int) -> Sample:
        messages = (*self.lead, *(message for exchange in self.exchanges[start:end] for message in exchange))
        which = f"{start + 1}" if end == start + 1 else f"{start + 1}-{end}"
        return replace(self.sample, id=f"{self.sample.id}#{which}", messages=messages)

    def _unfit(self, place: int) -> Skipped:
        result = self.encode(self._part(place, place + 1))
        if isinstance(result, Unfit):
            return self._skipped(result.reason, place, place + 1, result.detail)
        return self._skipped("too_long", place, place + 1, f"{len(result.ids)} tokens, a row holds {self.longest}")

    def _skipped(self, reason: str, start: int, end: int, detail: str) -> Skipped:
        which = f"exchange {start + 1}" if end == start + 1 else f"exchanges {start + 1} to {end}"
        return Skipped(self.sample.id, reason, f"{which} of {len(self.exchanges)}: {detail}")


def _exchanges(messages: Sequence[Message]) -> tuple[tuple[Message, ...], list[tuple[Message, ...]]]:
    """The system message, and the rest cut before each question."""
    lead = tuple(messages[:1]) if messages and messages[0].role == "system" else ()
    rest = messages[len(lead) :]
    starts = [place for place, message in enumerate(rest) if message.role == "user" or place == 0]
    return lead, [tuple(rest[start:end]) for start, end in zip(starts, [*starts[1:], len(rest)], strict=True)]


def _is_learnt(exchange: Sequence[Message]) -> bool:
    return any(message.role == "assistant" and message.weight != 0 and message.content.strip() for message in exchange)


def _furthest(fits: Callable[[int], Part | None], first: int, last: int) -> tuple[int, Part] | None:
    """The largest number from `first` to `last` that fits, and its part, where smaller ones fit too: by doubling the step, then halving it.
    None when not even the first does."""
    part = fits(first)
    if part is None:
        return None
    end, best, step, beyond = first, part, 1, last + 1
    while end + 1 < beyond:
        ahead = min(end + step, beyond - 1)
        part = fits(ahead)
        if part is None:
            beyond, step = ahead, max(1, (ahead - end) // 2)
        else:
            end, best, step = ahead, part, step * 2 if beyond > last else max(1, (beyond - ahead) // 2)
    return end, best
