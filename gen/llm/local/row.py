"""One request in a batch of a model in this process: what it may write, what it has written, and when it is over. Pure; knows no PyTorch.

Nothing here depends on what else is in the batch. What decides a token by chance comes from the request's draw and the token's place
alone, so a row may leave a batch and go on in another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from gen.types import FinishReason

_EXTRA_TOKENS = 4  # before the window that may hold a stop: a character's bytes may be cut at its edge
_LEAST_STEPS = 16  # of a batch before it is put together anew: reading a prompt costs about as much as writing a few tokens


@dataclass(slots=True, eq=False)
class Row:
    """`prompt` and `tokens` are token ids. `cancelled` is set by whoever waits for it, from another thread; the row then ends with the
    present step."""

    prompt: list[int]
    max_tokens: int
    draw: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    stops: tuple[str, ...] = ()
    tokens: list[int] = field(default_factory=list)
    finish: FinishReason | None = None
    ended_by_token: bool = False
    cancelled: bool = False

    @property
    def over(self) -> bool:
        return self.finish is not None or self.cancelled

    @property
    def seed(self) -> int:
        """What the next token's randomness follows from, as a signed number of 64 bits."""
        told = blake2b(f"{self.draw}:{len(self.tokens)}".encode(), digest_size=8).digest()
        return int.from_bytes(told, "big", signed=True)

    def take(self, token: int, ends: Collection[int], text: Callable[[Sequence[int]], str]) -> None:
        """The model's next token; `ends` are those that end a reply, `text` makes text of tokens."""
        if self.over:
            return
        self.tokens.append(token)
        if token in ends:
            self.finish, self.ended_by_token = "stop", True
        elif self._stopped(text):
            self.finish = "stop"
        elif len(self.tokens) >= self.max_tokens:
            self.finish = "length"

    def reply(self, text: Callable[[Sequence[int]], str]) -> str:
        """What was written before the token or the stop that ended it."""
        said = text(self.tokens[:-1] if self.ended_by_token else self.tokens)
        return said[: min((place for stop in self.stops if (place := said.find(stop)) >= 0), default=len(said))]

    def _stopped(self, text: Callable[[Sequence[int]], str]) -> bool:
        """Whether a stop stands at the end of what was written: no token is shorter than a byte."""
        if not self.stops:
            return False
        window = max(len(stop.encode("utf-8", "replace")) for stop in self.stops) + _EXTRA_TOKENS
        said = text(self.tokens[-window:])
        return any(stop in said for stop in self.stops)


def enough(rows: Sequence[Row], *, waiting: int, places: int, steps: int) -> bool:
    """Whether a batch should end: all rows are over, or a quarter of the places could be filled with requests that wait, and reading the
    prompts anew for that is paid off by the steps since the last time."""
    left = sum(not row.over for row in rows)
    if left == 0:
        return True
    free = places - left
    return waiting > 0 and steps >= _LEAST_STEPS and free >= min(waiting, max(1, places // 4))
