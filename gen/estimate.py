"""What a recipe would ask, take and cost: pure arithmetic from a rehearsal, the model lines and, where there is one, an earlier run.

Every figure is a range. Its ends are a high and a low yield (accepted among candidates) and short and long replies; with an earlier run
they come from that run's own yields and token counts. A price that nobody knows stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from gen.llm.prices import Price, price_of
from gen.parts import Parts
from gen.recipe import Config, ModelLine
from gen.rehearsal import Rehearsal, Rehearsed, Step
from gen.sequences import DEFAULT_LAG
from gen.types import Call, SequenceEnd, Usage

# Accepted among candidates. Published funnels of generate-and-filter runs lie between; a strict judge can be below, see --from.
YIELDS = (0.95, 0.60)
# A real model's replies against the simulator's, in tokens: it keeps to lengths that a prompt asks for and is short where none is.
REPLY_LENGTHS = (1.0, 2.0)
# A hosted model's reply: the time to its first token, and its tokens per second. Assumed, not measured.
SECONDS_TO_FIRST_TOKEN = 1.0
TOKENS_PER_SECOND = 60.0
# A batch, from its sending to its results: OpenAI and Anthropic promise a day; most are over within the hour, small ones within minutes.
BATCH_SECONDS = (900.0, 86400.0)
CALLS_PER_TASK = 3  # of one task in flight at once, about
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Between:
    """A range with both ends included."""

    low: float
    high: float

    def __add__(self, other: Between) -> Between:
        return Between(self.low + other.low, self.high + other.high)

    def times(self, other: Between) -> Between:
        """The product of two ranges of numbers that are not negative."""
        return Between(self.low * other.low, self.high * other.high)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run: strategy → (accepted, candidates), and purpose → (mean input tokens, mean output tokens) of a call."""

    yields: Mapping[str, tuple[int, int]]
    tokens: Mapping[str, tuple[float, float]]
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """The calls for one purpose to one model; tokens per call."""

    model: str
    purpose: str
    calls: Between
    input_tokens: Between
    output_tokens: Between


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """What one model line is asked in all. `usd` is None where the price is unknown; `seconds` at the line's rates and concurrency, and
    `bound_by` says which of them it is."""

    model: str
    calls: Between
    input_tokens: Between
    output_tokens: Between
    usd: Between | None
    price: str
    seconds: Between
    bound_by: str


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap of the recipe against what is needed. `need` is None where a price is unknown; `accepted` is about where the run would stop,
    None when it fits."""

    key: str
    cap: float
    need: Between | None
    accepted: Between | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A recipe's estimate. `usd` is None when a model that is asked has no known price, `usd_known` the sum of those that have one."""

    goal: int
    rehearsed: tuple[int, int]
    yields: Between
    candidates: Between
    steps: tuple[StepEstimate, ...]
    models: tuple[ModelEstimate, ...]
    calls: Between
    tokens: Between
    usd: Between | None
    usd_known: Between
    seconds: Between
    caps: tuple[Cap, ...]


def estimate(
    config: Config, rehearsal: Rehearsal, *, busy: int, earlier: Earlier | None = None, rounds: Between = Between(0, 0)
) -> Estimate:
    """The whole estimate. `busy` is how many requests the recipe's sequences can keep in flight, from `busy_requests`; `rounds` how many
    batches it waits for one after another."""
    candidates, steps = Between(0, 0), []
    for one in rehearsal.strategies:
        needed = candidates_needed(one, yields_of(one.strategy, earlier))
        candidates += needed
        scale = Between(needed.low / max(1, one.candidates), needed.high / max(1, one.candidates))
        steps += [_step(step, scale, config.models[step.model], earlier) for step in one.steps]
    share = rehearsal.goal / max(1, rehearsal.accepted)
    steps += [_step(step, Between(share, share), config.models[step.model], earlier) for step in rehearsal.pairs]
    together = tuple(_merged(steps))
    prices = {name: price_of(config.models[name]) for name in dict.fromkeys(step.model for step in together)}
    models = tuple(
        _model(name, config.models[name], price, [step for step in together if step.model == name], rounds)
        for name, price in prices.items()
    )
    calls = _sum(one.calls for one in models)
    tokens = _sum(one.input_tokens + one.output_tokens for one in models)
    known = _sum(one.usd for one in models if one.usd is not None)
    usd = known if all(one.usd is not None for one in models) else None
    seconds = _seconds_together(config.models, models, together, busy)
    needs = {"budget.usd": usd, "budget.tokens": tokens, "budget.calls": calls}
    needs |= {"goal.max_candidates": candidates, "goal.max_minutes": Between(seconds.low / 60, seconds.high / 60)}
    overall = Between(rehearsal.goal / max(1.0, candidates.high), rehearsal.goal / max(1.0, candidates.low))
    return Estimate(
        goal=rehearsal.goal,
        rehearsed=(rehearsal.accepted, rehearsal.candidates),
        yields=overall,
        candidates=candidates,
        steps=together,
        models=models,
        calls=calls,
        tokens=tokens,
        usd=usd,
        usd_known=known,
        seconds=seconds,
        caps=tuple(compare(key, cap, needs[key], rehearsal.goal) for key, cap in _caps(config).items()),
    )


