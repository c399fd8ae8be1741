"""Figures that measure: lengths, scores, novelty, cost, pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from statistics import fmean

from gen.figures.counts import middle
from gen.figures.facts import Fact
from gen.record import BESIDE, GateLine
from gen.text import count_words
from gen.types import Call, Dropped, Message, Preference, SequenceEnd

_BINS = 48
_MOST_VALUES, _STEPS = 24, 10  # of a judge: more values than these are binned into steps
_WINDOWS = 12  # points of a novelty line
_CURVE = 60  # points of the cost curve
_SATURATED = "saturated"
_Z = 1.96  # 95 %


@dataclass(frozen=True, slots=True)
class Spread:
    """Lengths in words of one strategy's prompts or replies. `heights` is the histogram over equal steps of the logarithm between the
    figure's ends, smoothed, its highest value 1."""

    strategy: str
    part: str
    count: int
    low: int
    middle: int
    high: int
    heights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """All spreads on one axis from `first` to `last` words."""

    first: int
    last: int
    spreads: tuple[Spread, ...]

    def position(self, words: float) -> float:
        """Where a length lies on the logarithmic axis, from 0 to 1."""
        return min(1.0, max(0.0, log10(max(words, 1) / self.first) / (log10(self.last / self.first) or 1.0)))


@dataclass(frozen=True, slots=True)
class Scores:
    """One judge's opinions: (value, accepted, rejected) in rising order; `minimum` and `maximum` as a gate has them; `at_ceiling` the share
    of opinions at the highest value seen; `with_length` Pearson's correlation with the logarithm of the reply's words, None when undefined.
    `part_of` names the judge read by a maximum of which this is one category that no gate compares by itself, or beside whose opinion a
    number of another scale was kept (`beside`): a count of claims, how far the draws lie apart."""

    judge: str
    values: tuple[tuple[float, int, int], ...]
    minimum: float | None
    maximum: float | None
    unreadable: int
    at_ceiling: float
    with_length: float | None
    part_of: str = ""
    beside: bool = False

    @property
    def count(self) -> int:
        return sum(accepted + rejected for _, accepted, rejected in self.values)

    @property
    def graded(self) -> bool:
        """Whether higher is better: neither a number beside an opinion, nor read by a maximum, nor a share from 0 to 1, such as a
        moderation category's."""
        return not self.beside and self.maximum is None and bool(self.values) and self.values[-1][0] > 1

    @property
    def bounds(self) -> str:
        """What a gate compares them with, as `minimum 4` or `maximum 0.5`; empty where none does."""
        stated = (("minimum", self.minimum), ("maximum", self.maximum))
        return ", ".join(f"{name} {value:g}" for name, value in stated if value is not None)

    @property
    def highest(self) -> float | None:
        """The highest value; None without an opinion."""
        return self.values[-1][0] if self.values else None

    @property
    def middle(self) -> float | None:
        """The lower median; None without an opinion."""
        below, half = 0, (self.count + 1) // 2
        for value, accepted, rejected in self.values:
            below += accepted + rejected
            if below >= half:
                return value
        return None

    @property
    def binned(self) -> tuple[tuple[float, int, int], ...]:
        """The values where they are few; else ten equal steps from the lowest to the highest, named by where they begin."""
        if len(self.values) <= _MOST_VALUES:
            return self.values
        first, last = self.values[0][0], self.values[-1][0]
        step = (last - first) / _STEPS
        sums = [[0, 0] for _ in range(_STEPS)]
        for value, kept, lost in self.values:
            at = min(_STEPS - 1, int((value - first) / step))
            sums[at][0] += kept
            sums[at][1] += lost
        return tuple((_rounded(first + step * at, 3), kept, lost) for at, (kept, lost) in enumerate(sums))


