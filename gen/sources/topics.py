"""What the samples are to be about: an inline list, a text, JSON Lines, YAML or CSV file, or one of the lists that Sluice ships.

A topic names a sequence of its own in the run (its quota, its pool, its random streams), so two spellings of one topic would silently
halve its variety: duplicates are an error that names both places, compared without regard to case and white space.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

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
    read_text,
    shipped_folder,
    text_of,
)

MAX_CHARACTERS = 300  # a topic is a phrase that stands in prompts, tables and plots; the longest of 352 real ones has 67

MAX_YAML_MEBIBYTES = 1  # ruamel.yaml reads some 200 kB a second

_NESTED = re.compile(r"(?:[\[{]\s{0,20}){20}")  # no list of topics; it would take the parser seconds to give up
_READERS = ".txt, .jsonl, .json, .yaml, .yml or .csv"


def read(value: object, *, folder: Path, where: str) -> tuple[str, ...]:
    """The topics of a recipe in the order written, white space normalised, Unicode in NFC.

    `value` is a list of texts, a file's path relative to `folder`, or the name of a shipped list (`compliance`). Raises InputError for an
    empty list, an empty or over-long topic, a duplicate, and a file that cannot be read; `where` (`sources.topics`) begins the message.
    """
    entries = list(_entries(value, folder=folder, where=where))
    if not entries:
        raise nothing_in(value, where, "topic")
    places: dict[str, str] = {}
    topics = []
    for entry in entries:
        topic = _topic(entry, where)
        same = topic.casefold()
        if same in places:
            raise InputError(f"{where}: {entry.place}: the topic '{topic}' stands at {places[same]} already: remove one")
        places[same] = entry.place
        topics.append(topic)
    return tuple(topics)


def _entries(value: object, *, folder: Path, where: str) -> Iterator[Entry]:
    if isinstance(value, list | tuple):
        yield from (Entry(item, f"item {number}") for number, item in enumerate(value, 1))
        return
    if not isinstance(value, str):
        raise InputError(f"{where}: {kind_of(value)}, where a list of topics or a file's name is needed")
    path = find_file(value, folder=folder, where=where, shipped=shipped_folder("topics", ".txt"))
    match path.suffix.lower():
        case ".txt" | "":
            yield from read_lines(path, where)
        case ".jsonl" | ".json":
            yield from _from_objects(path, where)
        case ".yaml" | ".yml":
            yield from _from_yaml(path, where)
        case ".csv":
            yield from _from_csv(path, where)
        case suffix:
            raise InputError(f"{where}: {path}: topics are read from {_READERS}, not {suffix}")


def _topic(entry: Entry, where: str) -> str:
    text = checked_text(entry.value, f"{where}: {entry.place}: a topic", max_characters=MAX_CHARACTERS)
    topic = unicodedata.normalize("NFC", one_line(text))
    if not topic:
        raise InputError(f"{where}: {entry.place}: an empty topic: write a phrase or remove it")
    return topic


def _from_objects(path: Path, where: str) -> Iterator[Entry]:
    for entry in read_objects(path, where):
        topic = text_of(entry.value, "topic", place=f"{where}: {entry.place}", max_characters=MAX_CHARACTERS)
        if not topic:
            raise InputError(f"{where}: {entry.place}: has no 'topic'")
        yield Entry(topic, entry.place)


def _from_yaml(path: Path, where: str) -> Iterator[Entry]:
    """A list at the top or under `topics:`; lines are counted from 1."""
    text = read_text(path, where)
    if len(text) > MAX_YAML_MEBIBYTES << 20:
        raise InputError(f"{where}: {path}: more than {MAX_YAML_MEBIBYTES} MiB of YAML: write the topics as .txt, one a line")
    if _NESTED.search(text):
        raise InputError(f"{where}: {path}: invalid YAML for topics: brackets nested 20 deep")
    try:
        content = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}: {path}{line}: invalid YAML: {error.problem}") from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{where}: {path}: invalid YAML: {one_line(str(error))[:200]}") from error
    if isinstance(content, CommentedMap) and "topics" in content:
        content = content["topics"]
    if not isinstance(content, CommentedSeq):
        raise InputError(f"{where}: {path}: {kind_of(content)}, where a list of topics is needed ('- a topic' on each line)")
    for index, item in enumerate(content):
        yield Entry(item, f"{path}:{content.lc.item(index)[0] + 1}")


def _from_csv(path: Path, where: str) -> Iterator[Entry]:
    """The column `topic`, named in the first row; rows that are empty throughout are passed over."""
    reader = csv.reader(io.StringIO(read_text(path, where), newline=""), strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        if "topic" not in header:
            raise InputError(
                f"{where}: {path}:1: no column 'topic' in {','.join(header)[:100] or 'an empty file'}: columns are split by commas"
            )
        column = header.index("topic")
        for row in reader:
            if any(cell.strip() for cell in row):
                yield Entry(row[column] if column < len(row) else "", f"{path}:{reader.line_num}")
    except csv.Error as error:
        raise InputError(f"{where}: {path}:{reader.line_num}: invalid CSV: {error}") from error
