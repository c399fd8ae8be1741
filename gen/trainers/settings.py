"""settings.json: what a training script reads about the run, as data and never as code."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gen.trainers.setup import Setup

_TO_RUN = "../.."  # from trainers/NAME to the run's folder


def settings_text(setup: Setup, sources: Mapping[str, str]) -> str:
    """The settings as JSON; `sources` says which format each training ("sft", "dpo") reads. Paths begin at the script's own folder."""
    files = {
        kind: {split: f"{_TO_RUN}/{setup.file(name, split)}" for split in ("train", "validation") if setup.file(name, split)}
        for kind, name in sources.items()
        if setup.file(name, "train")
    }
    reader = setup.reader(next(name for name in sources.values() if setup.file(name, "train")))
    settings = {"model": setup.model, "reader": reader, **files, "max_length": setup.max_length, "seed": setup.seed % 2**32}
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