@dataclass(frozen=True, slots=True)
class Novelty:
    """How new a topic's accepted prompts still are: (accepted so far, mean share of new word pairs in the window that ends there)."""

    topic: str
    points: tuple[tuple[int, float], ...]
    saturated: bool


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one model or one step of the work came to; `cost` is None when a price is unknown."""

    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """USD of every reply that a candidate on record was made from. `total` and `per_accepted` are None when a price is unknown: `known` is
    then the part that is. `curve` is (accepted so far, cost so far / accepted so far), empty unless every price is known."""

    calls: int
    unpriced: int
    known: float
    total: float | None
    per_accepted: float | None
    calls_per_accepted: float | None
    curve: tuple[tuple[int, float], ...]
    by_model: tuple[CostLine, ...]
    by_step: tuple[CostLine, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """The preference pairs: per source (made, median margin), reasons why others were dropped, and the length of the chosen answers."""

    made: int
    sources: tuple[tuple[str, int, float | None], ...]
    dropped: tuple[tuple[str, str, int], ...]
    margins: tuple[tuple[float, int], ...]
    longer_wins: float
    median_difference: int


def lengths(candidates: Sequence[Fact]) -> Lengths | None:
    """Accepted prompts and replies per strategy; None without accepted samples."""
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for fact in candidates:
        if fact.accepted:
            found[fact.strategy, "prompt"].append(max(1, fact.prompt_words))
            found[fact.strategy, "reply"].append(max(1, fact.reply_words))
    if not found:
        return None
    first = min(map(min, found.values()))
    figure = Lengths(first, max(first + 1, *map(max, found.values())), ())
    spreads = [_spread(figure, *pair, sorted(values)) for pair, values in found.items()]
    return Lengths(figure.first, figure.last, tuple(spreads))


def scores(candidates: Sequence[Fact], gates: Sequence[GateLine]) -> tuple[Scores, ...]:
    """One figure per judge that gave opinions, in the order first met."""
    opinions: dict[str, list[tuple[float, Fact]]] = {}
    unreadable: Counter[str] = Counter()
    for fact in candidates:
        for judge, value in fact.scores:
            opinions.setdefault(judge, [])
            if value is None:
                unreadable[judge] += 1
            else:
                opinions[judge].append((value, fact))
    readers = [gate for gate in gates if gate.option("judge")]
    compared = {_score_name(gate): gate for gate in readers}
    shares = [str(gate.option("judge")) for gate in readers if gate.option("maximum") is not None]
    found = []
    for judge, given in opinions.items():
        gate = compared.get(judge)
        base, _, name = judge.rpartition(".")
        whole = next((one for one in shares if judge.startswith(f"{one}.")), base if name in BESIDE else "") if gate is None else ""
        found.append(_scores(judge, given, gate, unreadable[judge], whole))
    return tuple(found)


def own_figures(found: Sequence[Scores]) -> tuple[Scores, ...]:
    """Those that get a figure of their own: all but the categories of a judge that is itself shown, and what it keeps beside them."""
    shown = {one.judge for one in found}
    return tuple(one for one in found if one.part_of not in shown)


def novelty(candidates: Sequence[Fact], sequences: Sequence[SequenceEnd]) -> tuple[Novelty, ...]:
    """One line per topic with at least two windows of accepted prompts."""
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for fact in candidates:
        if fact.new is not None:
            shares[fact.topic].append(fact.new)
    saturated = {end.topic for end in sequences if end.stop == _SATURATED}
    figures = []
    for topic, values in shares.items():
        size = max(3, -(-len(values) // _WINDOWS))
        ends = [*range(size, len(values) + 1, size)]
        if len(ends) > 1:
            points = tuple((end, fmean(values[end - size : end])) for end in ends)
            figures.append(Novelty(topic, points, topic in saturated))
    return tuple(figures)


def cost(candidates: Sequence[Fact], calls: Sequence[Call]) -> Cost:
    """What the run's replies cost, in all, per accepted sample as it went on, per model and per step."""
    accepted = sum(fact.accepted for fact in candidates)
    known = sum(call.cost for call in calls if call.cost is not None)
    unpriced = sum(call.cost is None for call in calls)
    total = None if unpriced else known
    return Cost(
        calls=len(calls),
        unpriced=unpriced,
        known=known,
        total=total,
        per_accepted=total / accepted if total is not None and accepted else None,
        calls_per_accepted=len(calls) / accepted if accepted else None,
        curve=_curve(candidates, accepted) if total else (),
        by_model=_cost_lines(calls, lambda call: f"{call.model} ({call.model_id})" if call.model_id else call.model),
        by_step=_cost_lines(calls, lambda call: call.purpose or "other"),
    )