def earlier_run(ends: Iterable[SequenceEnd], calls: Iterable[Call]) -> Earlier:
    """What a run's ledger tells: yields per strategy, mean tokens per purpose."""
    yields: dict[str, tuple[int, int]] = {}
    for end in ends:
        accepted, candidates = yields.get(end.strategy, (0, 0))
        yields[end.strategy] = (accepted + end.accepted, candidates + end.candidates)
    sums: dict[str, list[int]] = {}
    simulated = False
    for call in calls:
        row = sums.setdefault(call.purpose, [0, 0, 0])
        for place, value in enumerate((1, call.usage.input_tokens, call.usage.output_tokens)):
            row[place] += value
        simulated = simulated or call.simulated
    return Earlier(yields, {name: (row[1] / row[0], row[2] / row[0]) for name, row in sums.items()}, simulated)


def yields_of(strategy: str, earlier: Earlier | None) -> Between:
    """The worst and the best yield to reckon with: assumed, or the interval around that of the earlier run's same strategy, of all its
    strategies where it has not this one."""
    if earlier is None:
        return Between(min(YIELDS), max(YIELDS))
    accepted, candidates = earlier.yields.get(strategy) or (
        sum(one for one, _ in earlier.yields.values()),
        sum(one for _, one in earlier.yields.values()),
    )
    return wilson(accepted, candidates)


def wilson(good: int, of: int) -> Between:
    """Wilson's interval for a share, at 95 % (Wilson 1927, JASA 22, 209–212); never 0 at its lower end, so that it can be divided by.

    >>> wilson(80, 100)  # doctest: +ELLIPSIS
    Between(low=0.7111..., high=0.8666...)
    """
    if of <= 0:
        return Between(min(YIELDS), max(YIELDS))
    z = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
    share, centre = good / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / centre
    half = z / centre * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Between(max(0.5 / of, middle - half), min(1.0, middle + half))


def candidates_needed(one: Rehearsed, yields: Between) -> Between:
    """Candidates until every sequence has its quota: whole tasks, of several samples each where a strategy asks so."""

    def at(share: float) -> float:
        size = one.samples_per_task
        return float(sum(math.ceil(quota / share / size) * size for quota in one.quotas))

    return Between(at(yields.high), at(yields.low))


def compare(key: str, cap: float, need: Between | None, goal: int) -> Cap:
    """A cap against the need: where the need's worst end is above it, about how many would be accepted by then."""
    if need is None or need.high <= cap:
        return Cap(key, cap, need, None)
    return Cap(key, cap, need, Between(math.floor(goal * cap / need.high), min(goal, math.floor(goal * cap / max(need.low, 1e-12)))))


def busy_requests(parts: Parts) -> int:
    """About how many requests the sequences can keep in flight: each has at most `lag` tasks under way."""
    lags = {title: int(getattr(strategy, "lag", DEFAULT_LAG)) for title, strategy in parts.strategies.items()}
    return sum(lags[spec.title] for spec in parts.sequences if spec.quota > 0) * CALLS_PER_TASK


def _step(step: Step, scale: Between, line: ModelLine, earlier: Earlier | None) -> StepEstimate:
    """A rehearsed step at the size of the whole goal."""
    calls = Between(step.calls, step.calls).times(scale)
    known = earlier.tokens.get(step.purpose) if earlier is not None else None
    if known is not None:
        return StepEstimate(step.model, step.purpose, calls, Between(known[0], known[0]), Between(known[1], known[1]))
    asked, said = step.input_tokens / step.calls, step.output_tokens / step.calls
    longest = max(said, min(said * max(REPLY_LENGTHS), float(line.max_tokens)))
    return StepEstimate(step.model, step.purpose, calls, Between(asked, asked), Between(said * min(REPLY_LENGTHS), longest))


