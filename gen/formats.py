"""The formats that a run's training sets are written in: the exporters of samples and of preferences."""

from __future__ import annotations

from typing import Any

from gen import plugins


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
