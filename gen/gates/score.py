"""Compares a judge's number with a bound; asking the judge is not its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gen.bounds import to_try
from gen.errors import RecipeError
from gen.record import BESIDE
from gen.types import Sample, Verdict, kept, rejected


@dataclass(frozen=True, slots=True)
class ScoreGate:
    """Rejects a sample whose score lies outside the bounds, or that has none.

    `judge` is a judge's name or label; `aspect` one of its aspects, or empty for its whole score: a rubric's mean, a moderation's highest
    category, a share of claims. A rubric wants a `minimum` (1 to 5), a moderation judge a `maximum` (0 to 1). Reasons: `below_minimum`,
    `above_maximum` (never asked for again: what is harmful must not be coaxed into passing), `no_score` (the opinion stayed unreadable or
    the call failed). The detail names the lowest aspect, or the highest category, where the whole score was looked at.

    >>> from gen.types import Message, Score
    >>> scored = Sample("1", (Message("user", "Why?"),), {"rubric": Score(3.25), "rubric.format": Score(2.0), "rubric.harm": Score(4.5)})
    >>> ScoreGate("rubric", minimum=4).check(scored).detail
    'rubric 3.25, minimum 4; lowest: format 2'
    >>> ScoreGate("rubric", minimum=4, aspect="harm").check(scored).keep
    True
    """

    judge: str
    minimum: float | None = None
    maximum: float | None = None
    aspect: str = ""

    reads_scores: ClassVar[bool] = True
    thresholds = to_try(minimum=(2.0, 2.5, 3.0, 3.5, 4.0, 4.5), maximum=(0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9))

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise RecipeError("give a 'minimum' (a rubric: 1 to 5) or a 'maximum' (moderation: 0 to 1)", key="minimum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise RecipeError(f"must not be above the maximum {self.maximum:g}, got {self.minimum:g}", key="minimum")

    def check(self, sample: Sample) -> Verdict:
        title = f"{self.judge}.{self.aspect}" if self.aspect else self.judge
        score = sample.scores.get(title)
        if score is None or score.value is None:
            whole = score or sample.scores.get(self.judge)
            why = whole.reason if whole is not None and whole.value is None else ""
            return rejected("score", "no_score", why or f"no score of '{title}' on record")
        if self.minimum is not None and score.value < self.minimum:
            return rejected(
                "score", "below_minimum", f"{title} {score.value:.4g}, minimum {self.minimum:g}{self._worst(sample, lowest=True)}"
            )
        if self.maximum is not None and score.value > self.maximum:
            return rejected(
                "score", "above_maximum", f"{title} {score.value:.4g}, maximum {self.maximum:g}{self._worst(sample, lowest=False)}"
            )
        return kept("score")

    def _worst(self, sample: Sample, *, lowest: bool) -> str:
        """The aspect that pulls the whole score to the wrong side."""
        start = f"{self.judge}."
        parts = [
            (score.value, name)
            for name, score in sample.scores.items()
            if name.startswith(start) and score.value is not None and name.removeprefix(start) not in BESIDE
        ]
        if self.aspect or not parts:
            return ""
        value, name = min(parts) if lowest else max(parts)
        return f"; {'lowest' if lowest else 'highest'}: {name.removeprefix(start)} {value:.4g}"


PLUGIN = ScoreGate
