from __future__ import annotations

import io
import sys

import pytest

from gen.commands.gate_progress import gating_bar
from gen.gating.job import Progress
from gen.gating.outputs import GateCounts


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, fraction: float | None, *, show: bool = True) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    with gating_bar(show=show) as tell:
        tell(Progress("gating", GateCounts(), 0, fraction and 0.0))
        tell(Progress("gating", GateCounts(accepted=1200, rejected=34), 1234, fraction))
    return stream.getvalue()


def test_a_terminal_sees_rows_and_fates(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), 0.5)
    assert "1,234 rows" in text
    assert "1,200 kept  34 rejected" in text
    assert "rows/s" in text


def test_an_input_of_unknown_size_has_a_bar_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1,234 rows" in shown(monkeypatch, Terminal(), None)


@pytest.mark.parametrize(("stream", "show"), [(Terminal(), False), (io.StringIO(), True)], ids=["quiet", "no terminal"])
def test_nothing_is_shown_elsewhere(stream: io.StringIO, show: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, stream, 0.5, show=show) == ""
