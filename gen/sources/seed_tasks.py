"""Worked examples to start from: an inline list, a JSON Lines or JSON file, or the tasks that Sluice ships.

Self-Instruct (Wang et al. 2023) begins with 175 tasks written by people; the shipped list follows that idea with tasks of our own. The
shapes in common use are told apart by their keys: ours and Alpaca's (`instruction`), Self-Instruct's (`instances`), chat (`messages`)
and TRL's `prompt` with `completion`, each as text or as messages. Of a conversation the first question and its answer are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.sources._files import Entry, checked_text, find_file, kind_of, nothing_in, read_objects, shipped_file, text_of
from gen.types import SeedTask, digest

MAX_INSTRUCTION_CHARACTERS = 20_000  # a seed is shown in prompts beside several others
MAX_OUTPUT_CHARACTERS = 60_000
MAX_LABEL_CHARACTERS = 100

_SHIPPED = "seed_tasks.jsonl"


def read(value: object, *, folder: Path, where: str) -> tuple[SeedTask, ...]:
    """The seed tasks of a recipe in the order written; None means the shipped ones.

    `value` is a list of objects or a file's path relative to `folder` (`.json`: a list of objects; any other: JSON Lines). A task without
    an id gets `seed-` and the digest of its texts. Raises InputError for an empty list, a missing instruction, a duplicate and a file
    that cannot be read, each with its place.
    """
    places: dict[str, str] = {}
    tasks = []
    for entry in _entries(_SHIPPED if value is None else value, folder=folder, where=where):
        task = _seed_task(entry.value, f"{where}: {entry.place}")
        for same, what in ((task.id, f"the id '{task.id}'"), ("=" + digest([task.instruction, task.output]), "this task")):
            if same in places:
                raise InputError(f"{where}: {entry.place}: {what} stands at {places[same]} already: remove one")
            places[same] = entry.place
        tasks.append(task)
    if not tasks:
        raise nothing_in(value, where, "seed task")
    return tuple(tasks)


def _entries(value: object, *, folder: Path, where: str) -> Iterator[Entry]:
    if isinstance(value, str):
        yield from read_objects(find_file(value, folder=folder, where=where, shipped=shipped_file(_SHIPPED)), where)
        return
    if not isinstance(value, list | tuple):
        raise InputError(f"{where}: {kind_of(value)}, where a list of seed tasks or a file's name is needed")
    for number, item in enumerate(value, 1):
        if not isinstance(item, Mapping):
            raise InputError(f"{where}: item {number}: {kind_of(item)}, where an object with 'instruction' and 'output' is needed")
        yield Entry(item, f"item {number}")


def _seed_task(fields: Mapping[str, Any], place: str) -> SeedTask:
    instruction, output = _texts(fields, place)
    if not instruction:
        raise InputError(f"{place}: has no instruction: write it under 'instruction' (or 'prompt', or as the user's turn in 'messages')")
    given = fields.get("id")
    return SeedTask(
        id=_label(str(given) if isinstance(given, int) else given, f"{place}: 'id'") or f"seed-{digest([instruction, output])}",
        instruction=instruction,
        output=output,
        kind=_label(fields.get("kind"), f"{place}: 'kind'"),
    )


def _texts(fields: Mapping[str, Any], place: str) -> tuple[str, str]:
    """Instruction and output, whatever the shape."""
    if "messages" in fields:
        return _first_exchange(fields["messages"], f"{place}: 'messages'")
    if "prompt" in fields:
        return _turn(fields, "prompt", place), _turn(fields, "completion", place)
    instruction = text_of(fields, "instruction", place=place, max_characters=MAX_INSTRUCTION_CHARACTERS)
    example = _first_instance(fields, place)
    context = text_of(example, "input", place=place, max_characters=MAX_INSTRUCTION_CHARACTERS)
    output = text_of(example, "output", place=place, max_characters=MAX_OUTPUT_CHARACTERS)
    return (f"{instruction}\n\n{context}" if instruction and context else instruction), output


def _first_instance(fields: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The first worked instance of a Self-Instruct task; the fields themselves in Alpaca's shape and ours."""
    if "instances" not in fields:
        return fields
    instances = fields["instances"]
    if not isinstance(instances, list | tuple) or not instances or not isinstance(instances[0], Mapping):
        raise InputError(f"{place}: 'instances' must be a list of objects, got {kind_of(instances)}")
    first: Mapping[str, Any] = instances[0]
    return first


def _turn(fields: Mapping[str, Any], key: str, place: str) -> str:
    """A prompt or a completion: text, or messages of which the last counts."""
    value = fields.get(key)
    if not isinstance(value, list | tuple):
        limit = MAX_INSTRUCTION_CHARACTERS if key == "prompt" else MAX_OUTPUT_CHARACTERS
        return text_of(fields, key, place=place, max_characters=limit)
    role = "user" if key == "prompt" else "assistant"
    turns = [turn for turn in _turns(value, f"{place}: '{key}'") if turn[0] == role]
    return turns[-1][1] if turns else ""


def _first_exchange(value: object, place: str) -> tuple[str, str]:
    turns = _turns(value, place)
    asked = next((index for index, (role, _) in enumerate(turns) if role == "user"), None)
    if asked is None:
        return "", ""
    answer = next((content for role, content in turns[asked + 1 :] if role == "assistant"), "")
    return turns[asked][1], answer


def _turns(value: object, place: str) -> list[tuple[str, str]]:
    """Role and content of each message."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{place} must be a list of messages, got {kind_of(value)}")
    turns = []
    for number, message in enumerate(value, 1):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise InputError(f"{place}, message {number}, must be an object with 'role' and 'content'")
        content = message.get("content")
        text = (
            "" if content is None else checked_text(content, f"{place}, message {number}, 'content'", max_characters=MAX_OUTPUT_CHARACTERS)
        )
        turns.append((message["role"], text))
    return turns


def _label(value: object, place: str) -> str:
    return "" if value is None else checked_text(value, place, max_characters=MAX_LABEL_CHARACTERS)
