"""docs/client.md: its examples run and print what it says, and it names every reason there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.{1,8000}?)```\n\nIt prints\n\n```text\n(.{1,2000}?)```", PAGE, re.DOTALL)
_REASON = re.compile(r'reason="([a-z_]{1,40})"')


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=["client", "provider"])
def test_an_example_prints_what_the_page_says(code: str, printed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_every_reason_is_on_the_page() -> None:
    own = {"script_exhausted", "recipe"}  # of the scripted provider, and of a ping's missing key
    found = {reason for path in (ROOT / "gen" / "llm").rglob("*.py") for reason in _REASON.findall(path.read_text(encoding="utf-8"))}
    assert found
    assert {reason for reason in found - own if f"`{reason}`" not in PAGE} == set()
