"""One (strategy, topic) sequence: which task comes next, decided only by the sequence's own past.

A sequence is a small state machine. Turn k is planned on a *view*: the state after some earlier turn of the same sequence, at most
`lag` turns back. The view moves forward by fixed rules (never by the clock), so the same seed plans the same tasks whatever the latencies:

- turn k needs the outcomes of turns up to k − lag;
- on that view, a rejected sample waiting for another attempt goes first, else a new task is planned;
- but where the tasks already under way should fill the quota at the yield seen so far, the view moves on by one outcome before it is
  asked again, so that no more than needed is bought.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence as Row
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gen.second_chance import may_ask_again
from gen.types import Outcome, Pool, Sample, Sources, Task, Turn, digest

PATIENCE = 60  # candidates without enough new ones before a sequence counts as saturated
SATURATED_BELOW = 0.05  # accepted share of those candidates; the funnel of a healthy run is above 0.5
DUPLICATE_GATES = frozenset({"exact_dup", "near_dup", "novelty", "semantic_dup", "balance"})
EXPECTED_YIELD = (4.0, 5.0)  # accepted, candidates: the prior that the sequence's own yield is averaged with
ENDED_BY_ITSELF = frozenset({"goal_reached", "saturated", "rejecting"})
DEFAULT_LAG = 64  # for strategies that never read the pool: only retries depend on outcomes


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """What a sequence is: the strategy's title in the recipe, the strategy itself, its topic and how many samples to accept.

    `max_candidates` ends it short of its quota; like a cap of the whole run it changes no turn, so a larger one goes on from there.
    `earlier` tells how earlier runs ended it, as (quota, turns) in rising order of turns. Their turns are planned for the quota of then,
    whatever it is now, and no turn beyond them before they are out: so running again asks for nothing new, and another quota continues
    the same sequence instead of planning its last turns differently."""

    title: str
    strategy: Any
    topic: str
    quota: int
    earlier: tuple[tuple[int, int], ...] = ()
    max_candidates: int | None = None

    @property
    def name(self) -> str:
        return f"{self.title}/{self.topic}"


@dataclass
class Sequence:
    """The mutable state of one sequence while a run goes on."""

    spec: SequenceSpec
    sources: Sources
    seed: int
    attempts: int
    turn: int = 0  # the next turn to be planned
    out: int = 0  # turns whose outcomes are out
    stop: str = ""
    detail: str = ""
    accepted: int = 0
    candidates: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    _seen: int = 0  # the view: turns whose outcomes planning has taken in
    _next_index: int = 0
    _pool: list[Sample] = field(default_factory=list)
    _expected: list[int] = field(default_factory=list)  # samples expected of each turn
    _tallies: list[tuple[int, int, int]] = field(default_factory=list)  # per turn out: pool size, accepted, candidates so far
    _waiting: deque[tuple[int, Outcome]] = field(default_factory=deque)  # turn it came out of, what to ask again
    _recent: deque[tuple[bool, str]] = field(default_factory=lambda: deque(maxlen=PATIENCE))

    def __post_init__(self) -> None:
        if self.spec.quota <= 0:
            self.stop, self.detail = "goal_reached", "nothing to do: its share of the goal is 0"
        self._look_at_the_cap()

    @property
    def pool(self) -> Pool:
        """Everything accepted so far, as a task planned now outside the sequence's turns sees it."""
        return Pool(self.sources, tuple(self._pool))

    @property
    def lag(self) -> int:
        return int(getattr(self.spec.strategy, "lag", DEFAULT_LAG))

    @property
    def done(self) -> bool:
        return bool(self.stop)

    def next_task(self) -> tuple[Task, Pool] | None:
        """The task of the next turn and the pool it sees, or None while it must wait for an outcome of its own."""
        while not self.done:
            goal = self._goal_of_turn()
            if goal is None:
                return None
            if self.turn - self._seen < self.lag and self._more_needed(goal):
                return self._plan()
            if self._seen >= self.out:
                return None
            self._seen += 1
        return None

    def take(self, outcomes: Row[Outcome]) -> None:
        """Count what came out of the turn `self.out`, in the order of its candidates, and decide who is asked for again."""
        for outcome in outcomes:
            self._count(outcome)
            failure = outcome.failure
            self._recent.append((outcome.accepted, failure.gate if failure else ""))
            if isinstance(outcome.item, Sample) and outcome.accepted:
                self._pool.append(outcome.item)
            elif self._asked_again(outcome):
                self._waiting.append((self.out, outcome))
        self._tallies.append((len(self._pool), self.accepted, self.candidates))
        self.out += 1
        self._look_whether_to_stop()

    def take_regenerated(self, outcomes: Row[Outcome]) -> None:
        """Count what was asked for again on order, after the sequence's own turns."""
        for outcome in outcomes:
            self._count(outcome)
        if self.accepted >= self.spec.quota:
            self.stop, self.detail = "goal_reached", f"{self.accepted} accepted"

    def goals(self) -> tuple[tuple[int, int], ...]:
        """The goals that its turns were planned for, this run's included once it came to its end: `earlier` of the next run."""
        earlier = self.spec.earlier
        known = earlier[-1][1] if earlier else 0
        return (*earlier, (self.spec.quota, self.out)) if self.stop in ENDED_BY_ITSELF and self.out > known else earlier

    def _count(self, outcome: Outcome) -> None:
        self.candidates += 1
        failure = outcome.failure
        if failure is None:
            self.accepted += 1
        else:
            self.reasons[f"{failure.gate}/{failure.reason}"] += 1

    def _asked_again(self, outcome: Outcome) -> bool:
        again = outcome.task.attempt + 1 < self.attempts and may_ask_again(outcome)
        return again and (isinstance(outcome.item, Sample) or outcome.task.attempt > 0)

    def _view(self) -> tuple[int, int, int]:
        return self._tallies[self._seen - 1] if self._seen else (0, 0, 0)

    def _goal_of_turn(self) -> int | None:
        """What the next turn is planned for; None where the turns of an earlier run have to come out first."""
        for goal, turns in self.spec.earlier:
            if self.turn < turns:
                return goal
            if self.out < turns:
                return None
        return self.spec.quota

    def _more_needed(self, goal: int) -> bool:
        _, accepted, candidates = self._view()
        under_way = sum(self._expected[self._seen : self.turn])
        if under_way == 0:
            return True
        share = (accepted + EXPECTED_YIELD[0]) / (candidates + EXPECTED_YIELD[1])
        return accepted + under_way * share < goal

    def _plan(self) -> tuple[Task, Pool]:
        pool = Pool(self.sources, self._pool[: self._view()[0]])
        if self._waiting and self._waiting[0][0] < self._seen:
            _, rejected = self._waiting.popleft()
            index, attempt, expected = rejected.task.index, rejected.task.attempt + 1, 1
            where: list[Any] = [index, attempt, rejected.item.id]
        else:
            rejected, index, attempt = None, self._next_index, 0
            expected = int(getattr(self.spec.strategy, "samples_per_task", 1))
            where = [index, attempt]
            self._next_index += 1
        task = plan_task(self.spec, pool, run_seed=self.seed, where=where, index=index, attempt=attempt, rejected=rejected)
        self.turn += 1
        self._expected.append(expected)
        return task, pool

    def _look_whether_to_stop(self) -> None:
        if self.accepted >= self.spec.quota:
            self.stop, self.detail = "goal_reached", f"{self.accepted} accepted"
            return
        self._look_at_the_cap()
        if self.stop or len(self._recent) < PATIENCE:
            return
        good = sum(1 for accepted, _ in self._recent if accepted)
        if good >= SATURATED_BELOW * PATIENCE:
            return
        duplicates = sum(1 for _, gate in self._recent if gate in DUPLICATE_GATES)
        topic = self._shown()
        if duplicates * 2 >= PATIENCE:
            novel = round(100 * (PATIENCE - duplicates) / PATIENCE)
            self.stop, self.detail = "saturated", f"{topic} saturated: {novel} % novel in the last {PATIENCE}"
        else:
            worst, count = self.reasons.most_common(1)[0]
            self.stop = "rejecting"
            self.detail = f"{topic}: {good} of the last {PATIENCE} candidates accepted; most often {worst} ({count} in all)"

    def _look_at_the_cap(self) -> None:
        cap = self.spec.max_candidates
        if not self.stop and cap is not None and self.candidates >= cap:
            self.stop, self.detail = (
                "candidates_spent",
                f"{self._shown()}: {self.candidates} candidates, the strategy's cap leaves it {cap}",
            )

    def _shown(self) -> str:
        return f"topic '{self.spec.topic}'" if self.spec.topic else f"strategy '{self.spec.title}'"


def plan_task(
    spec: SequenceSpec, pool: Pool, *, run_seed: int, where: list[Any], index: int, attempt: int, rejected: Outcome | None
) -> Task:
    """A task with a random stream of its own, drawn from the run's seed, the sequence's name and `where`."""
    seed = int(digest([run_seed, spec.name, *where], length=13), 16)
    turn = Turn(strategy=spec.title, topic=spec.topic, index=index, attempt=attempt, seed=seed, rejected=rejected)
    inputs = spec.strategy.plan(turn, pool, Random(seed))
    return Task(strategy=spec.title, topic=spec.topic, index=index, attempt=attempt, seed=seed, inputs=inputs)
