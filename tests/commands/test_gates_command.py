from __future__ import annotations

import json

import pytest

from gen import plugins
from gen.commands import call
from gen.recipe import DEFAULT_GATES


def test_every_gate_is_listed_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", "--json"]) == 0
    rows = {row["gate"]: row for row in json.loads(capsys.readouterr().out)}
    assert sorted(rows) == plugins.names("gates")
    assert {name for name, row in rows.items() if row["default"]} == set(DEFAULT_GATES)
    assert rows["near_dup"]["options"]["threshold"] == "0.7"
    assert rows["score"]["options"]["judge"] == "required"
    assert all(row["summary"] for row in rows.values())


def test_the_default_chain_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[1] for line in lines if line.startswith("* ") and not line.startswith("* in")} == set(DEFAULT_GATES)


@pytest.mark.parametrize("name", plugins.names("gates"))
def test_one_gate_tells_what_it_does_and_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", name]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].startswith(name)
    assert all(f"  {option}: " in shown for option in plugins.options(plugins.find("gates", name)))


def test_a_wrong_name_lists_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["gates", "lenght"]) == 2
    assert capsys.readouterr().err.startswith("sluice: unknown gate 'lenght': did you mean 'length'? choose from ")