def pairs(made: Sequence[Preference], dropped: Sequence[Dropped]) -> Pairs | None:
    """None when no pair was tried."""
    if not made and not dropped:
        return None
    margins: defaultdict[str, list[float]] = defaultdict(list)
    for pair in made:
        margins[pair.source].extend([] if pair.margin is None else [pair.margin])
    sources = Counter(pair.source for pair in made)
    differences = [_reply_words(pair.chosen) - _reply_words(pair.rejected) for pair in made]
    reasons = Counter((one.source, one.reason) for one in dropped)
    every = Counter(round(margin, 2) for values in margins.values() for margin in values)
    return Pairs(
        made=len(made),
        sources=tuple((name, count, _middle_margin(margins[name])) for name, count in sources.items()),
        dropped=tuple((*pair, count) for pair, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        margins=tuple(sorted(every.items())),
        longer_wins=sum(difference > 0 for difference in differences) / max(1, len(differences)),
        median_difference=middle(differences),
    )


def interval(good: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927): honest for small counts and near 0 or 1.

    >>> [round(end, 2) for end in interval(47, 50)]
    [0.84, 0.98]
    """
    if not of:
        return 0.0, 1.0
    share, weight = good / of, _Z * _Z / of
    centre, reach = (share + weight / 2) / (1 + weight), _Z / (1 + weight) * sqrt(share * (1 - share) / of + weight / (4 * of))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def _spread(axis: Lengths, strategy: str, part: str, values: Sequence[int]) -> Spread:
    counts = [0.0] * _BINS
    for value in values:
        counts[min(_BINS - 1, floor(axis.position(value) * _BINS))] += 1
    padded = [counts[0], *counts, counts[-1]]
    smooth = [(padded[at] + 2 * padded[at + 1] + padded[at + 2]) / 4 for at in range(_BINS)]
    highest = max(smooth) or 1.0
    at = [values[min(len(values) - 1, floor(share * len(values)))] for share in (0.05, 0.95)]
    return Spread(strategy, part, len(values), at[0], middle(values), at[1], tuple(height / highest for height in smooth))


def _score_name(gate: GateLine) -> str:
    """The score that a gate looks at: a judge's own, or that of one of its aspects."""
    return f"{gate.option('judge')}.{gate.option('aspect')}" if gate.option("aspect") else str(gate.option("judge"))


def _scores(judge: str, given: Sequence[tuple[float, Fact]], gate: GateLine | None, unreadable: int, part_of: str) -> Scores:
    kept = Counter(_rounded(value, 2) for value, fact in given if fact.accepted)
    lost = Counter(_rounded(value, 2) for value, fact in given if not fact.accepted)
    values = tuple((value, kept[value], lost[value]) for value in sorted({*kept, *lost}))
    top = values[-1][1] + values[-1][2] if values else 0
    longs = [log10(max(1, fact.reply_words)) for _, fact in given]
    return Scores(
        judge=judge,
        values=values,
        minimum=_bound(gate, "minimum"),
        maximum=_bound(gate, "maximum"),
        unreadable=unreadable,
        at_ceiling=top / max(1, len(given)),
        with_length=_correlation([value for value, _ in given], longs),
        part_of=part_of,
        beside=judge.rpartition(".")[2] in BESIDE,
    )


def _bound(gate: GateLine | None, name: str) -> float | None:
    value = gate.option(name) if gate else None
    return float(value) if isinstance(value, int | float) else None


def _rounded(value: float, digits: int) -> float:
    """To so many digits behind the point; of a small value so many that count, so that 0.001 does not become 0."""
    return round(value, digits) if abs(value) >= 0.1 else float(f"{value:.{digits}g}")


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    if len(xs) < 10:
        return None
    x_mean, y_mean = fmean(xs), fmean(ys)
    x_spread, y_spread = sum((x - x_mean) ** 2 for x in xs), sum((y - y_mean) ** 2 for y in ys)
    if x_spread * y_spread < 1e-12:
        return None
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sqrt(x_spread * y_spread)


def _curve(candidates: Sequence[Fact], accepted: int) -> tuple[tuple[int, float], ...]:
    every = max(1, accepted // _CURVE)
    spent, kept, points = 0.0, 0, []
    for fact in candidates:
        spent += fact.cost or 0.0
        kept += fact.accepted
        if fact.accepted and (kept % every == 0 or kept == accepted):
            points.append((kept, spent / kept))
    return tuple(points)


def _cost_lines(calls: Sequence[Call], name_of: Callable[[Call], str]) -> tuple[CostLine, ...]:
    grouped: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        grouped[name_of(call)].append(call)
    lines = [
        CostLine(
            name,
            len(group),
            sum(call.usage.input_tokens for call in group),
            sum(call.usage.output_tokens for call in group),
            None if any(call.cost is None for call in group) else sum(call.cost or 0.0 for call in group),
        )
        for name, group in grouped.items()
    ]
    return tuple(sorted(lines, key=lambda one: (-(one.cost or 0.0), -one.calls, one.name)))


def _reply_words(messages: Sequence[Message]) -> int:
    return sum(count_words(message.content) for message in messages if message.role == "assistant")


def _middle_margin(values: Sequence[float]) -> float | None:
    return sorted(values)[(len(values) - 1) // 2] if values else None
