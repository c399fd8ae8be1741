"""Batches as the simulated services keep them: files, batches, and what became of each request. No sockets here; `batch_routes` puts them
on the wire.

A batch is over when its time is. Its results are made when it is first looked at after that, and stay. Ids are random, as a batch of one
start of the simulator must never be taken for one of another.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gen.simulator.marks import MODEL_PREFIX
from gen.simulator.routes import ROUTES
from gen.simulator.service import Service
from gen.simulator.text import stream
from gen.simulator.wire import Problem, content_key
from gen.types import Json

Fate = Literal["done", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a batch: its name, its body and, where the API has no seed, its draw. `attempt` counts how often its content was
    asked for in a batch."""

    custom_id: str
    body: Mapping[str, Any]
    draw: str | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one request: `status` and body of its reply, or that the batch ended before it."""

    custom_id: str
    fate: Fate
    status: int = 0
    body: Mapping[str, Json] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass
class Batch:
    """One batch. `fault` is what will become of it as a whole; `problems` are what its file has wrong, by line."""

    id: str
    path: str
    entries: Sequence[Entry]
    created: float
    metadata: Mapping[str, str]
    input_file: str = ""
    fault: str = ""
    problems: Sequence[tuple[int | None, str, str]] = ()
    cancelled: float | None = None
    answers: list[Answered] | None = None


class Batches:
    """All files and batches of one simulated service. `asked` counts the requests taken into batches, by their content."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.files: dict[str, bytes] = {}
        self.by_id: dict[str, Batch] = {}
        self.asked: Counter[str] = Counter()

    def keep_file(self, content: bytes) -> str:
        """A new file's id."""
        name = f"file-{secrets.token_hex(12)}"
        self.files[name] = content
        return name

    def begin(
        self,
        prefix: str,
        path: str,
        entries: Sequence[Entry],
        *,
        metadata: Mapping[str, str] | None = None,
        input_file: str = "",
        problems: Sequence[tuple[int | None, str, str]] = (),
    ) -> Batch:
        """Take a batch in."""
        number = len(self.by_id) + 1
        fault = self._drawn(f"batch {number}", "", ("failed", "expired"))
        if fault == "failed" and not problems:
            problems = ((None, "simulated_failure", "The simulator was told to let this batch fail."),)
        counted = [] if problems else [self._counted(one) for one in entries]
        batch = Batch(f"{prefix}{secrets.token_hex(12)}", path, counted, time.time(), metadata or {}, input_file, fault, problems)
        self.by_id[batch.id] = batch
        return batch

    def over(self, batch: Batch) -> bool:
        """Whether its time is up, or it was cancelled."""
        return batch.cancelled is not None or time.time() - batch.created >= self._service.options.batch_seconds

    def cancel(self, batch: Batch) -> None:
        """End it now, unless it is over."""
        if not self.over(batch):
            batch.cancelled = time.time()

    def answers(self, batch: Batch) -> list[Answered]:
        """What became of its requests; of a batch that was cut short the first half is answered."""
        if batch.answers is None:
            cut: Fate | None = "cancelled" if batch.cancelled is not None else "expired" if batch.fault == "expired" else None
            half = len(batch.entries) // 2
            batch.answers = [
                Answered(one.custom_id, cut) if cut is not None and place >= half else self._answered(batch.path, one)
                for place, one in enumerate(batch.entries)
            ]
        return batch.answers

    def _counted(self, entry: Entry) -> Entry:
        key = content_key(entry.body, entry.draw)
        self.asked[key] += 1
        return Entry(entry.custom_id, entry.body, entry.draw, self.asked[key])

    def _answered(self, path: str, entry: Entry) -> Answered:
        fault = self._drawn(content_key(entry.body, entry.draw), str(entry.attempt), ("item_error", "item_expired"))
        if fault == "item_expired":
            return Answered(entry.custom_id, "expired")
        if fault == "item_error":
            problem = Problem(500, "server_error", "The server had an error while processing your request.")
            return Answered(entry.custom_id, "done", problem.status, problem=problem)
        route = ROUTES[path]
        ask = route.parse(entry.body, entry.draw)
        wrong = ask if isinstance(ask, Problem) else self._service.unanswerable(ask)
        if wrong is not None or isinstance(ask, Problem):
            assert wrong is not None
            return Answered(entry.custom_id, "done", wrong.status, problem=wrong)
        return Answered(entry.custom_id, "done", 200, route.reply(self._service, ask)[0])

    def _drawn(self, key: str, purpose: str, names: Sequence[str]) -> str:
        """The fault that falls on `key`, if any; another purpose, another draw."""
        point = stream(self._service.options, key, f"batch fault {purpose}").random()
        for name in names:
            point -= self._service.options.batch_faults.get(name, 0.0)
            if point < 0:
                return name
        return ""

    def model_problem(self, key: str | None, entries: Sequence[Entry]) -> Problem | None:
        """What is wrong with the key, or with the first model that is not served."""
        for model in {str(one.body.get("model", "")) for one in entries}:
            if (problem := self._service.refusal_to_serve(key, model.removeprefix(MODEL_PREFIX))) is not None:
                return problem
        return None
