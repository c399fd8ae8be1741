"""Datasets of the Hugging Face Hub by name, streamed: nothing is downloaded that is not read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import httpx2
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

from gen.containers.rows import Row, Unreadable, plain, row_of
from gen.errors import InputError

_NAME = re.compile(r"hub:(?P<name>[\w.-]{1,96}(?:/[\w.-]{1,96})?)(?:/(?P<config>[^/:]{1,96}))?(?::(?P<split>[^/:\s]{1,96}))?", re.ASCII)
_TROUBLE = (OSError, ValueError, LookupError, DatasetsError, HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError)
TOKEN = "HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset of the Hub; `split` empty for its train split, or its only one."""

    name: str
    config: str | None
    split: str


def place_of(text: str) -> Place:
    """What `hub:owner/name[/config][:split]` names. Raises InputError for anything else."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise InputError(f"'{text[:120]}' names no dataset of the Hub: write hub:owner/name, hub:owner/name/config or …:split")
    return Place(found["name"], found["config"], found["split"] or "")


def read(path: Path) -> Iterator[Row | Unreadable]:
    """Every row, numbered from 1. Raises InputError, in one line, when the Hub cannot be reached or does not give it."""
    place = place_of(str(path))
    token = os.environ.get(TOKEN) or False
    try:
        split = place.split or _split(place, token)
        rows = iter(datasets.load_dataset(place.name, place.config, split=split, streaming=True, token=token))
    except _TROUBLE as error:
        raise refusal(f"hub:{place.name}", error) from error
    number = 0
    while True:
        number += 1
        try:
            row = next(rows, None)
        except _TROUBLE as error:
            raise refusal(f"hub:{place.name}, row {number}", error) from error
        if row is None:
            return
        yield row_of(number, plain(row))


def refusal(what: str, error: BaseException) -> InputError:
    """Why the Hub did not give or take something, as one line that says what to do."""
    chain = list(_chain(error))
    status = next((one.response.status_code for one in chain if isinstance(one, HfHubHTTPError) and one.response is not None), None)
    unreachable = any(isinstance(one, ConnectionError | LocalEntryNotFoundError | httpx2.TransportError) for one in chain)
    if any(isinstance(one, OfflineModeIsEnabled) for one in chain) or (unreachable and constants.HF_HUB_OFFLINE):
        return InputError(f"{what}: offline: HF_HUB_OFFLINE is set; unset it, or name a local file")
    if any(isinstance(one, GatedRepoError) for one in chain) or status in (401, 403):
        return InputError(f"{what}: the Hub refuses access{_told(status)}: set {TOKEN} to a token that may use it")
    if any(isinstance(one, DatasetNotFoundError | RepositoryNotFoundError) for one in chain) or status == 404:
        return InputError(f"{what}: no such dataset on the Hub, or it is private: look at its name, or set {TOKEN}")
    if status is not None:
        return InputError(f"{what}: the Hub answers with HTTP status {status}: try again later")
    if unreachable:
        return InputError(f"{what}: the Hub cannot be reached: look at the network, or name a local file")
    return InputError(f"{what}: {' '.join(str(error).split())[:300] or type(error).__name__}")


def _split(place: Place, token: str | bool) -> str:
    names: list[Any] = [str(name) for name in datasets.get_dataset_split_names(place.name, place.config, token=token)]
    if "train" in names or len(names) == 1:
        return "train" if "train" in names else names[0]
    raise InputError(f"hub:{place.name} has the splits {', '.join(names) or '(none)'}: name one, as hub:{place.name}:{names[0]}")


def _told(status: int | None) -> str:
    return f" (HTTP status {status})" if status else ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
