"""Load a tokenizer through transformers and encode text piece by piece, so that no text of a message can become a control token.

The pieces of a conversation lie between control tokens, and a control token in the middle of a message is text. So pieces are encoded
with control tokens switched off, and those that the template writes are put in by id. A tokenizer may treat the beginning of a text
differently from its middle (SentencePiece puts a space before it): a piece is therefore encoded after an anchor, a token of our own
in a private copy, whose id is cut off again, which gives the ids that the piece has in the middle of a text.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from gen.errors import InputError
from gen.templates.pretokens import Pretokens, open_pretokens, packed_ids

_ANCHOR = "\ue0b1piece\ue0b2"
_PROBES = (("assistant\n", "Hello"), ("model\n", "It is"))  # where no tokenizer merges, so only a space put in front can differ
_HUB_SECONDS = 5.0  # to wait for the Hub's first answer
_MESSAGE = 120  # characters of another library's message


class Special(NamedTuple):
    """An added token of the tokenizer. `strips_left` and `strips_right`: it swallows white space beside it (Phi-3's do)."""

    id: int
    text: str
    control: bool
    strips_left: bool = False
    strips_right: bool = False


class Piece(NamedTuple):
    """Text between two control tokens, or its rest after `head`; `first` when no token stands before it in the whole text."""

    text: str
    head: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class ChatTokenizer:
    """A tokenizer as packing needs it. `template` is its own chat template, None for a base model; `variables` what templates may
    name (`bos_token`, `eos_token`, …); `specials` all added tokens by their text; `fingerprint` the SHA-256 of the whole tokenizer."""

    name: str
    template: str | None
    variables: Mapping[str, str]
    specials: Mapping[str, Special]
    fingerprint: str
    pad_id: int
    _backend: Backend = field(repr=False, compare=False)
    _anchor: int = field(repr=False, compare=False)
    _prepends: bool = field(repr=False, compare=False)

    def encode(self, pieces: Sequence[Piece]) -> list[bytes | None]:
        """The ids of each piece as they are in its text, int32 in a row; None where a token would straddle the edge to `head`."""
        found: list[list[int] | None] = [None] * len(pieces)
        alone: list[int] = []
        anchored: list[int] = []
        for position, piece in enumerate(pieces):
            if piece.head and self._prepends:
                found[position] = self._after_head(piece)
            elif piece.first and not piece.head:
                alone.append(position)
            else:
                anchored.append(position)
        for positions, before in ((alone, ""), (anchored, _ANCHOR)):
            encodings = self._backend.encode_batch_fast(
                [before + pieces[position].text for position in positions], add_special_tokens=False
            )
            for position, encoding in zip(positions, encodings, strict=True):
                found[position] = encoding.ids[1:] if before else encoding.ids
        return [None if ids is None or self._anchor in ids else packed_ids(ids) for ids in found]

    def pretokens(self) -> Pretokens | None:
        """A memory of pre-tokens that gives what `encode` gives; None where that cannot be proved of this tokenizer."""
        return None if self._prepends else open_pretokens(self._backend, (*self.specials, _ANCHOR))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, control tokens included."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def around_text(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer by itself puts before a text and after it (BOS, EOS); empty lists where it puts none."""
        bare, whole = (self._backend.encode("Hello", add_special_tokens=given).ids for given in (False, True))
        edges = range(len(whole) - len(bare) + 1)
        start = next((at for at in edges if whole[at : at + len(bare)] == bare), None)
        return ([], []) if start is None else (whole[:start], whole[start + len(bare) :])

    def with_control(self, texts: Iterable[str]) -> ChatTokenizer:
        """The same tokenizer with these added tokens taken for control tokens too: a template writes them, a message must not."""
        chosen = {text: self.specials[text]._replace(control=True) for text in texts}
        self._backend.add_special_tokens([_added(special) for special in chosen.values()])
        return replace(self, specials=MappingProxyType({**self.specials, **chosen}))

    def _after_head(self, piece: Piece) -> list[int] | None:
        before = "" if piece.first else _ANCHOR
        encoding = self._backend.encode(before + piece.head + piece.text, add_special_tokens=False)
        edge = len(before) + len(piece.head)
        if any(start < edge < end for start, end in encoding.offsets):
            return None
        return [number for number, (start, _) in zip(encoding.ids, encoding.offsets, strict=True) if start >= edge]


def load_tokenizer(name: str | Path) -> ChatTokenizer:
    """The tokenizer of a folder or of a model on the Hub.

    Raises InputError when there is none, the Hub cannot be reached, or the tokenizer has no fast form.
    """
    loaded = _from_pretrained(str(name))
    backend = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(backend, Backend):
        raise InputError(f"the tokenizer '{name}' has no fast form (a tokenizer.json): choose a model whose repository holds one")
    text = backend.to_str()
    copy = Backend.from_str(text)
    copy.no_padding()
    copy.no_truncation()
    variables = {key: str(value) for key, value in loaded.special_tokens_map.items() if isinstance(value, str) or hasattr(value, "content")}
    specials = {
        token.content: Special(number, token.content, bool(token.special), bool(token.lstrip), bool(token.rstrip))
        for number, token in loaded.added_tokens_decoder.items()
    }
    copy.add_tokens([AddedToken(_ANCHOR, normalized=False, special=False)])
    copy.encode_special_tokens = True
    pad = loaded.pad_token_id if loaded.pad_token_id is not None else loaded.eos_token_id
    return ChatTokenizer(
        name=Path(name).name if Path(name).is_dir() else str(name),
        template=_own_template(loaded),
        variables=MappingProxyType(variables),
        specials=MappingProxyType(specials),
        fingerprint=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
        pad_id=pad if pad is not None else 0,
        _backend=copy,
        _anchor=copy.encode(_ANCHOR, add_special_tokens=False).ids[0],
        _prepends=any(_ids(copy, head + text) != _ids(copy, head) + _ids(copy, text) for head, text in _PROBES),
    )


def _ids(backend: Backend, text: str) -> list[int]:
    return list(backend.encode(_ANCHOR + text, add_special_tokens=False).ids[1:])


def _added(special: Special) -> AddedToken:
    return AddedToken(special.text, lstrip=special.strips_left, rstrip=special.strips_right, normalized=False, special=True)


def _from_pretrained(name: str) -> Any:
    """The tokenizer as transformers loads it; from the Hub only once that has answered, since transformers itself tries for a minute."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # else a notice that PyTorch is missing, which nothing here needs
    here = Path(name).is_dir()
    if not here and (Path(name).is_absolute() or name.startswith((".", "~"))):
        raise InputError(f"tokenizer '{name}': no such folder")
    silent = "" if here else _why_hub_is_silent(name)
    transformers = importlib.import_module("transformers")
    try:
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=here or bool(silent))
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
        if silent:
            raise InputError(f"tokenizer '{name}' is neither a folder here nor reachable on the Hub: {silent}") from error
        wanted = "give a folder with tokenizer.json and tokenizer_config.json, or the name of a model on the Hub"
        raise InputError(f"no tokenizer can be loaded from '{name}': {wanted} ({_short(error)})") from error


def _why_hub_is_silent(name: str) -> str:
    """Why the Hub does not give the model, asked once; empty when it does. What an earlier call left in the Hub's cache may still serve."""
    hub, errors = importlib.import_module("huggingface_hub"), importlib.import_module("huggingface_hub.errors")
    try:
        hub.HfApi().model_info(name, timeout=_HUB_SECONDS)
    except errors.RepositoryNotFoundError:
        return "it knows no such model, or only with a login"
    except errors.HFValidationError:
        return "that is no name of a model"
    except (errors.HTTPError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", 500)
        return _short(error) if status >= 500 else ""  # below 500, a mirror may serve files and not this question
    return ""


def _short(error: Exception) -> str:
    """The first sentence of a message that may run over many lines."""
    first = " ".join(str(error).split())[:_MESSAGE].split(". ")[0]
    return first or type(error).__name__


def _own_template(loaded: Any) -> str | None:
    template = loaded.chat_template
    if isinstance(template, Mapping):  # several named ones: the default is for plain conversations
        template = template.get("default")
    return template if isinstance(template, str) else None
