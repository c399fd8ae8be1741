"""Unsloth's script: the same for every run, it reads what differs from settings.json beside it."""

from __future__ import annotations

from gen.resources import resource
from gen.trainers.settings import settings_text
from gen.trainers.setup import FOLDER, Configs, Setup, missing

FILES = ("train_sft.py", "settings.json")
FORMATS = ("chatml",)
PAIRS = ""


def configs(setup: Setup) -> Configs:
    """`train_sft.py` and its `settings.json`."""
    name = FORMATS[0]
    if not setup.file(name, "train"):
        return missing(name)
    if "weight" in setup.turn_columns(name):
        return Configs({}, problem="some rows have loss weights, which train_on_responses_only does not know: take trl")
    script = resource("data", "trainers", "unsloth_sft.py").read_text(encoding="utf-8")
    return Configs(
        {"train_sft.py": script, "settings.json": settings_text(setup, {"sft": name})}, (f"python {FOLDER}/unsloth/train_sft.py",)
    )
