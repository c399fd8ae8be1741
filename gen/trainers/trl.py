"""TRL's scripts: they are the same for every run, and read what differs from settings.json beside them."""

from __future__ import annotations

from gen.resources import resource
from gen.trainers.settings import settings_text
from gen.trainers.setup import FOLDER, Configs, Setup, missing

FILES = ("train_sft.py", "train_dpo.py", "settings.json")
FORMATS = ("chatml",)
PAIRS = "preference"


def configs(setup: Setup) -> Configs:
    """`train_sft.py` where there are conversations, `train_dpo.py` where there are pairs, and their `settings.json`."""
    kinds = [kind for kind, name in (("sft", FORMATS[0]), ("dpo", PAIRS)) if setup.file(name, "train")]
    if not kinds:
        return missing(*FORMATS)
    scripts = {f"train_{kind}.py": resource("data", "trainers", f"trl_{kind}.py").read_text(encoding="utf-8") for kind in kinds}
    commands = tuple(f"accelerate launch {FOLDER}/trl/train_{kind}.py{way}" for kind in kinds for way in ("", " --full"))
    return Configs({**scripts, "settings.json": settings_text(setup, {"sft": FORMATS[0], "dpo": PAIRS})}, commands)
