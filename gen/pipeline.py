"""The one loop: plan tasks, run many at once, let their outcomes out in plan order, each with its fate.

Plan order is (turn, sequence): turn 0 of every sequence, turn 1 of every sequence, … Tasks run as they can; their outcomes come out
strictly in that order, and only there a candidate meets the gates that remember (duplicates), is counted towards the goal and enters the
sequence's pool. So the same seed gives the same outcomes whatever the latencies, and there is no round, barrier or batch.

Between a reply and its turn to come out, the gates without memory look at the sample at once; then those that need a vector fetched first,
and then judges are asked about what is still kept. A gate with memory is also asked early, to save the judge's call for a sample that is
already a duplicate of an accepted one; what counts is its answer in plan order. Should it reject only then, the opinions are dropped from
the record, as if they had not been asked; should it keep only then, they are asked for.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gen.concurrency import together
from gen.errors import RequestRejected, ServiceStopped
from gen.second_chance import may_ask_again
from gen.sequences import Sequence, SequenceSpec, plan_task
from gen.types import (
    EMPTY,
    Embed,
    Generate,
    Malformed,
    Outcome,
    Pool,
    Provenance,
    Sample,
    SequenceEnd,
    Sources,
    Task,
    Verdict,
    digest,
    rejected,
)

# Planned and not yet out, so that one slow task at the head of the order does not leave the slots idle: at 2, with latencies of a lognormal
# sigma of 1, it did for four seconds in forty; at 8 no more (`benchmarks/chain.py`). The window changes no task.
TASKS_PER_SLOT = 8


@dataclass(frozen=True, slots=True)
class NamedGate:
    """A gate under its name. `scores` gates read what judges said and come after the judges; `warn` records without rejecting, by default
    where the gate's own `mode` is warn."""

    name: str
    gate: Any
    scores: bool = False
    warn: bool | None = None
    remembers: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "remembers", hasattr(self.gate, "remember"))
        if self.warn is None:
            object.__setattr__(self, "warn", getattr(self.gate, "mode", "reject") == "warn")

    @property
    def prepares(self) -> bool:
        """Whether something is fetched for each sample before the gate can look at it (`gen.types.Prepares`)."""
        return hasattr(self.gate, "prepare")

    @property
    def wavers(self) -> bool:
        """Whether a sample that it rejects now may be kept when its turn comes: such an answer spares no judge's call."""
        return bool(getattr(self.gate, "wavers", False))

    def check(self, sample: Sample) -> Verdict:
        """The gate's verdict, as it is meant."""
        return self.as_meant(self.gate.check(sample))

    def as_meant(self, verdict: Verdict) -> Verdict:
        """In `warn` mode a rejection stays on record as a kept verdict with its reason."""
        return replace(verdict, keep=True) if self.warn and not verdict.keep else verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the loop needs. `slots` is how many requests may be in flight: it bounds the window of tasks and nothing else.
    `regenerate` names rejected candidates to ask for again once the goal's own tasks are out, `unsafe` those among them for which somebody
    said to do so though they must not be coaxed into passing; `refused` are the verdicts of people who
    rejected a sample in review: it keeps its place in its sequence, so that no task is planned otherwise, and counts as rejected from the
    second chances on."""

    sequences: tuple[SequenceSpec, ...]
    sources: Sources
    seed: int
    attempts: int
    gates: tuple[NamedGate, ...]
    judges: tuple[Any, ...] = ()
    slots: int = 32
    max_candidates: int | None = None
    max_seconds: float | None = None
    regenerate: frozenset[str] = frozenset()
    unsafe: frozenset[str] = frozenset()
    refused: Mapping[str, Verdict] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class _Gated:
    """A candidate after the gates without memory: `early` holds a verdict per gate, None where it is not due yet. `prepared` are the gates
    that needed something fetched, with it; `judged` is the same sample with the judges' scores; None where nobody was asked."""

    item: Sample | Malformed
    early: tuple[Verdict | None, ...] = ()
    prepared: tuple[NamedGate, ...] | None = None
    judged: Sample | None = None


_Work = tuple[Task, "asyncio.Task[list[_Gated]]"]


