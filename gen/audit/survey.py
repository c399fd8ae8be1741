"""One pass over the files: every figure that needs a record's text is taken here, and no text is kept.

A record leaves some 50 bytes: its place, lengths and two digests, by which copies and questions asked twice are found afterwards.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen import plugins
from gen.audit.answers import question_digest
from gen.audit.preferences import LabelTally, PairTally
from gen.audit.scanning import Scanned, scanned
from gen.audit.targets import Place, Target
from gen.containers import is_hub
from gen.records import Record, Unreadable, read_records
from gen.simulated import of_simulated_run
from gen.templates.chat_template import Unfit
from gen.templates.templating import Templating
from gen.text import count_words, estimate_tokens, normalise, words
from gen.turns import part
from gen.types import Sample

LABEL_FIELDS = ("topic", "label", "category", "class", "intent", "domain", "source", "strategy", "difficulty", "type", "kind", "task")
MAX_VALUES = 500  # of one field: with more it is free text, no label
PLACES_KEPT = 100  # of one finding
_TOKENS_AROUND = 4  # control tokens and the role that a chat template writes around a message, as in ChatML
_OPENING_WORDS = 3
_OPENING_CHARS = 200
_OPENINGS_KEPT = 50_000  # different ones; beyond, those met once are forgotten
_ROLES_KEPT = 1_000  # different orders of roles; beyond, what a file calls them is counted as other
_LONGEST_VALUE = 80
_ROLE_REASONS = frozenset({"system_not_first", "no_user_turn", "roles_do_not_alternate", "last_not_assistant"})
_EMPTY_REASON = "empty_content"


@dataclass(slots=True)
class Tally:
    """How often something was found, for which reasons, and where first."""

    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    places: list[Place] = field(default_factory=list)

    def add(self, place: Place, reason: str) -> None:
        self.count += 1
        self.reasons[reason] += 1
        if len(self.places) < PLACES_KEPT:
            self.places.append(place)


@dataclass(slots=True)
class Survey:
    """What the pass found. `records` and `unreadable` (by reason) are per file. Arrays hold one number per record in reading order:
    `prompted` the positions of records with a prompt, `conversations` and `questions` digests, 0 where there is nothing to compare,
    `unwanted` whether it is an answer that a KTO file labels so. `pairs` and `labels` are what preferences show; `repeats` counts the
    copies that a mix made on purpose: no duplicates."""

    targets: Sequence[Target]
    records: list[int]
    unreadable: list[Counter[str]]
    found: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    target_of: array[int] = field(default_factory=lambda: array("H"))
    line_of: array[int] = field(default_factory=lambda: array("I"))
    prompted: array[int] = field(default_factory=lambda: array("I"))
    prompt_words: array[int] = field(default_factory=lambda: array("I"))
    reply_words: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))
    turns: Counter[int] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    prompt_openings: Counter[str] = field(default_factory=Counter)
    reply_openings: Counter[str] = field(default_factory=Counter)
    conversations: array[int] = field(default_factory=lambda: array("Q"))
    questions: array[int] = field(default_factory=lambda: array("Q"))
    unwanted: array[int] = field(default_factory=lambda: array("B"))
    pairs: PairTally = field(default_factory=PairTally)
    labels: LabelTally = field(default_factory=LabelTally)
    simulated: int = 0
    repeats: int = 0

    @property
    def total(self) -> int:
        return len(self.line_of)

    def place(self, position: int) -> Place:
        """Where the record at a position stands."""
        return Place(self.target_of[position], self.line_of[position])


class Surveyor:
    """Goes through the files; `survey` is complete once `prompts` is exhausted."""

    def __init__(
        self, targets: Sequence[Target], templating: Templating | None, progress: Callable[[int], None], processes: int | None = None
    ) -> None:
        self.survey = Survey(targets, [0] * len(targets), [Counter() for _ in targets])
        self._templating, self._progress, self._processes = templating, progress, processes
        self._schema = plugins.build("gates", "schema", {})
        self._simulated = [not is_hub(target.path) and of_simulated_run(target.path) for target in targets]

    def prompts(self) -> Iterator[str]:
        """What each record asks, where it asks anything, one by one: near-duplicates are looked for in them while they are read.

        Raises InputError when a file cannot be read.
        """
        for number, target in enumerate(self.survey.targets):
            for chunk in scanned(self._readable(number, target), processes=self._processes):
                tokens = self._tokens(number, [record for record, _ in chunk])
                for (record, seen), count in zip(chunk, tokens, strict=True):
                    if prompt := self._add(Place(number, record.line), record, seen, count):
                        yield prompt
                self._progress(self.survey.total)
        self._count_copies()

    def _readable(self, number: int, target: Target) -> Iterator[Record]:
        for record in read_records(target.path, target.reading):
            if isinstance(record, Unreadable):
                self.survey.unreadable[number][record.reason] += 1
                self.survey.found["unreadable"].add(Place(number, record.line), record.reason)
            else:
                yield record

    def _tokens(self, number: int, chunk: Sequence[Record]) -> list[int]:
        """Tokens of each record under the chat template; estimated without a tokenizer, and for what the template cannot take."""
        estimates = [sum(estimate_tokens(message.content) + _TOKENS_AROUND for message in record.sample.messages) for record in chunk]
        if self._templating is None:
            return estimates
        for at, (record, (_, encoded)) in enumerate(zip(chunk, self._templating.encode(record.sample for record in chunk), strict=True)):
            if not isinstance(encoded, Unfit):
                estimates[at] = len(encoded.ids)
            elif self._schema.check(record.sample).keep:
                self.survey.found["unfit"].add(Place(number, record.line), encoded.reason)
        return estimates

    def _add(self, place: Place, record: Record, seen: Scanned, tokens: int) -> str:
        survey, sample = self.survey, record.sample
        prompt, reply = part(sample, "instruction"), sample.last("assistant")
        survey.records[place.target] += 1
        survey.target_of.append(place.target)
        survey.line_of.append(place.line)
        survey.prompt_words.append(count_words(prompt))
        survey.reply_words.append(count_words(reply))
        survey.tokens.append(tokens)
        survey.turns[sum(message.role == "assistant" for message in sample.messages)] += 1
        survey.simulated += self._simulated[place.target] or record.sample.provenance.simulated
        self._count_roles(sample)
        self._check(place, record)
        for name, reason in seen.found:
            survey.found[name].add(place, reason)
        if seen.language:
            survey.languages[seen.language] += 1
        _count_opening(prompt, survey.prompt_openings)
        _count_opening(reply, survey.reply_openings)
        self._count_fields(record)
        if record.pair is not None:
            survey.pairs.add(place, record.pair)
        if sample.label is not None:
            survey.labels.add(label=sample.label)
        again = _on_purpose(record)
        survey.repeats += again
        survey.conversations.append(0 if again else _digest(place.target, sample))
        unwanted = sample.label is False  # a KTO file says the opposite on purpose
        survey.unwanted.append(unwanted)
        survey.questions.append(0 if again or unwanted else question_digest(sample))
        if again or not prompt.strip():
            return ""
        survey.prompted.append(survey.total - 1)
        return prompt

    def _count_roles(self, sample: Sample) -> None:
        order = " ".join(message.role[:20] for message in sample.messages[:6]) + (" …" if len(sample.messages) > 6 else "")
        roles = self.survey.roles
        roles[order if order in roles or len(roles) < _ROLES_KEPT else "(other)"] += 1

    def _check(self, place: Place, record: Record) -> None:
        verdict = self._schema.check(record.sample)
        if not verdict.keep and not (record.is_text and verdict.reason in _ROLE_REASONS):
            kind = "empty" if verdict.reason == _EMPTY_REASON else "roles" if verdict.reason in _ROLE_REASONS else "structure"
            self.survey.found[kind].add(place, verdict.reason)

    def _count_fields(self, record: Record) -> None:
        for name in LABEL_FIELDS:
            value: Any = record.fields.get(name)
            if isinstance(value, str | int) and 0 < len(str(value)) <= _LONGEST_VALUE:
                values = self.survey.fields.setdefault(name, Counter())
                if len(values) <= MAX_VALUES:
                    values[str(value)] += 1

    def _count_copies(self) -> None:
        """Records whose conversation their file had before, by digest. A copy's answer is no other answer, so its question counts once."""
        survey = self.survey
        digests = np.frombuffer(survey.conversations, np.uint64)
        _, firsts = np.unique(digests, return_index=True)
        copied = digests != 0
        copied[firsts] = False
        for at in np.flatnonzero(copied).tolist():
            survey.found["copies"].add(survey.place(at), "exact_duplicate")
            survey.questions[at] = 0


def _digest(target: int, sample: Sample) -> int:
    """Tells conversations of a file apart, blind to case and white space; never 0."""
    digest = hashlib.blake2b(bytes([target]), digest_size=8)
    for message in sample.messages:
        digest.update(f"{message.role}\0{normalise(message.content)}\0".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()) or 1


def _count_opening(text: str, openings: Counter[str]) -> None:
    if opening := " ".join(words(text[:_OPENING_CHARS])[:_OPENING_WORDS]):
        openings[opening] += 1
    if len(openings) > _OPENINGS_KEPT:
        for rare in [one for one, count in openings.items() if count == 1]:
            del openings[rare]


def _on_purpose(record: Record) -> bool:
    """Whether `sluice mix` repeated a sample here: its rows number the copies of one sample."""
    number = record.fields.get("repeat")
    return isinstance(number, int) and number > 1 and isinstance(record.fields.get("source"), str)
