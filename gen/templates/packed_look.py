"""Read the first row of a packed set back from disk and show it to a person: what is trained and which tokens are control tokens, marked
by signs as well as by colour, so that it can be read in a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from rich.text import Text

from gen.errors import StorageError
from gen.markup import visible
from gen.templates.template_check import Run, decode_row
from gen.templates.tokenizer import ChatTokenizer

LEGEND = "{+trained on+}, [control token]"
_SAMPLES_SHOWN = 2
_LONGEST_RUN, _KEPT_AT_END = 600, 120  # characters; the end of an answer is where a mask goes wrong


def first_row(folder: Path) -> Mapping[str, Any]:
    """The first row of a packed set, its columns as lists. Raises StorageError when the set cannot be read."""
    shard = min(folder.glob("data-*.arrow"), default=folder / "data-00000-of-00001.arrow")
    try:
        with pa.memory_map(str(shard)) as source, pa.ipc.open_stream(source) as reader:
            row: dict[str, Any] = reader.read_next_batch().slice(0, 1).to_pylist()[0]
    except (OSError, pa.ArrowInvalid, StopIteration, IndexError) as error:
        raise StorageError(f"{folder}: the packed set cannot be read back ({type(error).__name__})") from error
    return row if "seq_lengths" in row else row | {"seq_lengths": [len(row["input_ids"])]}


def look(row: Mapping[str, Any], tokenizer: ChatTokenizer) -> Text:
    """A row's first samples decoded: what is trained on between `{+` and `+}` and green, control tokens in `[…]` and magenta, the rest
    dim. Long texts are cut in their middle; what cannot be seen is written as its code point."""
    samples = decode_row(row, tokenizer)
    text = Text()
    for place, runs in enumerate(samples[:_SAMPLES_SHOWN], start=1):
        text.append(f"--- sample {place} of {len(samples)} in this row\n", "bold")
        _show(runs, text)
        text.append("\n")
    return text


def _show(runs: Sequence[Run], text: Text) -> None:
    trained = False
    for run in runs:
        if run.trained != trained:
            text.append("{+" if run.trained else "+}", "green")
            trained = run.trained
        if run.control:
            text.append(f"[{visible(run.text)}]", "bold magenta")
        else:
            text.append(_middle_cut(visible(run.text)), "green" if run.trained else "dim")
    if trained:
        text.append("+}", "green")


def _middle_cut(text: str) -> str:
    if len(text) <= _LONGEST_RUN:
        return text
    left_out = len(text) - _LONGEST_RUN
    return f"{text[: _LONGEST_RUN - _KEPT_AT_END]}… ({left_out:,} characters) …{text[-_KEPT_AT_END:]}"