async def no_vectors(_text: str, model: str) -> list[float]:
    """An `Embed` for a pass that asks no service."""
    raise RequestRejected(f"'{model}' is asked for no vectors here", reason="embeddings_unsupported")


@dataclass
class Pipeline:
    """One pass over a plan. Iterate `outcomes()`; look at `sequences` while it runs and at `ends()` when it is over."""

    plan: Plan
    generate: Generate
    embed: Embed = no_vectors
    clock: Callable[[], float] = time.monotonic
    sequences: list[Sequence] = field(init=False)
    stopped: str = ""
    stopped_detail: str = ""
    candidates: int = 0
    _running: dict[tuple[int, int], _Work] = field(default_factory=dict)
    _due: list[tuple[int, int]] = field(default_factory=list)  # heap: the turn of each sequence that comes out next
    _able: list[tuple[int, int]] = field(default_factory=list)  # heap: the turn to plan of each sequence that awaits no outcome of its own
    _blocked: set[int] = field(default_factory=set)  # those that do
    _broken: set[int] = field(default_factory=set)  # sequences that the service stopped under: a turn of theirs never came out
    _to_regenerate: list[Outcome] = field(default_factory=list)
    _gates: tuple[NamedGate, ...] = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self._gates = plan.gates
        self.sequences = [Sequence(spec, plan.sources, plan.seed, plan.attempts) for spec in plan.sequences]
        self._due = [(0, number) for number, one in enumerate(self.sequences) if not one.done]
        self._able = list(self._due)

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Every candidate with its fate, in plan order. Close the iterator (`contextlib.aclosing`) to leave early."""
        started = self.clock()
        try:
            while (place := self._next_place()) is not None:
                for outcome in await self._let_out(place):
                    yield outcome
                sequence = self.sequences[place[1]]
                if sequence.done:
                    await self._cancel([(turn, place[1]) for turn in range(sequence.out, sequence.turn)])
                if self._cap_reached(self.clock() - started):
                    await self._cancel(list(self._running))
            if not self.stopped and self._to_regenerate:
                async for outcome in self._second_chances(started):
                    yield outcome
        finally:
            await self._cancel(list(self._running))

    def ends(self) -> list[SequenceEnd]:
        """How each sequence ended, in plan order; those cut short carry the run's own reason."""
        return [
            SequenceEnd(
                strategy=one.spec.title,
                topic=one.spec.topic,
                goal=one.spec.quota,
                accepted=one.accepted,
                candidates=one.candidates,
                stop=one.stop or self.stopped or "interrupted",
                detail=one.detail or self.stopped_detail or "run again to go on",
                turns=one.out,
                goals=one.spec.earlier if number in self._broken else one.goals(),
            )
            for number, one in enumerate(self.sequences)
        ]

    # --- plan order ---

    def _next_place(self) -> tuple[int, int] | None:
        """Fill the window, then name the (turn, sequence) whose outcomes come out next; None when nothing is left.

        Once the run is stopped nothing is planned any more, and what is under way comes out as far as it gets."""
        if self.stopped:
            return min(self._running, default=None)
        self._fill_window()
        return self._due[0] if self._due else None

    def _fill_window(self) -> None:
        """Plan as many tasks as the window holds, the earliest in plan order first.

        The task that is due next is always among them: one has just come out, and none that could be planned precedes it."""
        while self._able and len(self._running) < TASKS_PER_SLOT * self.plan.slots:
            place = self._able[0]
            sequence = self.sequences[place[1]]
            planned = sequence.next_task()
            if planned is None:
                heapq.heappop(self._able)
                self._blocked.add(place[1])
            else:
                self._running[place] = self._start(sequence.spec.strategy, *planned)
                heapq.heapreplace(self._able, (sequence.turn, place[1]))

    async def _let_out(self, place: tuple[int, int]) -> list[Outcome]:
        """The outcomes of one task, counted; none where the service stopped under it."""
        number = place[1]
        sequence = self.sequences[number]
        outcomes = await self._fates_of(place, room=sequence.spec.quota - sequence.accepted)
        if outcomes is None:
            self._broken.add(number)
            return []
        sequence.take(outcomes)
        self._reschedule(number)
        chosen = [self._reviewed(one) for one in outcomes if one.item.id in self.plan.regenerate]
        self._to_regenerate += [one for one in chosen if may_ask_again(one) or (one.item.id in self.plan.unsafe and not one.accepted)]
        return outcomes

    def _reschedule(self, number: int) -> None:
        """Put a sequence at its new place among those that go on."""
        sequence = self.sequences[number]
        if self.stopped:
            return
        if sequence.done:  # it plans nothing more, so `_fill_window` drops it from `_able` when it meets it there
            heapq.heappop(self._due)
            return
        heapq.heapreplace(self._due, (sequence.out, number))
        if number in self._blocked:
            self._blocked.discard(number)
            heapq.heappush(self._able, (sequence.turn, number))

    def _start(self, strategy: Any, task: Task, pool: Pool) -> _Work:
        return task, asyncio.create_task(self._work(strategy, task, pool))

    async def _cancel(self, places: Iterable[tuple[int, int]]) -> None:
        cancelled = [self._running.pop(place)[1] for place in places if place in self._running]
        for work in cancelled:
            work.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)

    def _cap_reached(self, seconds: float) -> bool:
        plan = self.plan
        if plan.max_candidates is not None and self.candidates >= plan.max_candidates:
            self.stopped, self.stopped_detail = "candidates_spent", f"{self.candidates} candidates, the cap is {plan.max_candidates}"
        elif plan.max_seconds is not None and seconds >= plan.max_seconds:
            self.stopped, self.stopped_detail = "time_spent", f"the cap of {plan.max_seconds / 60:g} minutes is reached"
        else:
            return False
        return True

    # --- one task: ask, gate, judge ---

    async def _work(self, strategy: Any, task: Task, pool: Pool) -> list[_Gated]:
        items = await strategy.run(task, pool, self.generate) or [_nothing(task)]
        return await together(self._early(item) for item in items)

    async def _early(self, item: Sample | Malformed) -> _Gated:
        """The gates without memory, then the judges for a sample that nothing speaks against so far."""
        if isinstance(item, Malformed):
            return _Gated(item)
        early: list[Verdict | None] = []
        keep = True
        for one in self._gates:
            verdict = None if one.scores or one.prepares else one.check(item)
            keep = keep and (verdict is None or verdict.keep or one.wavers)
            early.append(None if one.remembers else verdict)
            item = verdict.replacement if verdict and verdict.replacement else item
        if not keep:
            return _Gated(item, tuple(early))
        prepared = await self._prepared(item)
        keep = all(one.check(item).keep for one in prepared)
        return _Gated(item, tuple(early), prepared, await self._judged(item) if keep else None)

    async def _prepared(self, sample: Sample) -> tuple[NamedGate, ...]:
        """The gates that need something fetched for the sample, with it."""
        return tuple([replace(one, gate=await one.gate.prepare(sample, self.embed)) for one in self._gates if one.prepares])

    async def _judged(self, sample: Sample) -> Sample:
        for judge in self.plan.judges:
            sample = await judge.score(sample, self.generate)
        return sample

    async def _fates_of(self, place: tuple[int, int], *, room: float) -> list[Outcome] | None:
        """What became of the task at `place`; None where the service stopped under it."""
        task, work = self._running[place]
        try:
            return await self._fates(task, await work, room=room)
        except ServiceStopped as error:
            self.stopped, self.stopped_detail = self.stopped or error.reason, self.stopped_detail or str(error)
            return None
        finally:
            self._running.pop(place, None)

    async def _fates(self, task: Task, gated: list[_Gated], *, room: float) -> list[Outcome]:
        """In plan order: the gates with memory, the judges' numbers, then `room` towards the goal. What is accepted is remembered."""
        outcomes = []
        for one in gated:
            outcome = await self._fate(task, one, room)
            room -= outcome.accepted
            outcomes.append(outcome)
        self.candidates += len(outcomes)
        return outcomes

    async def _fate(self, task: Task, gated: _Gated, room: float) -> Outcome:
        item = gated.item
        if isinstance(item, Malformed):
            return Outcome(task, item)
        verdicts = [
            early or named.check(item)
            for named, early in zip(self._gates, gated.early, strict=True)
            if early or not (named.scores or named.prepares)
        ]
        if not all(verdict.keep for verdict in verdicts):
            return Outcome(task, item, tuple(verdicts))
        prepared = await self._prepared(item) if gated.prepared is None else gated.prepared
        verdicts += [named.check(item) for named in prepared]
        if not all(verdict.keep for verdict in verdicts):
            return Outcome(task, item, tuple(verdicts))
        item = gated.judged or await self._judged(item)
        verdicts += [named.check(item) for named in self._gates if named.scores]
        if room <= 0 and all(verdict.keep for verdict in verdicts):
            verdicts.append(rejected("goal", "surplus", "good, but the goal was reached"))
        outcome = Outcome(task, item, tuple(verdicts))
        if outcome.accepted:
            self._remember(item, prepared)
        return outcome

    def _remember(self, sample: Sample, prepared: Iterable[NamedGate]) -> None:
        for named in (*self._gates, *prepared):
            if named.remembers and not named.prepares:
                named.gate.remember(sample)

    # --- regenerate ---

    async def _second_chances(self, started: float) -> AsyncGenerator[Outcome, None]:
        """Ask again for the rejected candidates that the plan names, and again for what fails, up to `attempts` times each.

        All tasks see the pool as it stands now, and their outcomes come out first in, first out, so order and content are the same
        however many run at once."""
        sequences = {(one.spec.title, one.spec.topic): one for one in self.sequences}
        await self._forget_refused()
        waiting = deque((outcome, 0) for outcome in self._to_regenerate)
        under_way: deque[tuple[tuple[int, int], int]] = deque()
        number = 0
        while waiting or under_way:
            while waiting and len(under_way) < TASKS_PER_SLOT * self.plan.slots and not self.stopped:
                outcome, tries = waiting.popleft()
                sequence = sequences[(outcome.task.strategy, outcome.task.topic)]
                place, number = (-1, number), number + 1
                self._running[place] = self._start(sequence.spec.strategy, *self._again(sequence, outcome, tries))
                under_way.append((place, tries))
            if not under_way:
                return
            place, tries = under_way.popleft()
            outcomes = await self._fates_of(place, room=math.inf) or []
            for outcome in outcomes:
                sequences[(outcome.task.strategy, outcome.task.topic)].take_regenerated([outcome])
                if tries + 1 < self.plan.attempts and may_ask_again(outcome):
                    waiting.append((outcome, tries + 1))
                yield outcome
            if not self.stopped and self._cap_reached(self.clock() - started):
                return

    async def _forget_refused(self) -> None:
        """Gates with memory begin anew with the accepted samples that nobody rejected in review: what takes the place of a rejected one may
        resemble it."""
        pools = [one.pool.samples for one in self.sequences]
        if not self._to_regenerate or not any(sample.id in self.plan.refused for samples in pools for sample in samples):
            return
        self._gates = tuple(replace(named, gate=replace(named.gate)) if named.remembers else named for named in self.plan.gates)
        for sample in (sample for samples in pools for sample in samples if sample.id not in self.plan.refused):
            self._remember(sample, await self._prepared(sample))

    def _reviewed(self, outcome: Outcome) -> Outcome:
        """The outcome with the verdict of the person who rejected it."""
        refused = self.plan.refused.get(outcome.item.id)
        return replace(outcome, verdicts=(*outcome.verdicts, refused)) if refused else outcome

    def _again(self, sequence: Sequence, outcome: Outcome, tries: int) -> tuple[Task, Pool]:
        where = ["regenerate", outcome.item.id, tries]
        index, attempt, pool = outcome.task.index, outcome.task.attempt + 1, sequence.pool
        pool = Pool(pool.sources, tuple(sample for sample in pool.samples if sample.id not in self.plan.refused))
        seed = self.plan.seed
        return plan_task(sequence.spec, pool, run_seed=seed, where=where, index=index, attempt=attempt, rejected=outcome), pool


def _nothing(task: Task) -> Malformed:
    """A task that yielded no candidate at all still has a fate on record."""
    provenance = Provenance(task=task.id, strategy=task.strategy, topic=task.topic, attempt=task.attempt)
    return Malformed(id=digest([task.id, 0]), reason="nothing_returned", provenance=provenance)
