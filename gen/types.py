"""The nouns of Sluice: what flows from a recipe to a training set.

Every class here is frozen and holds nothing mutable, so a value handed on can never change behind its owner's back. All identities
are SHA-256 digests over canonical JSON: the same content has the same id on every machine and in every run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, Protocol

Json = Any  # JSON as read: None, bool, int, float, str, list, dict; frozen by `freeze` before it enters a noun

EMPTY: Mapping[str, Any] = MappingProxyType({})


def freeze(value: Json) -> Json:
    """The same JSON value with every dict as a read-only mapping and every list as a tuple."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Json) -> Json:
    """Plain dicts and lists again, also out of our dataclasses: what `json.dumps` takes. Their sparse fields are left out while empty."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = (item for item in fields(value) if not (item.metadata.get("sparse") and getattr(value, item.name) == item.default))
        return {item.name: thaw(getattr(value, item.name)) for item in shown}
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value


def canonical_json(value: Json) -> str:
    """One text per value: sorted keys, no spaces, Unicode as it is."""
    return json.dumps(thaw(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Json, *, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 over `canonical_json(value)`; lone surrogates are hashed as they are."""
    text = canonical_json(value)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


_SPARSE = {"sparse": True}  # a field that most values leave empty: `thaw` writes it only where it is filled

