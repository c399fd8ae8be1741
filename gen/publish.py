"""Push a run's training sets to the Hugging Face Hub: its exports, their card as README, the data card, and nothing else.

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
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from gen.containers.hub import TOKEN, refusal
from gen.errors import InputError
from gen.record import Export

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_TROUBLE = (OSError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, ValueError)
_OWN_FILES = "\n## Files\n"  # the section of a run's README that lists files which stay here


@dataclass(frozen=True, slots=True)
class Published:
    """Where it is now, and the files in it."""

    url: str
    files: tuple[str, ...]
    private: bool


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
    operations = [CommitOperationAdd(path, str(run / path)) for path in files]
    card = (run / "README.md").read_text(encoding="utf-8").partition(_OWN_FILES)[0].rstrip() + "\n"
    operations.append(CommitOperationAdd("README.md", card.encode("utf-8")))
    try:
        made = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        if private and not api.repo_info(name, repo_type="dataset").private:
            raise InputError(f"--push {name}: that dataset is public already: say --public, or take another name")
        api.create_commit(name, operations, commit_message="Training sets made with Sluice", repo_type="dataset")
    except _TROUBLE as error:
        raise refusal(f"--push {name}", error) from error
    return Published(str(made), tuple(sorted([*files, "README.md"])), private)


def _files(run: Path, exports: Iterable[Export]) -> list[str]:
    """The files of the exports that hold rows, relative to the run's folder."""
    found = [run / export.file(split) for export in exports for split, rows in export.rows.items() if rows]
    whole = [file for path in found for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    whole += [run / "data-card.md"] if whole and (run / "data-card.md").is_file() else []
    return [path.relative_to(run).as_posix() for path in whole]
