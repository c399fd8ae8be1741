"""Write a mix as a folder that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.files import json_line as line_of
from gen.files import replacing, write_text
from gen.mixing.making import Mix
from gen.mixing.papers import facts, readme
from gen.recipe import SPLITS
from gen.whole_folder import replacing_folder

MARK = "mix.json"


def check_free(out: Path) -> None:
    """Raise InputError unless `out` is new, an empty folder or a mix made before, which may be replaced."""
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds no mix: choose another folder with --out")


def write_mix(mix: Mix, out: Path) -> dict[str, Any]:
    """Write train, validation and test.jsonl, mix.json and README.md; the facts in mix.json. Splits without rows have no file.

    Raises InputError when `out` holds something else, StorageError when it cannot be written.
    """
    check_free(out)
    with replacing_folder(out) as folder:
        files = {f"{split}.jsonl": _write_split(mix, split, folder / f"{split}.jsonl") for split in SPLITS if mix.got(split)}
        written = facts(mix, files)
        write_text(folder / MARK, json.dumps(written, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "README.md", readme(mix))
    return written


def _write_split(mix: Mix, split: str, path: Path) -> dict[str, Any]:
    digest, rows = hashlib.sha256(), 0
    with replacing(path) as file:
        for row in mix.rows(split):
            line = line_of(row)
            digest.update(line)
            file.write(line)
            rows += 1
    return {"rows": rows, "worth": mix.got(split), "sha256": digest.hexdigest()}