def _merged(steps: Iterable[StepEstimate]) -> Iterable[StepEstimate]:
    """One step per model and purpose: judges are asked under several strategies."""
    groups: dict[tuple[str, str], list[StepEstimate]] = {}
    for step in steps:
        groups.setdefault((step.model, step.purpose), []).append(step)
    for (model, purpose), group in groups.items():
        calls = _sum(step.calls for step in group)
        tokens = (
            Between(
                sum(getattr(step, name).low * step.calls.low for step in group) / max(calls.low, 1e-12),
                sum(getattr(step, name).high * step.calls.high for step in group) / max(calls.high, 1e-12),
            )
            for name in ("input_tokens", "output_tokens")
        )
        yield StepEstimate(model, purpose, calls, *tokens)


def _model(name: str, line: ModelLine, price: Price | None, steps: list[StepEstimate], rounds: Between) -> ModelEstimate:
    calls = _sum(step.calls for step in steps)
    asked, said = _sum(step.calls.times(step.input_tokens) for step in steps), _sum(step.calls.times(step.output_tokens) for step in steps)
    waiting = _sum(_call_seconds(step, line) for step in steps)
    slots = line.max_concurrency
    bounds = {
        "max_concurrency": Between(waiting.low / slots, waiting.high / slots),
        "requests_per_minute": _at(line.requests_per_minute, calls),
        "tokens_per_minute": _at(line.tokens_per_minute, asked + said),
        "input_tokens_per_minute": _at(line.input_tokens_per_minute, asked),
        "output_tokens_per_minute": _at(line.output_tokens_per_minute, said),
    }
    if line.mode == "batch":
        bounds = {"batches one after another": rounds.times(Between(min(BATCH_SECONDS), max(BATCH_SECONDS)))}
    slowest = max(bounds, key=lambda key: bounds[key].high)
    return ModelEstimate(
        model=name,
        calls=calls,
        input_tokens=asked,
        output_tokens=said,
        usd=None if price is None else _sum(_cost(step, price) for step in steps),
        price="unknown" if price is None else price.source,
        seconds=Between(max(one.low for one in bounds.values()), max(one.high for one in bounds.values())),
        bound_by=slowest,
    )


def _cost(step: StepEstimate, price: Price) -> Between:
    """Priced call by call, since a price may depend on a prompt's length; prompt caching, which makes it cheaper, is not reckoned with."""
    low = price.cost(Usage(math.floor(step.input_tokens.low), math.floor(step.output_tokens.low)))
    high = price.cost(Usage(math.ceil(step.input_tokens.high), math.ceil(step.output_tokens.high)))
    return step.calls.times(Between(low, high))


def _call_seconds(step: StepEstimate, line: ModelLine) -> Between:
    """Seconds that the calls of a step take one after the other; the simulator answers as fast as it is told."""
    if line.provider == "simulator":
        fixed = (float(line.simulator.get("latency_ms", 0)) + float(line.simulator.get("jitter_ms", 0))) / 1000
        return step.calls.times(Between(fixed, fixed))
    low, high = (SECONDS_TO_FIRST_TOKEN + tokens / TOKENS_PER_SECOND for tokens in (step.output_tokens.low, step.output_tokens.high))
    return step.calls.times(Between(low, high))


def _seconds_together(lines: Mapping[str, ModelLine], models: Iterable[ModelEstimate], steps: Iterable[StepEstimate], busy: int) -> Between:
    """Models work side by side: the slowest decides, or how few requests the sequences keep in flight."""
    live = [step for step in steps if lines[step.model].mode == "live"]
    waiting = _sum(_call_seconds(step, lines[step.model]) for step in live)
    in_flight = max(1, min(busy, sum(line.max_concurrency for line in lines.values() if line.mode == "live")))
    return Between(
        max([waiting.low / in_flight, *(one.seconds.low for one in models)]),
        max([waiting.high / in_flight, *(one.seconds.high for one in models)]),
    )


def _at(per_minute: float | None, amount: Between) -> Between:
    return Between(0, 0) if per_minute is None else Between(amount.low * 60 / per_minute, amount.high * 60 / per_minute)


def _caps(config: Config) -> dict[str, float]:
    given = {
        "budget.usd": config.budget.usd,
        "budget.tokens": config.budget.tokens,
        "budget.calls": config.budget.calls,
        "goal.max_candidates": config.goal.max_candidates,
        "goal.max_minutes": config.goal.max_minutes,
    }
    return {key: float(cap) for key, cap in given.items() if cap is not None}


def _sum(ranges: Iterable[Between]) -> Between:
    total = Between(0, 0)
    for one in ranges:
        total += one
    return total
