"""A causal language model in this process, by transformers and PyTorch: the one module that imports PyTorch, loaded when first needed.

Tokens are drawn by the Gumbel-max trick with noise that follows from the request's draw, the token's place and its number alone, so a
request gets the same text alone and in a batch, as far as the arithmetic does: padding and other batch sizes change the last bits of a
logit, which tips the choice where the two best candidates are no further apart (some tokens in a million in float32, more in 16 bits).
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gen.errors import InputError, RequestRejected, ServiceStopped, Unavailable
from gen.llm.local.row import Row
from gen.templates.raw_prompt import RawPrompts, open_raw_prompts
from gen.types import Json, Message, canonical_json

# By name, so that types are checked alike with and without PyTorch. Tensors are Any below: their shapes are in the docstrings.
torch: Any = importlib.import_module("torch")
transformers: Any = importlib.import_module("transformers")
_hub_errors: Any = importlib.import_module("huggingface_hub.errors")

# Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators": SplitMix64's increment and its mixing, as signed numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIXING = ((30, 0xBF58476D1CE4E5B9 - (1 << 64)), (27, 0x94D049BB133111EB - (1 << 64)), (31, 1))
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
_LOAD_ERRORS = (OSError, ValueError, ImportError, KeyError, RuntimeError, _hub_errors.HTTPError)


class Engine:
    """A loaded model. Its methods block: they are called from one thread of their own. Those that compute raise MemoryError where the
    device has too little memory for what was asked, Unavailable `local_failure` for any other failure of PyTorch."""

    def __init__(self, model: str, *, commit: str, device: str, dtype: str) -> None:
        """Loads the tokenizer, the weights at first use. Raises ServiceStopped `model_unusable` where there is no such device, or (also
        later) the model cannot be loaded."""
        self._name, self._commit = model, commit
        self._origin: dict[str, Any] = {"trust_remote_code": False} | ({"revision": commit} if commit else {"local_files_only": True})
        self._dtype, self._device = dtype, _device(device)
        self._tokenizer = self._load(transformers.AutoTokenizer)
        self._backend: Any = getattr(self._tokenizer, "backend_tokenizer", None)
        if self._backend is None:
            raise ServiceStopped(f"the tokenizer of '{model}' has no fast form (a tokenizer.json)", reason="model_unusable")
        self._chats: dict[str, RawPrompts] = {}
        self._writer: Any = None
        self._reader: Any = None
        self._ends: frozenset[int] = frozenset()
        self._pad = 0

    @property
    def context(self) -> int | None:
        """How many tokens a prompt and its reply may have together; None where the model does not say."""
        return _context(self._loaded_writer().config)

    def prompt(self, text: str) -> list[int]:
        """The ids of a raw prompt, control tokens taken for what they are, with the beginning of sequence where the tokenizer adds one."""
        return list(self._backend.encode(text, add_special_tokens=True).ids)

    def chat(self, messages: Sequence[Message], options: Mapping[str, Json]) -> tuple[list[int], tuple[str, ...]]:
        """The ids of a conversation up to the answer, and the texts that end one. Raises RequestRejected where the template refuses it."""
        chat = self._chat(options)
        try:
            text = chat.assistant_turn(messages)
        except InputError as error:
            raise RequestRejected(str(error), reason="bad_request") from error
        ids, bos = self.prompt(text), self._tokenizer.bos_token_id
        if bos is not None and ids[:1] != [bos] and "bos_token" in (self._tokenizer.chat_template or ""):
            ids.insert(0, bos)
        return ids, chat.stops

    def takes_system(self, options: Mapping[str, Json]) -> bool:
        """Whether the chat template has a system role."""
        return self._chat(options).takes_system

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids; a control token that the model writes in the middle of its answer is seen, not hidden."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def write(self, rows: Sequence[Row], leave: Callable[[int], bool]) -> None:
        """Let the rows go on, all at once, until they are over or `leave(steps)` says so."""
        model = self._loaded_writer()
        width = max(len(row.prompt) + len(row.tokens) for row in rows)
        ids = torch.full((len(rows), width), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            known = row.prompt + row.tokens
            ids[place, width - len(known) :] = torch.tensor(known, dtype=torch.long)
            mask[place, width - len(known) :] = 1
        settings = transformers.GenerationConfig(
            do_sample=False,
            max_new_tokens=max(row.max_tokens - len(row.tokens) for row in rows),
            pad_token_id=self._pad,
        )
        self._computed(
            lambda: model.generate(
                ids.to(self._device),
                attention_mask=mask.to(self._device),
                generation_config=settings,
                logits_processor=transformers.LogitsProcessorList([_Choice(rows)]),
                stopping_criteria=transformers.StoppingCriteriaList([_Ends(rows, self._ends, self.text, leave)]),
            )
        )

    def vectors(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """A vector of length 1 per text, the mean of its tokens' last hidden states, and how many tokens were read."""
        if self._reader is None:
            self._reader = self._placed(transformers.AutoModel)
        read = [self.prompt(text) or [self._pad] for text in texts]
        limit = _context(self._reader.config)
        if limit is not None and max(map(len, read)) > limit:
            raise RequestRejected(f"a text of {max(map(len, read))} tokens; the model reads {limit}", reason="context_too_long")
        width = max(map(len, read))
        ids = torch.tensor([[*one, *[self._pad] * (width - len(one))] for one in read], device=self._device)
        mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in read], device=self._device)

        def pooled() -> list[list[float]]:
            states = self._reader(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            means = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
            rows: list[list[float]] = torch.nn.functional.normalize(means, dim=1).tolist()
            return rows

        return self._computed(pooled), sum(map(len, read))

    def close(self) -> None:
        """Give the memory back."""
        self._writer = self._reader = None
        self._release()

    def _chat(self, options: Mapping[str, Json]) -> RawPrompts:
        key = canonical_json(options)
        if key not in self._chats:
            try:
                self._chats[key] = open_raw_prompts(self._files(), options)
            except InputError as error:
                raise ServiceStopped(f"'{self._name}' cannot chat: {error}", reason="model_unusable") from error
        return self._chats[key]

    def _files(self) -> str:
        """Where the tokenizer's files lie: the folder, or the commit's place in the Hub's cache."""
        if not self._commit:
            return self._name
        return str(Path(str(transformers.utils.cached_file(self._name, "tokenizer_config.json", revision=self._commit))).parent)

    def _loaded_writer(self) -> Any:
        if self._writer is None:
            model = self._placed(transformers.AutoModelForCausalLM)
            told = model.generation_config.eos_token_id
            own = told if isinstance(told, list) else [told]
            self._ends = frozenset(token for token in (*own, self._tokenizer.eos_token_id) if token is not None)
            pad = self._tokenizer.pad_token_id
            self._pad = pad if pad is not None else min(self._ends, default=0)
            model.generation_config = transformers.GenerationConfig(pad_token_id=self._pad)  # a request alone says how it is sampled
            self._writer = model
        return self._writer

    def _load(self, kind: Any, **more: Any) -> Any:
        transformers.utils.logging.disable_progress_bar()
        try:
            return kind.from_pretrained(self._name, **self._origin, **more)
        except _LOAD_ERRORS as error:
            raise ServiceStopped(f"'{self._name}' cannot be loaded: {_short(error)}", reason="model_unusable") from error

    def _placed(self, kind: Any) -> Any:
        """The weights on the device, for reading only."""
        model = self._load(kind, dtype=self._dtype if self._dtype == "auto" else getattr(torch, self._dtype))
        try:
            return model.to(self._device).eval()
        except RuntimeError as error:
            raise ServiceStopped(f"'{self._name}' does not fit on {self._device}: {_short(error)}", reason="model_unusable") from error

    def _computed(self, work: Callable[[], Any]) -> Any:
        try:
            with torch.inference_mode():
                return work()
        except RuntimeError as error:
            short = _short(error)
            if not _is_out_of_memory(error):
                raise Unavailable(f"'{self._name}' failed on {self._device}: {short}", reason="local_failure") from None
        self._release()  # out here, where the failed call's tensors are no longer held by its traceback
        raise MemoryError

    def _release(self) -> None:
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()


class _Choice:
    """A logits processor that chooses each row's token and leaves nothing else to choose from."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002
        chosen = choose(scores, self._rows)
        only = torch.full_like(scores, float("-inf"))
        return only.scatter_(1, chosen[:, None], 0.0)


class _Ends:
    """A stopping criterion that hands each row its token, and says when the batch is over."""

    def __init__(
        self, rows: Sequence[Row], ends: frozenset[int], text: Callable[[Sequence[int]], str], leave: Callable[[int], bool]
    ) -> None:
        self._rows, self._ends, self._text, self._leave = rows, ends, text, leave
        self._steps = 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002
        self._steps += 1
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            row.take(token, self._ends, self._text)
        over = self._leave(self._steps) or all(row.over for row in self._rows)
        return torch.tensor([over or row.over for row in self._rows], device=input_ids.device)


def choose(scores: Any, rows: Sequence[Row]) -> Any:
    """A token per row of logits [rows, vocabulary], as an int64 tensor [rows]: the likeliest at temperature 0, else one by its
    probability, of which `top_p` keeps the likeliest tokens that make up so much (and those as likely as the last)."""
    exact = torch.float32 if scores.device.type == "mps" else torch.float64
    cold = torch.tensor([row.temperature <= 0 for row in rows], device=scores.device)
    likeliest = scores.argmax(dim=1)
    if bool(cold.all()):
        return likeliest
    heat = torch.tensor([row.temperature if row.temperature > 0 else 1.0 for row in rows], dtype=exact, device=scores.device)
    logits = scores.to(exact) / heat[:, None]
    if any(row.top_p < 1 for row in rows):
        kept = torch.tensor([row.top_p for row in rows], dtype=exact, device=scores.device)
        likely = torch.softmax(logits, dim=1)
        ordered = likely.sort(dim=1, descending=True).values
        last = ((ordered.cumsum(dim=1) - ordered < kept[:, None]).sum(dim=1) - 1).clamp(min=0)
        narrow = (kept < 1)[:, None] & (likely < ordered.gather(1, last[:, None]))
        logits = logits.masked_fill(narrow, float("-inf"))
    seeds = torch.tensor([row.seed for row in rows], dtype=torch.long, device=scores.device)
    noise = gumbel(seeds, scores.shape[1], exact)
    return torch.where(cold, likeliest, (logits + noise).argmax(dim=1))


def gumbel(seeds: Any, size: int, exact: Any) -> Any:
    """Gumbel noise [seeds, size]: of each number a function of its seed (int64) and its place, alike on every device."""
    mixed = seeds[:, None] + torch.arange(1, size + 1, device=seeds.device) * _GOLDEN
    for shift, factor in _MIXING:
        mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
    bits = 24 if exact == torch.float32 else 53  # of a number of that type
    even = (((mixed >> 11) & ((1 << bits) - 1)).to(exact) + 0.5) / (1 << bits)
    return -torch.log(-torch.log(even))


def _device(wanted: str) -> Any:
    """Raises ServiceStopped `model_unusable` for one that is not there."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wanted)
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(device.type)
    if (there is not None and not there()) or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ServiceStopped(f"PyTorch sees no device '{wanted}' here; set `local.device` to auto or cpu", reason="model_unusable")
    return device


def _context(config: Any) -> int | None:
    told = getattr(config.get_text_config(), "max_position_embeddings", None)
    return told if isinstance(told, int) and told > 0 else None


def _is_out_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and any(words in said for words in _OUT_OF_MEMORY))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160].split(". ")[0] or type(error).__name__
