# task: reads a large file line by line and yields the lines that contain a word
# note: only one line is in memory at any time, however large the file is
from collections.abc import Iterator
from pathlib import Path


def matching_lines(path: Path, word: str) -> Iterator[str]:
    """The lines that contain `word`, one at a time."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if word in line:
                yield line.rstrip("\n")
