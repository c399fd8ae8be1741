"""Who asks or answers: an inline list, a JSON Lines or text file, or the list that Sluice ships.

Personas give one topic many askers (Ge et al. 2024, "Scaling Synthetic Data Creation with 1,000,000,000 Personas"). The shipped list is
small and of our own wording; a larger one is a file with one persona a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gen.errors import InputError
from gen.sources._files import (
    Entry,
    checked_text,
    find_file,
    kind_of,
    nothing_in,
    one_line,
    read_lines,
    read_objects,
    shipped_file,
    text_of,
)
from gen.types import Persona, digest

LEVELS = ("beginner", "practitioner", "expert")
MAX_CHARACTERS = 2_000  # some 300 words: a persona stands beside a task in one prompt
MAX_LABEL_CHARACTERS = 100

_SHIPPED = "personas.jsonl"


def read(value: object, *, folder: Path, where: str) -> tuple[Persona, ...]:
    """The personas of a recipe in the order written; None means the shipped ones.

    `value` is a list of texts or of objects with `persona` (and `id`, `domain`, `level`), or a file's path relative to `folder`: `.jsonl`
    and `.json` hold such objects, any other file one persona a line. A persona without an id gets `persona-` and the digest of its text.
    Raises InputError for an empty list, a missing persona, an unknown level, a duplicate and a file that cannot be read.
    """
    places: dict[str, str] = {}
    personas = []
    for entry in _entries(_SHIPPED if value is None else value, folder=folder, where=where):
        persona = _persona(entry, f"{where}: {entry.place}")
        for same, what in ((persona.id, f"the id '{persona.id}'"), ("=" + persona.persona.casefold(), "this persona")):
            if same in places:
                raise InputError(f"{where}: {entry.place}: {what} stands at {places[same]} already: remove one")
            places[same] = entry.place
        personas.append(persona)
    if not personas:
        raise nothing_in(value, where, "persona")
    return tuple(personas)


def _entries(value: object, *, folder: Path, where: str) -> Iterator[Entry]:
    if isinstance(value, list | tuple):
        yield from (Entry(item, f"item {number}") for number, item in enumerate(value, 1))
        return
    if not isinstance(value, str):
        raise InputError(f"{where}: {kind_of(value)}, where a list of personas or a file's name is needed")
    path = find_file(value, folder=folder, where=where, shipped=shipped_file(_SHIPPED))
    yield from read_objects(path, where) if path.suffix.lower() in (".jsonl", ".json") else read_lines(path, where)


def _persona(entry: Entry, place: str) -> Persona:
    fields = (
        entry.value
        if isinstance(entry.value, Mapping)
        else {"persona": checked_text(entry.value, f"{place}: a persona", max_characters=MAX_CHARACTERS)}
    )
    text = one_line(text_of(fields, "persona", place=place, max_characters=MAX_CHARACTERS))
    if not text:
        raise InputError(f"{place}: has no 'persona'")
    level = text_of(fields, "level", place=place, max_characters=MAX_LABEL_CHARACTERS).casefold()
    if level and level not in LEVELS:
        raise InputError(f"{place}: unknown level '{level}': choose from {', '.join(LEVELS)}")
    return Persona(
        id=text_of(fields, "id", place=place, max_characters=MAX_LABEL_CHARACTERS) or f"persona-{digest(text)}",
        persona=text,
        domain=text_of(fields, "domain", place=place, max_characters=MAX_LABEL_CHARACTERS),
        level=level,
    )
