"""The formats that a run's training sets are written in: the exporters of samples and of preferences, and where their files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gen import plugins
from gen.containers import split_files
from gen.errors import InputError
from gen.recipe import SPLITS


def formats() -> dict[str, type[Any]]:
    """Every exporter that makes rows of samples or preferences by itself, by name. The papers are none, nor is the packed set, which needs
    options."""
    found = {name: plugins.find("exporters", name) for name in plugins.names("exporters")}
    return {
        name: one for name, one in found.items() if getattr(one, "takes", "") in ("samples", "preferences") and not plugins.required(one)
    }


def export_folders() -> set[str]:
    """The folders that exports may have in a run's folder, relative to it."""
    return {one.folder for one in formats().values()}


def training_folder(run: Path) -> Path:
    """The folder of a run's conversations: `sft`, else that of the first other format that was written.

    Raises InputError where none was.
    """
    folders = [run / name for name in sorted(export_folders()) if name.startswith("sft")]
    found = next((folder for folder in folders if split_files(folder, SPLITS)), None)
    if found is None:
        raise InputError(f"{run} holds no training files: `sluice export {run} --formats chatml` writes them")
    return found
