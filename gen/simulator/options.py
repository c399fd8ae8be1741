"""What the simulator can be told: how its texts go wrong, how its wire fails, how fast and how much it answers.

Only the version, the seed and the flaws can change a text; they are the simulator's `identity()`, which belongs into a cache key. Faults,
latency, limits and the port change when and whether a text arrives, never what it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from gen.errors import RecipeError
from gen.plugins import suggest
from gen.types import Json

TEXT_VERSION = 2  # raise it with every change of the texts: old cache entries are then no longer taken for new ones

# Share of replies with each flaw: 15.5 % together for an answer, 23 % for a list of instructions (of which few are then flawed). Chosen so
# that every gate has work in a run of 200 samples, not measured on a real model.
DEFAULT_FLAWS: Mapping[str, float] = MappingProxyType(
    {
        "duplicate": 0.03,  # instructions: one of a few that this topic always gets
        "near_duplicate": 0.02,  # instructions: the same with other case, punctuation or politeness
        "refusal": 0.025,
        "wrong_language": 0.025,
        "too_short": 0.025,
        "cut_off": 0.02,  # ends in the middle of a sentence, finish reason "length"
        "repetitive": 0.02,
        "pii": 0.015,  # an invented e-mail address, telephone or card number
        "secret": 0.01,  # an invented key in a well-known form
        "broken_json": 0.015,  # only where JSON was asked for
        "template_leak": 0.015,  # control tokens of a chat template in the text
        "unsafe": 0.01,  # instructions: a request that a moderation endpoint flags
    }
)
BATCH_FAULTS = ("item_error", "item_expired", "failed", "expired")
FAULTS = ("rate_limit", "server_error", "overloaded", "reset", "hang", "truncated_body", "invalid_json")

LIMITS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")


@dataclass(frozen=True)
class SimulatorOptions:
    """Rates are shares from 0 to 1; a flaw or fault that is not named has rate 0. The limits per minute are enforced
    with 429 over a bucket of `burst_seconds`, and told in headers where `limit_headers` is true. `rate_limit_first` is how many 429s each
    distinct request gets before its first success, `retry_after_seconds` what they and the fault `rate_limit` say. A hanging request is
    answered after `hang_seconds`.
    Latency is `latency_ms` plus a lognormal share of `jitter_ms` (median 1, sigma `jitter_sigma`: 0.5 is mild, 1.5 a heavy tail).
    `api_key` and `models` are checked only when given; a prompt longer than `context_tokens` or holding `reject_containing` gets a 400.
    A batch is over after `batch_seconds`; of `batch_faults`, `item_error` and `item_expired` are shares of requests, drawn anew with each
    batch, and `failed` and `expired` shares of whole batches."""

    seed: int = 0
    flaws: Mapping[str, float] = field(default_factory=lambda: DEFAULT_FLAWS)
    faults: Mapping[str, float] = field(default_factory=dict)
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_sigma: float = 0.5
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    limit_headers: bool = True
    burst_seconds: float = 1.0
    rate_limit_first: int = 0
    retry_after_seconds: float = 0.05
    reject_containing: str | None = None
    hang_seconds: float = 60.0
    api_key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ()
    context_tokens: int = 128_000
    batch_seconds: float = 0.0
    batch_faults: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "flaws", MappingProxyType(_rates("flaws", self.flaws, list(DEFAULT_FLAWS))))
        object.__setattr__(self, "faults", MappingProxyType(_rates("faults", self.faults, list(FAULTS))))
        batch_faults = _rates("batch_faults", self.batch_faults, list(BATCH_FAULTS))
        object.__setattr__(self, "batch_faults", MappingProxyType(batch_faults))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise RecipeError(f"must be a whole number, got {self.seed!r}", key="seed")
        for name in ("latency_ms", "jitter_ms", "jitter_sigma", "retry_after_seconds", "hang_seconds", "batch_seconds"):
            _number(name, getattr(self, name), at_least=0)
        for name in LIMITS:
            if getattr(self, name) is not None:
                _number(name, getattr(self, name), above=0)
        _number("burst_seconds", self.burst_seconds, above=0)
        if not isinstance(self.limit_headers, bool):
            raise RecipeError(f"must be true or false, got {self.limit_headers!r}", key="limit_headers")
        for name, least in (("rate_limit_first", 0), ("context_tokens", 1)):
            value = _number(name, getattr(self, name), at_least=least)
            if not isinstance(value, int):
                raise RecipeError(f"must be a whole number, got {value!r}", key=name)
        for name in ("api_key", "reject_containing"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise RecipeError("must be a text that is not empty", key=name)
        if not all(isinstance(name, str) and name for name in self.models):
            raise RecipeError(f"must be a list of model names, got {self.models!r}", key="models")

    def identity(self) -> dict[str, Json]:
        """All that can change a text, and nothing else: version, seed, flaws with a rate above 0."""
        return {"version": TEXT_VERSION, "seed": self.seed, "flaws": {name: rate for name, rate in sorted(self.flaws.items()) if rate}}


def from_mapping(mapping: Mapping[str, Any]) -> SimulatorOptions:
    """Options as a recipe or a command gives them.

    `flaws` is either a mapping, whose rates replace the defaults of the same names, or a number that scales all defaults: 0 turns them
    off. Raises RecipeError with the key at fault and the right names.

    >>> from_mapping({"seed": 3, "flaws": {"refusal": 0.5}}).flaws["refusal"]
    0.5
    """
    if not isinstance(mapping, Mapping):
        raise RecipeError(f"simulator options must be a mapping, got {mapping!r}")
    known = [item.name for item in fields(SimulatorOptions)]
    for key in mapping:
        if key not in known:
            raise RecipeError(f"unknown simulator option '{key}': {suggest(str(key), known)}", key=str(key))
    values = dict(mapping)
    if "flaws" in values:
        values["flaws"] = _given_flaws(values["flaws"])
    if "models" in values:
        if not isinstance(values["models"], list | tuple):
            raise RecipeError(f"must be a list of model names, got {values['models']!r}", key="models")
        values["models"] = tuple(values["models"])
    return SimulatorOptions(**values)


def _given_flaws(given: Any) -> Mapping[str, float]:
    if isinstance(given, Mapping):
        return {**DEFAULT_FLAWS, **given}
    factor = _number("flaws", given, at_least=0)
    return {name: min(1.0, rate * factor) for name, rate in DEFAULT_FLAWS.items()}


def _rates(key: str, given: Any, known: list[str]) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise RecipeError(f"must be a mapping of names to rates from 0 to 1, got {given!r}", key=key)
    rates: dict[str, float] = {}
    for name, rate in given.items():
        if name not in known:
            raise RecipeError(f"unknown name '{name}': {suggest(str(name), known)}", key=f"{key}.{name}")
        rates[name] = float(_number(f"{key}.{name}", rate, at_least=0))
        if rates[name] > 1:
            raise RecipeError(f"must be from 0 to 1, got {rate!r}", key=f"{key}.{name}")
    if sum(rates.values()) > 1 and key == "faults":
        raise RecipeError(f"rates must add up to 1 at most, got {sum(rates.values()):g}", key=key)
    return rates


def _number(key: str, value: Any, *, at_least: float | None = None, above: float | None = None) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RecipeError(f"must be a number, got {value!r}", key=key)
    if at_least is not None and value < at_least:
        raise RecipeError(f"must be at least {at_least:g}, got {value!r}", key=key)
    if above is not None and value <= above:
        raise RecipeError(f"must be above {above:g}, got {value!r}", key=key)
    return value