# --- what goes to a model and comes back ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """An assistant's call of a tool; `arguments` are JSON text, as providers and trainers exchange them."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `role` is system, user, assistant or tool in every reply of ours; a dataset read from outside may hold anything.

    `tool_calls`, `tool_call_id` (which call a tool's turn answers) and `name` come from datasets with tools. `weight` is what the turn
    counts for in the loss where the dataset says so: 0 means that it is read and not learnt, None that nothing is said."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = field(default=(), metadata=_SPARSE)
    tool_call_id: str = field(default="", metadata=_SPARSE)
    name: str = field(default="", metadata=_SPARSE)
    weight: float | None = field(default=None, metadata=_SPARSE)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; None means "as the recipe's model line says, else the provider's own default". `room` is how many times
    that `max_tokens` the reply may take, whoever set it: a reply that was cut off gets more."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    room: int = field(default=1, metadata=_SPARSE)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model.

    `model` is the recipe's name for it (`writer`); the client knows which provider and which model id stand behind the name.
    Exactly one of `messages` (chat) and `prompt` (a raw prompt for a completions endpoint) is given. `response_schema` is a JSON
    schema as canonical JSON text. `draw` tells equal prompts apart: n equal prompts with n draws are n requests; it is sent as
    `seed` where the API has one. `purpose` ("self_instruct.answer") and `step` (0, 1, 2 … within its task; later steps are sent
    first) steer accounting and order only and are no part of the cache key.
    """

    model: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    sampling: Sampling = Sampling()
    response_schema: str | None = None
    draw: int = 0
    purpose: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; `cached_tokens` is the part of `input_tokens` that came out of its prompt cache,
    `cache_write_tokens` the part that was put there, where the provider charges for it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0


FinishReason = Literal["stop", "length", "content_filter", "refusal", "tool_calls", "unknown"]


@dataclass(frozen=True, slots=True)
class Response:
    """A model's reply. `cost` is in USD, None when the price is unknown; `key` is the request's cache key; `model` as reported;
    `simulated` is True when the simulator wrote it, wherever it was reached, so that nobody trains on it by mistake."""

    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    cost: float | None = None
    model: str = ""
    from_cache: bool = False
    key: str = ""
    simulated: bool = False


Generate = Callable[[Request], Awaitable[Response]]
Embed = Callable[[str, str], Awaitable[Sequence[float]]]  # (text, the recipe's name of a model) → the text's vector


# --- what a run makes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of LLM work with all its randomness decided before any call; `id` is the digest of everything else."""

    strategy: str
    topic: str
    index: int
    attempt: int
    seed: int
    inputs: Mapping[str, Json] = field(default_factory=lambda: EMPTY)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", freeze(self.inputs))
        object.__setattr__(self, "id", digest([self.strategy, self.topic, self.index, self.attempt, self.seed, self.inputs]))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a sample comes from. `parents` are sample ids, `seeds` ids of seed tasks, personas or documents, `prompts` are
    `name@hash`, `requests` cache keys in the order asked; `finish_reason` is that of the reply that became the assistant's turn;
    `notes` holds what a strategy adds (an evolution's operation, a persona). A file read from outside has only `notes`."""

    task: str = ""
    strategy: str = ""
    topic: str = ""
    attempt: int = 0
    parents: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    model: str = ""
    prompts: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    finish_reason: str = ""
    simulated: bool = False
    notes: Mapping[str, Json] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", freeze(self.notes))


@dataclass(frozen=True, slots=True)
class Score:
    """A judge's number and why; `value` is None where the opinion stayed unreadable (then `reason` says so)."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation that may become training data. `id` names task and position, never the text: two equal texts have two fates.

    `tools` is the JSON text of the list of tools that the conversation may call, empty without any; `label` says of an unpaired
    preference whether the answer is wanted."""

    id: str
    messages: tuple[Message, ...]
    scores: Mapping[str, Score] = field(default_factory=lambda: EMPTY)
    provenance: Provenance = Provenance()
    tools: str = field(default="", metadata=_SPARSE)
    label: bool | None = field(default=None, metadata=_SPARSE)

    def last(self, role: str) -> str:
        """The content of the last message of `role`; empty when there is none."""
        return next((message.content for message in reversed(self.messages) if message.role == role), "")

    def first(self, role: str) -> str:
        """The content of the first message of `role`; empty when there is none."""
        return next((message.content for message in self.messages if message.role == role), "")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A candidate that never became a sample: an unreadable reply (gate `parse`), a call that failed for good (gate `provider`) or
    an instruction dropped before its answer was bought (gate `novelty`). `text` is what was received, empty for a failed call."""

    id: str
    reason: str
    text: str = ""
    detail: str = ""
    gate: Literal["parse", "provider", "novelty"] = "parse"
    provenance: Provenance = Provenance()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision. `reason` is a stable snake_case code, empty when kept; `detail` the measured value and the bound, never
    the offending text of a secret; `replacement` the sample to go on with when a gate redacts instead of rejecting."""

    keep: bool
    gate: str
    reason: str = ""
    detail: str = ""
    replacement: Sample | None = None


@lru_cache(maxsize=256)  # by far the most frequent verdict, and always the same
def kept(gate: str) -> Verdict:
    """The verdict of a gate that has nothing to object to."""
    return Verdict(keep=True, gate=gate)


def rejected(gate: str, reason: str, detail: str = "") -> Verdict:
    """The verdict of a gate that rejects, with its reason code and the measured value."""
    return Verdict(keep=False, gate=gate, reason=reason, detail=detail)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A candidate and its fate: what the pipeline yields, kept or not; rejects are output too."""

    task: Task
    item: Sample | Malformed
    verdicts: tuple[Verdict, ...] = ()

    @property
    def accepted(self) -> bool:
        return isinstance(self.item, Sample) and all(verdict.keep for verdict in self.verdicts)

    @property
    def failure(self) -> Verdict | None:
        """The first failed verdict, which names the fate; None for an accepted sample."""
        if isinstance(self.item, Malformed):
            return rejected(self.item.gate, self.item.reason, self.item.detail)
        return next((verdict for verdict in self.verdicts if not verdict.keep), None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every failed verdict as `gate/reason`, in the recipe's order of gates."""
        if isinstance(self.item, Malformed):
            return (f"{self.item.gate}/{self.item.reason}",)
        return tuple(f"{verdict.gate}/{verdict.reason}" for verdict in self.verdicts if not verdict.keep)


@dataclass(frozen=True, slots=True)
class Preference:
    """A chosen and a rejected answer to one prompt. `source` is best_of_n, repaired, …; `margin` = chosen − rejected score."""

    id: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    chosen_score: float | None
    rejected_score: float | None
    margin: float | None
    source: str
    sample: str
    provenance: Provenance = Provenance()
    tools: str = field(default="", metadata=_SPARSE)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that was tried and not made, and why (`tie`, `below_margin`, `near_equal`, …)."""

    id: str
    source: str
    sample: str
    reason: str
    detail: str = ""


# --- where candidates start ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeedTask:
    """A worked example to show a model or to start from."""

    id: str
    instruction: str
    output: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who asks or answers; `level` is beginner, practitioner or expert where the list says so."""

    id: str
    persona: str
    domain: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a recipe's `sources` named, read and checked."""

    topics: tuple[str, ...] = ()
    seed_tasks: tuple[SeedTask, ...] = ()
    personas: tuple[Persona, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """What one sequence may draw on when it plans a task: the sources, and its own samples kept up to a fixed lag before."""

    sources: Sources
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Which task of a sequence is to be planned. On a second attempt `rejected` is the outcome to do better than."""

    strategy: str
    topic: str
    index: int
    attempt: int
    seed: int
    rejected: Outcome | None = None


# --- what the ledger tells about a run -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SequenceEnd:
    """How one (strategy, topic) sequence ended. `stop` is a stable code (`goal_reached`, `saturated`, `candidates_spent`,
    `budget_reached`, `interrupted`, …), `detail` the sentence for people: "3 % novel in the last 60". `turns` is how many of its tasks
    came out. `goals` are the goals its tasks were planned for, as (goal, turns): each holds for the turns below its number
    that an earlier one does not hold for."""

    strategy: str
    topic: str
    goal: int
    accepted: int
    candidates: int
    stop: str
    detail: str = ""
    turns: int = 0
    goals: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One paid reply that a candidate on record was made from. `model` is the recipe's name, `model_id` what the provider reported."""

    key: str
    model: str
    model_id: str
    purpose: str
    usage: Usage
    cost: float | None
    finish_reason: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One start of `sluice run` on a run folder: times in UTC as ISO 8601, what this session sent and paid itself."""

    started: str
    ended: str
    seconds: float
    requests: int
    cache_hits: int
    rate_limited: int
    retries: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    stop: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """What a person said of a sample: `keep`, a short `reason` where not, a free `note`, who said it and when (UTC, ISO 8601)."""

    sample: str
    keep: bool
    reason: str = ""
    note: str = ""
    reviewer: str = ""
    time: str = ""


# --- the protocols -------------------------------------------------------------------------------------------------------------


class Gate(Protocol):
    """Who stays. No network. A gate with memory (duplicates, balance) also has `remember`, called for accepted samples only, so a
    rejected sample never enters an index; `check` itself must not change what later checks answer."""

    def check(self, sample: Sample) -> Verdict: ...


class Remembers(Protocol):
    """The second half of a gate with memory."""

    def check(self, sample: Sample) -> Verdict: ...

    def remember(self, sample: Sample) -> None: ...


class Prepares(Protocol):
    """A gate that needs something fetched before it can look at a sample: `prepare` gives the gate for this one sample, with the memory of
    the whole. It comes after the other gates and before the judges, for samples that nothing speaks against so far."""

    async def prepare(self, sample: Sample, embed: Embed) -> Remembers: ...


class Strategy(Protocol):
    """How candidates are asked for. `plan` does no I/O and decides all randomness; `run` sees a model only as `generate`."""

    def plan(self, turn: Turn, pool: Pool, rng: Any) -> Mapping[str, Json]: ...

    async def run(self, task: Task, pool: Pool, generate: Generate) -> list[Sample | Malformed]: ...


class Judge(Protocol):
    """Opinions from a model or an endpoint: the same sample with `scores` filled in."""

    async def score(self, sample: Sample, generate: Generate) -> Sample: ...
