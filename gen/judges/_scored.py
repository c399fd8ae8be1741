"""What the judges share: the sample with its scores, the closed schema of a reply, and a call to an endpoint whose reply is the opinion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gen.errors import ProviderError, ServiceStopped
from gen.types import EMPTY, Generate, Json, Message, Request, Sample, Sampling, Score, canonical_json, freeze

STEP = 90  # after all steps of a strategy: a sample that only waits for its opinion goes first


@dataclass(frozen=True, slots=True)
class Told:
    """What an endpoint replied. `problem` is a sentence of ours where the call failed, then `text` is empty."""

    text: str
    problem: str = ""
    requests: tuple[str, ...] = ()
    simulated: bool = False


async def ask_endpoint(generate: Generate, request: Request) -> Told:
    """One reply, or why there is none. Raises ServiceStopped only."""
    try:
        response = await generate(request)
    except ServiceStopped:
        raise
    except ProviderError as error:
        return Told("", f"no opinion: the call failed ({error.reason})")
    return Told(response.text, "", (response.key,) if response.key else (), response.simulated)


def scored(
    sample: Sample,
    scores: Mapping[str, Score],
    *,
    requests: Sequence[str] = (),
    simulated: bool = False,
    notes: Mapping[str, Json] = EMPTY,
) -> Sample:
    """The sample with `scores` added to its own. The opinion's requests join the sample's, so that their cost is accounted for, and `notes`
    its provenance's: what was found, where a number alone would not tell."""
    before = sample.provenance
    provenance = replace(
        before,
        requests=(*before.requests, *requests),
        simulated=before.simulated or simulated,
        notes=freeze({**before.notes, **notes}) if notes else before.notes,
    )
    return replace(sample, scores=freeze({**sample.scores, **scores}), provenance=provenance)


def share(part: int, whole: int) -> float:
    """`part` of `whole`, from 0 to 1 with four decimals, as scores are kept."""
    return round(part / whole, 4)


def closed(properties: Mapping[str, Json]) -> Json:
    """The JSON schema of an object that has all of `properties` and no other: what strict modes demand."""
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


def listed(name: str, entry: Json) -> Json:
    """The schema of `{name: [entry, …]}`."""
    return closed({name: {"type": "array", "items": entry}})


class Asks(Protocol):
    """The options that every judge has which asks a chat model for JSON."""

    @property
    def name(self) -> str: ...
    @property
    def temperature(self) -> float: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def structured(self) -> bool: ...


def question(judge: Asks, model: str, part: str, messages: tuple[Message, ...], schema: Json, draw: int) -> Request:
    """A request for JSON of `schema` on behalf of `judge`; `part` names the step for accounting (`claims.split`)."""
    return Request(
        model=model,
        messages=messages,
        sampling=Sampling(temperature=judge.temperature, max_tokens=judge.max_tokens),
        response_schema=canonical_json(schema) if judge.structured else None,
        draw=draw,
        purpose=f"{judge.name}.{part}",
        step=STEP,
    )
