"""Push a run's training sets to the Hugging Face Hub: its exports, their card as README, the data card, and nothing else. What an earlier
push left there and this one does not have goes in the same commit, so that the files are those that the card tells of.

Never pushed: rejected and accepted candidates, prompts, the recipe, the ledger, and reports, which quote rejected texts. The token comes
from the environment alone (HF_TOKEN), never from a file that some other program left behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from gen.containers import WRITTEN
from gen.containers.arrow import SAVED_FILES
from gen.containers.hub import TOKEN, refusal
from gen.errors import InputError
from gen.formats import export_folders
from gen.recipe import SPLITS
from gen.record import Export

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_TROUBLE = (OSError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, ValueError)
_OWN_FILES = "\n## Files\n"  # the section of a run's README that lists files which stay here


@dataclass(frozen=True, slots=True)
class Published:
    """Where it is now, the files in it, and those of an earlier push that went."""

    url: str
    files: tuple[str, ...]
    private: bool
    removed: tuple[str, ...] = ()


def check_push(name: str) -> str:
    """The token to push with, before anything is written. Raises InputError for a wrong name or no token."""
    if not _NAME.fullmatch(name):
        raise InputError(f"--push {name[:120]!r}: write owner/name")
    token = os.environ.get(TOKEN, "")
    if not token:
        raise InputError(f"--push {name}: no token: set {TOKEN} to one that may write to {name.partition('/')[0]}'s datasets")
    return token


def publish(run: Path, exports: Iterable[Export], name: str, *, private: bool = True) -> Published:
    """Push the run's exports in one commit; a repository that is not there yet is made, private unless told otherwise.

    Raises InputError, in one line, when the Hub refuses or cannot be reached, and when an existing repository is public although a
    private one was asked for.
    """
    token = check_push(name)
    files = _files(run, exports)
    if not files:
        raise InputError(f"{run}: no export holds a row: nothing to push")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [CommitOperationAdd(path, str(run / path)) for path in files]
    card = (run / "README.md").read_text(encoding="utf-8").partition(_OWN_FILES)[0].rstrip() + "\n"
    operations.append(CommitOperationAdd("README.md", card.encode("utf-8")))
    try:
        made = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        there = api.dataset_info(name)
        if private and not there.private:
            raise InputError(f"--push {name}: that dataset is public already: say --public, or take another name")
        stale = sorted({one.rfilename for one in there.siblings or ()} & _names_of_exports() - set(files))
        operations += [CommitOperationDelete(path) for path in stale]
        api.create_commit(name, operations, commit_message="Training sets made with Sluice", repo_type="dataset")
    except _TROUBLE as error:
        raise refusal(f"--push {name}", error) from error
    return Published(str(made), tuple(sorted([*files, "README.md"])), private, tuple(stale))


def _names_of_exports() -> set[str]:
    """Every file that an export of ours may be in, relative to a run's folder; no other file on the Hub is ever touched."""
    endings = [f"/{file}" for file in SAVED_FILES] + [ending for ending in WRITTEN.values() if ending]
    return {f"{folder}/{split}{ending}" for folder in export_folders() for split in SPLITS for ending in endings}


def _files(run: Path, exports: Iterable[Export]) -> list[str]:
    """The files of the exports that hold rows, relative to the run's folder."""
    found = [run / export.file(split) for export in exports for split, rows in export.rows.items() if rows]
    whole = [file for path in found for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    whole += [run / "data-card.md"] if whole and (run / "data-card.md").is_file() else []
    return [path.relative_to(run).as_posix() for path in whole]
