"""Where the files that the project ships lie: inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from gen.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """The file or folder `parts` ("data", "safety_lexicon.json") that ships with the project.

    A wheel carries `prompts/` and `data/` as `gen/prompts` and `gen/data`; in a checkout they lie beside `gen/`. The package is looked
    at first. Raises InputError when neither place has it: an installation that lost files.
    """
    for home in (_PACKAGE, _PACKAGE.parent):
        found = home.joinpath(*parts)
        if found.exists():
            return found
    raise InputError(f"{'/'.join(parts)} is missing from this installation: install the package again")
