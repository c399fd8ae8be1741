"""Which model a line of `provider: transformers` means, found without PyTorch and without reading its weights whole.

A reply in the cache must come from the very model that would be asked now. A model on the Hub is named by its commit; a folder by what is
in its files: those of up to 64 MiB whole, of larger ones 4 KiB in every MiB, for safetensors counted anew from each tensor's start.
Training changes a tensor all over, so a folder that was trained on is another model, and 16 GB take a second or two.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from gen.errors import RecipeError
from gen.recipe import ModelLine
from gen.types import Json, canonical_json, digest

_WHOLE_BYTES = 64 << 20
_STRIDE, _WINDOW = 1 << 20, 4096
_MAX_HEADER = 100 << 20  # as the safetensors format itself allows
_FILES = (".json", ".jinja", ".model", ".txt", ".safetensors", ".bin", ".pt", ".pth", ".tiktoken")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_SECONDS = 5.0
WITHOUT_TORCH = "provider 'transformers' needs PyTorch: `pip install torch`, or the extra `local` (`pip install 'sluice-data[local]'`)"


def check_local(line: ModelLine) -> None:
    """Raise RecipeError, its key below the line, for a line of `provider: transformers` that could not be used. Loads no weights."""
    if line.provider != "transformers":
        return
    if line.extra_body:
        raise RecipeError("a model in this process is sent no body; remove it", key="extra_body")
    if importlib.util.find_spec("torch") is None:
        raise RecipeError(WITHOUT_TORCH, key="provider")
    if Path(line.model).is_dir() and line.local.revision:
        raise RecipeError("a folder has no revisions; remove it, or name a model on the Hub", key="local.revision")
    model_identity(line)


def local_options(line: ModelLine) -> str:
    """What tells two loaded models apart, as canonical JSON: lines with the same share one."""
    return canonical_json({"model": line.model, "commit": commit_of(line), "device": line.local.device, "dtype": line.local.dtype})


def model_identity(line: ModelLine) -> Json:
    """What a line's answers depend on besides the request: the model's files or commit, its numbers, what its template is told. The device
    is no part of it, as the GPU behind a server is none: it may change the last bits only.

    Raises RecipeError (key `model`) where there is no such model."""
    folder = Path(line.model)
    files = commit_of(line) or folder_fingerprint(folder)
    return [files, line.local.dtype, *([line.local.template_options] if line.local.template_options else [])]


def commit_of(line: ModelLine) -> str:
    """The commit of a model on the Hub: the one that is here already, else the newest of its revision. Empty for a folder."""
    folder = Path(line.model)
    if folder.is_dir():
        return ""
    if folder.is_absolute() or line.model.startswith((".", "~")):
        raise RecipeError(f"no such folder: '{line.model}'", key="model")
    return _commit(line.model, line.local.revision or "main")


def folder_fingerprint(folder: Path) -> str:
    """The digest of a model's folder. Raises RecipeError (key `model`) where it holds no model or cannot be read."""
    if not (folder / "config.json").is_file():
        raise RecipeError(f"'{folder}' holds no model: its config.json is missing", key="model")
    try:
        files = [file for file in sorted(folder.rglob("*")) if file.suffix in _FILES and file.is_file() and ".cache" not in file.parts]
        stamps = tuple((str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
        return _folder_digest(str(folder), stamps)
    except OSError as error:
        raise RecipeError(f"'{folder}' cannot be read: {error.strerror}", key="model") from error


@lru_cache(maxsize=64)
def _folder_digest(folder: str, stamps: tuple[tuple[str, int, int], ...]) -> str:
    """`stamps` are path, size and time of each file, so that an unchanged folder is read once."""
    told = [[Path(path).relative_to(folder).as_posix(), size, _file_digest(Path(path), size)] for path, size, _ in stamps]
    return digest(told, length=32)


def _file_digest(file: Path, size: int) -> str:
    found = hashlib.blake2b(digest_size=16)
    with file.open("rb") as source:
        if size <= _WHOLE_BYTES:
            while piece := source.read(_STRIDE):
                found.update(piece)
        else:
            for place in _places(source, size, tensors=file.suffix == ".safetensors"):
                source.seek(place)
                found.update(source.read(_WINDOW))
    return found.hexdigest()


def _places(source: BinaryIO, size: int, *, tensors: bool) -> Iterator[int]:
    """Where to look into a large file: in steps from its start, and from that of every tensor in it; and at its end."""
    yield from range(0, size, _STRIDE)
    if tensors:
        length = int.from_bytes(source.read(8), "little") if source.seek(0) == 0 else 0
        start = 8 + length
        for begin, end in sorted(_spans(source.read(length))) if length <= min(_MAX_HEADER, size) else ():
            yield from range(start + begin, min(start + end, size), _STRIDE)
    yield max(0, size - _WINDOW)


def _spans(header: bytes) -> list[tuple[int, int]]:
    """The places of the tensors by a safetensors header; none where it cannot be read."""
    try:
        told = json.loads(header)
    except ValueError:
        return []
    offsets = [value.get("data_offsets") for value in told.values() if isinstance(value, dict)] if isinstance(told, dict) else []
    return [(pair[0], pair[1]) for pair in offsets if isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, int) for n in pair)]


@lru_cache(maxsize=64)
def _commit(name: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    hub, errors = importlib.import_module("huggingface_hub"), importlib.import_module("huggingface_hub.errors")
    try:
        here: Any = hub.try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(here, str):
            return Path(here).parent.name
        told = hub.HfApi().model_info(name, revision=revision, timeout=_HUB_SECONDS).sha
    except errors.HFValidationError as error:
        raise RecipeError(f"'{name[:120]}' is neither a folder here nor the name of a model on the Hub", key="model") from error
    except (errors.HTTPError, OSError, ValueError) as error:
        first = " ".join(str(error).split())[:120].split(". ")[0] or type(error).__name__
        raise RecipeError(f"'{name}' ({revision}) is neither a folder here nor reachable on the Hub: {first}", key="model") from error
    return str(told)
