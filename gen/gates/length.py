"""Keep prompts and replies of a sensible length."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from gen.bounds import to_try
from gen.text import contents, count_words, estimate_tokens
from gen.types import Sample, Verdict, kept, rejected

PRESETS = MappingProxyType({"textbook": (10, 500), "course": (20, 2000)})  # words of a reply
_MIN_WORDS, _MAX_WORDS = 1, 4000


@dataclass(frozen=True, slots=True)
class Length:
    """Rejects replies and prompts that are too short or too long, in words, characters or estimated tokens.

    The defaults only catch the absurd: a rightly short answer ("Paris.") passes. `preset` sets the bounds of a reply for a kind of data:
    `textbook` 10 to 500 words (the range of textbook-style synthetic sets), `course` 20 to 2000 (answers for instruction tuning usually
    lie within 20 to 1000); `min_words` and `max_words` go before it. Chinese and Japanese count two characters as a word, Thai five.
    The minimum of a prompt concerns the first user turn only ("yes" may follow); `max_tokens` all turns together, `max_prompt_tokens` and
    `max_reply_tokens` the turns of one role, about four characters each. The bounds by default (`min_characters`, `max_characters`,
    `min_prompt_words`, `max_prompt_words`, `max_prompt_characters` among them) are ours: ten pages, beyond which a text is a
    paste or a loop.
    Reasons: `too_short`, `too_long`, `prompt_too_short`, `prompt_too_long`, `too_many_tokens`.

    >>> from gen.types import Message
    >>> PLUGIN(min_words=2).check(Sample("1", (Message("user", "Capital?"), Message("assistant", "Paris.")))).detail
    'reply: 1 words, minimum 2'
    """

    min_words: int | None = None
    max_words: int | None = None
    min_characters: int = 1
    max_characters: int = 40_000
    min_prompt_words: int = 1
    max_prompt_words: int = 4_000
    max_prompt_characters: int = 40_000
    max_tokens: int = 16_384
    preset: Literal["textbook", "course"] | None = None
    max_prompt_tokens: int | None = None
    max_reply_tokens: int | None = None

    thresholds = to_try(min_words=(1, 2, 3, 5, 10, 15, 20, 30, 50), max_words=(200, 300, 500, 1_000, 2_000, 4_000))

    def __post_init__(self) -> None:
        fewest, most = self._reply_words()
        for low, high, what in (
            (fewest, most, "words"),
            (self.min_characters, self.max_characters, "characters"),
            (self.min_prompt_words, self.max_prompt_words, "prompt_words"),
            (1, self.max_prompt_characters, "prompt_characters"),
            (1, self.max_tokens, "tokens"),
            (1, self.max_tokens if self.max_prompt_tokens is None else self.max_prompt_tokens, "prompt_tokens"),
            (1, self.max_tokens if self.max_reply_tokens is None else self.max_reply_tokens, "reply_tokens"),
        ):
            if not 0 <= low <= high:
                raise ValueError(f"the bounds of {what} must hold 0 <= minimum <= maximum, got {low} and {high}")

    def check(self, sample: Sample) -> Verdict:
        prompts, replies = contents(sample, "user"), contents(sample, "assistant")
        reason, detail = self._of_prompts(prompts)
        if not reason:
            reason, detail = self._of_replies(replies)
        if not reason:
            reason, detail = self._of_tokens(sample)
        return rejected("length", reason, detail) if reason else kept("length")

    def _of_tokens(self, sample: Sample) -> tuple[str, str]:
        whole = [(message.role, estimate_tokens(message.content)) for message in sample.messages if isinstance(message.content, str)]
        for what, roles, most in (
            ("conversation", (), self.max_tokens),
            ("prompt", ("user",), self.max_prompt_tokens),
            ("reply", ("assistant",), self.max_reply_tokens),
        ):
            total = 0 if most is None else sum(tokens for role, tokens in whole if not roles or role in roles)
            if most is not None and total > most:
                return "too_many_tokens", f"{what}: about {total} tokens, maximum {most}"
        return "", ""

    def _reply_words(self) -> tuple[int, int]:
        fewest, most = PRESETS[self.preset] if self.preset else (_MIN_WORDS, _MAX_WORDS)
        return (fewest if self.min_words is None else self.min_words, most if self.max_words is None else self.max_words)

    def _of_prompts(self, prompts: tuple[str, ...]) -> tuple[str, str]:
        for place, text in enumerate(prompts):
            count = count_words(text)
            if place == 0 and count < self.min_prompt_words:
                return "prompt_too_short", f"prompt: {count} words, minimum {self.min_prompt_words}"
            if count > self.max_prompt_words:
                return "prompt_too_long", f"prompt: {count} words, maximum {self.max_prompt_words}"
            if len(text) > self.max_prompt_characters:
                return "prompt_too_long", f"prompt: {len(text)} characters, maximum {self.max_prompt_characters}"
        return "", ""

    def _of_replies(self, replies: tuple[str, ...]) -> tuple[str, str]:
        fewest, most = self._reply_words()
        for text in replies:
            count, characters = count_words(text), len(text.strip())
            if count < fewest:
                return "too_short", f"reply: {count} words, minimum {fewest}"
            if characters < self.min_characters:
                return "too_short", f"reply: {characters} characters, minimum {self.min_characters}"
            if count > most:
                return "too_long", f"reply: {count} words, maximum {most}"
            if characters > self.max_characters:
                return "too_long", f"reply: {characters} characters, maximum {self.max_characters}"
        return "", ""


PLUGIN = Length
