"""The gate against duplicates in meaning: the same question in other words, told by the vectors of an embedding model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import lru_cache

from gen.bounds import to_try
from gen.errors import InputError, RateLimited, RecipeError, RequestRejected, Unavailable
from gen.likeness.encoder import Library, open_encoder
from gen.likeness.reading import Reading, read, unpack
from gen.likeness.same_task import similarity
from gen.likeness.vectors import Codes, Vectors, encoded
from gen.turns import On, part
from gen.types import Embed, Sample, Verdict, kept, rejected

_WORDED_ALIKE = 0.5  # Jaccard of content words: from here on the words tell better than a vector whether a detail was changed
_SAME_WORDS = 0.7  # the share of words by which `near_dup` calls two tasks the same
_MOST_COMPARED = 64
MAX_CHARS = 8_000  # of a text that is embedded: services take 8,192 tokens, and a Chinese character may be one


@dataclass(frozen=True)
class SemanticDup:
    """Rejects a sample whose text means what an accepted one's means: `semantic_duplicate`, the detail names its id and the cosine.

    The vectors come from `model`, a model of the recipe with an embeddings endpoint, which a run asks about the samples that no cheaper
    gate rejects, before any judge; or from `local`, a model on this machine (a folder, or a name on the Hub), opened by `library`:
    sentence_transformers (extra `embeddings`) or model2vec. `sluice gate` and `sluice gates evaluate` ask no service: they need `local`.

    `threshold` is a cosine, and each model has a scale of its own. 0.85 is ours: with all-MiniLM-L6-v2 on 1,743 labelled pairs it finds
    .966 of the duplicates and takes no other task for one, 0.8 finds .982 at .3 %. SemDeDup (Abbas et al. 2023) uses .9 and more on web
    pages. Models hardly see a changed number, name or negation (by the cosine alone a quarter of the other tasks would go): texts with
    other figures, or of which only one says no, are never the same, and of two that share half of their content words
    `gen.likeness.same_task` decides, as in `near_dup`. `on` says what is compared: the instruction (all user turns), the reply or both,
    the first 8,000 characters. A text whose vector cannot be had is rejected: `no_vector`. Memory: a byte per dimension and some 500
    more for each accepted sample.

    >>> from gen.types import Message
    >>> gate = SemanticDup(model="embedder")
    >>> gate.check(Sample("s-1", (Message("user", "Sort a list."),))).detail
    "no vector: the model 'embedder' is asked in runs only"
    """

    model: str = ""
    local: str = ""
    library: Library = "sentence_transformers"
    threshold: float = 0.85
    on: On = "instruction"
    _seen: Vectors = field(init=False, repr=False, compare=False, default_factory=Vectors)
    _ids: list[str] = field(init=False, repr=False, compare=False, default_factory=list)
    _readings: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)

    thresholds = to_try(threshold=(0.6, 0.65, 0.7, 0.75, 0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95, 0.975))

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.local):
            raise RecipeError("name either 'model', a model of the recipe, or 'local', a model on this machine", key="model")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a cosine, more than 0 and at most 1, got {self.threshold}")
        if self.local:
            open_encoder(self.local, self.library)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,) if self.model else ()

    @property
    def asks_a_service(self) -> bool:
        return bool(self.model)

    async def prepare(self, sample: Sample, embed: Embed) -> Prepared:
        """This gate with the sample's vector at hand. Raises ServiceStopped only."""
        text = self._text(sample)
        if not text.strip():
            return Prepared(self, None)
        try:
            return Prepared(self, encoded(await embed(text, self.model)) if self.model else await asyncio.to_thread(self._local, text))
        except (RequestRejected, RateLimited, Unavailable) as error:
            return Prepared(self, None, f"no vector: the call failed ({error.reason})")
        except InputError as error:
            return Prepared(self, None, f"no vector: {error}")

    def check(self, sample: Sample) -> Verdict:
        return self._ready(sample).check(sample)

    def remember(self, sample: Sample) -> None:
        self._ready(sample).remember(sample)

    def verdict(self, sample: Sample, codes: Codes) -> Verdict:
        """What this gate says of a sample, given its vector."""
        if self._seen.dimensions not in (0, len(codes)):
            return rejected("semantic_dup", "no_vector", f"a vector of {len(codes)} numbers, earlier ones have {self._seen.dimensions}")
        reading = _reading(self._text(sample))
        for position, cosine in self._seen.alike(codes, self.threshold, _label(reading), most=_MOST_COMPARED):
            if _says_the_same(reading, unpack(self._readings[position])):
                detail = f"same meaning as {self._ids[position]} (cosine {cosine:.3f}, threshold {self.threshold:g})"
                return rejected("semantic_dup", "semantic_duplicate", detail)
        return kept("semantic_dup")

    def keep(self, sample: Sample, codes: Codes) -> None:
        """Remember an accepted sample by its vector."""
        reading = _reading(self._text(sample))
        self._seen.add(codes, _label(reading))
        self._ids.append(sample.id)
        self._readings.append(reading.pack())

    def _ready(self, sample: Sample) -> Prepared:
        text = self._text(sample)
        if not text.strip():
            return Prepared(self, None)
        if self.model:
            return Prepared(self, None, f"no vector: the model '{self.model}' is asked in runs only")
        try:
            return Prepared(self, self._local(text))
        except InputError as error:
            return Prepared(self, None, f"no vector: {error}")

    def _local(self, text: str) -> Codes:
        return _embedded(self.local, self.library, text)

    def _text(self, sample: Sample) -> str:
        return part(sample, self.on)[:MAX_CHARS]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The gate for one sample, whose vector is here; without one for a text that is empty or, as `problem` says, could not be embedded."""

    gate: SemanticDup
    codes: Codes | None
    problem: str = ""

    def check(self, sample: Sample) -> Verdict:
        if self.problem:
            return rejected("semantic_dup", "no_vector", self.problem)
        return kept("semantic_dup") if self.codes is None else self.gate.verdict(sample, self.codes)

    def remember(self, sample: Sample) -> None:
        if self.codes is not None:
            self.gate.keep(sample, self.codes)


_reading = lru_cache(maxsize=4)(read)  # what is checked is remembered next


def _label(reading: Reading) -> int:
    """64 bits over what a model's vector hardly shows: the figures, and whether the text says no."""
    return reading.facts ^ ("not" in reading.meanings)


def _says_the_same(one: Reading, other: Reading) -> bool:
    """Whether two texts of alike vectors are the same task: where they share most words, the verification of near-duplicates decides."""
    shared, all_words = len(one.content & other.content), len(one.content | other.content)
    return shared < _WORDED_ALIKE * all_words or similarity(one, other) >= _SAME_WORDS


@lru_cache(maxsize=4)
def _embedded(model: str, library: Library, text: str) -> Codes:
    return open_encoder(model, library)(text)


PLUGIN = SemanticDup
