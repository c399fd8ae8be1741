"""Personas from lists, JSON Lines and plain text."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.errors import InputError
from gen.sources.personas import LEVELS, read
from gen.types import Persona

WHERE = "sources.personas"


def message(value: object, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(value, folder=folder, where=WHERE)
    return str(caught.value)


def test_objects_keep_their_fields(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(
        '{"id": "p1", "persona": "A  baker.", "domain": "food", "level": "Expert"}\n{"persona": "A pilot."}\n'
    )
    baker, pilot = read("p.jsonl", folder=tmp_path, where=WHERE)
    assert baker == Persona(id="p1", persona="A baker.", domain="food", level="expert")
    assert pilot.persona == "A pilot."
    assert pilot.id.startswith("persona-")
    assert pilot.level == ""


def test_a_text_file_holds_one_persona_a_line(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("# people\nA baker.\n\nA pilot.\n")
    assert [item.persona for item in read("p.txt", folder=tmp_path, where=WHERE)] == ["A baker.", "A pilot."]


def test_the_id_of_a_bare_text_depends_on_the_text_alone(tmp_path: Path) -> None:
    first = read(["A baker.", "A pilot."], folder=tmp_path, where=WHERE)
    second = read(["A pilot.", {"persona": "A baker."}], folder=tmp_path, where=WHERE)
    assert {item.id for item in first} == {item.id for item in second}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "names no persona"),
        ([5], "item 1: a persona must be text, got the number 5"),
        ([{"name": "x"}], "item 1: has no 'persona'"),
        ([{"persona": ["x"]}], "item 1: 'persona' must be text, got a list"),
        ([{"persona": "x", "level": "senior"}], "unknown level 'senior': choose from beginner, practitioner, expert"),
        (["A baker.", "a  BAKER."], "item 2: this persona stands at item 1 already"),
        ([{"id": "a", "persona": "x"}, {"id": "a", "persona": "y"}], "item 2: the id 'a' stands at item 1 already"),
        (["x" * 2_001], "at most 2,000"),
        (7, "where a list of personas or a file's name is needed"),
        ("nobody.jsonl", "no file 'nobody.jsonl' beside the recipe"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(tmp_path: Path, value: object, says: str) -> None:
    text = message(value, tmp_path)
    assert says in text
    assert text.startswith(f"{WHERE}: ")


@pytest.mark.parametrize("value", [None, "personas", "personas.jsonl"])
def test_the_shipped_list_is_used_when_none_is_named(tmp_path: Path, value: str | None) -> None:
    personas = read(value, folder=tmp_path, where=WHERE)
    assert len(personas) >= 200
    assert {item.level for item in personas} == set(LEVELS)
    assert len({item.domain for item in personas}) >= 15
    assert all(5 <= len(item.persona.split()) <= 60 for item in personas)


def test_real_lists_of_personas_are_read_whole(shared_data: Path) -> None:
    assert len(read("personas.jsonl", folder=shared_data, where=WHERE)) == 650
