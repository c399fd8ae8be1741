"""Data sets for the tests of `gen.gating`: enough rows for several batches, with duplicates, rejects, redactions and unreadable rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gen import plugins
from gen.gating.outputs import OUTPUTS
from gen.pipeline import NamedGate

TOPICS = ("harbour", "violin", "glacier", "orchard", "turbine", "parliament", "monsoon", "cathedral", "beehive", "tramway")


def chain(*names: str, **options: Any) -> list[NamedGate]:
    """Gates by name, each with the options given under it."""
    return [NamedGate(name, plugins.build("gates", name, options.get(name, {}))) for name in names]


def varied() -> list[NamedGate]:
    """Quick gates of every kind: one that rejects, one that redacts, two that remember, one of them late, and one without fingerprints."""
    return chain(
        "schema",
        "exact_dup",
        "length",
        "pii",
        "near_dup",
        "novelty",
        length={"min_words": 3},
        pii={"action": "redact"},
        novelty={"threshold": 0.95},
    )


def record(number: int) -> dict[str, Any]:
    """Every seventh asks what an earlier one asked, every eleventh is too short, every thirteenth holds an address."""
    asked = number - 50 if number % 7 == 0 and number >= 50 else number
    topic, other = TOPICS[asked % 10], TOPICS[asked // 10 % 10]
    reply = (
        "Too short."
        if number % 11 == 0
        else f"A {topic} and a {other} have {number} things in common, as the {'very ' * (number % 5)}old book says."
    )
    if number % 13 == 0:
        reply += f" Write to anna.berg{number}@nordwind-handel.de for more."
    return {"instruction": f"Compare a {topic} with a {other}, case {asked}.", "output": reply, "rank": number * 37 % 101}


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def a_set(path: Path, count: int = 700) -> Path:
    """So many records as JSON Lines, with an unreadable line after every hundredth."""
    lines = []
    for number in range(count):
        lines.append(json.dumps(record(number)))
        if number % 100 == 99:
            lines.append('{"instruction": "cut o')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def outputs(out: Path) -> dict[str, bytes]:
    """The files that a gating wrote, and nothing else may lie there but the lock."""
    assert sorted(path.name for path in out.iterdir()) == sorted((".lock", *OUTPUTS))
    return {name: (out / name).read_bytes() for name in OUTPUTS}
