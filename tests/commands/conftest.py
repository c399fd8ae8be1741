"""One small run for every command that works on runs, made once; each test has a copy of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gen.commands import call

SYSTEM = "You answer for a bank | in *plain* words."
RECIPE = f"""\
name: small
seed: 3
models:
  writer: {{provider: simulator}}
sources:
  topics: [GDPR data retention, Basel III capital]
strategies:
  - {{name: self_instruct, model: writer, instructions_per_call: 3, system: "{SYSTEM}"}}
goal: {{accepted: 14}}
card:
  usage_rights: [evaluation]
"""


@pytest.fixture(scope="session")
def _made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("small")
    (home / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    out = ["--out", str(home / "run"), "--cache", str(home / "cache.db"), "--quiet"]
    assert call(["run", str(home / "recipe.yaml"), *out]) == 0
    return home


@pytest.fixture
def frozen_run(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder as one that nobody may write in; its modes too, which do not stop the user root."""
    may = os.access
    for path in (small_run, small_run / "run.db"):
        path.chmod(path.stat().st_mode & ~0o222)
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and Path(path).is_relative_to(small_run)) and may(path, mode))
    return small_run


@pytest.fixture
def small_run(_made_run: Path, tmp_path: Path) -> Path:
    """The folder of a finished run of 14 accepted samples; its recipe lies beside it."""
    shutil.copytree(_made_run / "run", tmp_path / "run")
    shutil.copy(_made_run / "recipe.yaml", tmp_path / "recipe.yaml")
    return tmp_path / "run"
