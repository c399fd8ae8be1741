"""The audit's figures: lengths, outliers, balance, and what the pages draw, computed once from the survey."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

import numpy as np
from numpy.typing import NDArray

from gen.audit.contradictions import Contradictions, find_contradictions
from gen.audit.duplicates import Duplicates, find_duplicates
from gen.audit.survey import MAX_VALUES, Survey, Surveyor
from gen.audit.targets import Place, Target
from gen.errors import InputError
from gen.templates.templating import Templating

# Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers": a modified z-score beyond 3.5. Lengths are compared by their logarithm.
OUTLIER_SCORE = 3.5
_OF_MEDIAN, _OF_MEAN = 0.6745, 1.2533  # standard deviation = median absolute deviation / the first, mean absolute deviation × the second
_OUTLIERS_NAMED = 10
_ENOUGH = 20  # records, from which on it can be said what length is usual
_RIDGE_STEPS, _SMOOTHED = 48, np.array([0.25, 0.5, 0.25])
_BINS = 24


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of lengths; `heights` is its histogram over equal steps of the logarithm from 1 to `axis`, its highest value 1."""

    count: int
    mean: float
    median: int
    low: int
    p95: int
    longest: int
    heights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Outliers:
    """Records whose prompt or reply (`side`) is far shorter or longer than the others: (place, words), the farthest first."""

    side: str
    count: int
    named: tuple[tuple[Place, int], ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each value of a field stands, the most frequent first."""

    name: str
    values: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.values)

    @property
    def ratio(self) -> float:
        """The most frequent value's count over the rarest one's."""
        return self.values[0][1] / self.values[-1][1]


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that the audit found. `tokens_by` says how tokens were counted, `max_length` the bound that the data is for, 0 for none;
    `bins` are (first, last, records) of the token histogram."""

    targets: tuple[Target, ...]
    survey: Survey
    duplicates: Duplicates
    tokens_by: str
    estimated: bool
    max_length: int
    tokens: Lengths
    truncated: int
    truncated_places: tuple[Place, ...]
    prompts: Lengths
    replies: Lengths
    axis: int
    bins: tuple[tuple[int, int, int], ...]
    outliers: tuple[Outliers, ...]
    balances: tuple[Balance, ...]
    contradictions: Contradictions

    @property
    def records(self) -> int:
        return self.survey.total

    def count(self, finding: str) -> int:
        """How often the survey found it."""
        tally = self.survey.found.get(finding)
        return tally.count if tally else 0

    def position(self, length: float) -> float:
        """Where a length in words lies on the logarithmic axis, from 0 to 1."""
        return min(1.0, max(0.0, log10(max(length, 1)) / log10(self.axis)))


def audit(
    targets: Sequence[Target],
    templating: Templating | None = None,
    *,
    tokenizer_name: str = "",
    max_length: int = 0,
    processes: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Audit:
    """Read the files and take every figure, and once more where a question stands twice. Some 350 bytes of memory a record. `processes`
    scan them; None leaves it to their number and the machine's.

    Raises InputError when a file cannot be read or none of them holds a record.
    """
    surveyor = Surveyor(targets, templating, progress, processes)
    survey = surveyor.survey
    duplicates = find_duplicates(surveyor.prompts(), survey)
    for target, count, lines in zip(targets, survey.records, survey.unreadable, strict=True):
        if not count:
            why = ", ".join(f"{reason} {number}" for reason, number in lines.most_common())
            raise InputError(f"{target.path}: no record in it ({'unreadable lines: ' + why if why else 'it is empty'})")
    tokens, prompts, replies = (_numbers(one) for one in (survey.tokens, survey.prompt_words, survey.reply_words))
    axis = max(2, int(prompts.max()), int(replies.max()))
    too_long = np.flatnonzero(tokens > max_length) if max_length else np.zeros(0, np.int64)
    return Audit(
        targets=tuple(targets),
        survey=survey,
        duplicates=duplicates,
        tokens_by=f"tokens of {tokenizer_name or templating.tokenizer.name}" if templating else "tokens, estimated",
        estimated=templating is None,
        max_length=max_length,
        tokens=_lengths(tokens, 0),
        truncated=len(too_long),
        truncated_places=tuple(survey.place(int(at)) for at in too_long[:_OUTLIERS_NAMED]),
        prompts=_lengths(prompts, axis),
        replies=_lengths(replies, axis),
        axis=axis,
        bins=_bins(tokens, max_length),
        outliers=tuple(
            one for side, lengths in (("prompt", prompts), ("reply", replies)) if (one := _outliers(survey, side, lengths)).count
        ),
        balances=tuple(_balance(name, values) for name, values in survey.fields.items() if 1 < len(values) <= MAX_VALUES),
        contradictions=find_contradictions(survey),
    )


def _numbers(values: array[int]) -> NDArray[np.int64]:
    return np.frombuffer(values, np.uint32).astype(np.int64)


def _lengths(values: NDArray[np.int64], axis: int) -> Lengths:
    low, median, p95 = (int(value) for value in np.quantile(values, (0.05, 0.5, 0.95), method="nearest"))
    heights: tuple[float, ...] = ()
    if axis:
        counts, _ = np.histogram(np.log10(np.maximum(values, 1)), bins=_RIDGE_STEPS, range=(0.0, log10(axis)))
        smooth = np.convolve(counts, _SMOOTHED, "same")
        heights = tuple(float(value) for value in np.round(smooth / max(1.0, smooth.max()), 4))
    return Lengths(len(values), float(values.mean()), median, low, p95, int(values.max()), heights)


def _bins(tokens: NDArray[np.int64], max_length: int) -> tuple[tuple[int, int, int], ...]:
    """Equal steps that reach the longest record, or the 99th percentile where some are far longer: the last bin then holds the rest.
    With a bound, one bin begins right after it."""
    highest = int(tokens.max())
    most = int(min(highest, 2 * np.quantile(tokens, 0.99)))
    step = max(1, -(-max(most, 1) // _BINS))
    if max_length and max_length < most:
        step = max(1, -(-max_length // max(1, round(max_length / step))))
    edges = np.arange(0, most + 1, step)
    if max_length and max_length < most:
        edges = np.unique(np.append(edges[np.abs(edges - max_length) > step // 2], max_length))
    counts = np.bincount(np.maximum(np.searchsorted(edges, tokens, "left") - 1, 0), minlength=len(edges))
    ends = [*(int(edge) for edge in edges[1:]), max(highest, int(edges[-1]) + 1)]
    return tuple((int(edge) + 1, end, int(count)) for edge, end, count in zip(edges, ends, counts, strict=True))


def _outliers(survey: Survey, side: str, lengths: NDArray[np.int64]) -> Outliers:
    logs = np.log(lengths + 1.0)
    away = np.abs(logs - np.median(logs))
    spread = float(np.median(away)) / _OF_MEDIAN or float(away.mean()) * _OF_MEAN  # the latter where half of all are equally long
    scores = away / spread if spread and len(logs) >= _ENOUGH else np.zeros(len(logs))
    found = np.flatnonzero(scores > OUTLIER_SCORE)
    farthest = found[np.argsort(-scores[found], kind="stable")][:_OUTLIERS_NAMED]
    return Outliers(side, len(found), tuple((survey.place(int(at)), int(lengths[at])) for at in farthest))


def _balance(name: str, values: Counter[str]) -> Balance:
    return Balance(name, tuple(sorted(values.items(), key=lambda item: (-item[1], item[0]))))
