"""`sluice gates`: what gates there are and what they take."""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, Field
from typing import Annotated, Any

import typer

from gen import plugins
from gen.recipe import DEFAULT_GATES


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    name: Annotated[str, typer.Argument(metavar="[GATE]", help="One gate, with its whole description.")] = "",
) -> None:
    """List the gates with their options and defaults; one gate by name with everything about it."""
    names = [name] if name else plugins.names("gates")
    rows = [_row(one) for one in names]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    elif name:
        print(f"{name}{'' if name in DEFAULT_GATES else ' (not in the default chain)'}\n\n{rows[0]['description']}\n")
        print("\n".join(f"  {option}: {default}" for option, default in rows[0]["options"].items()) or "  no options")
    else:
        for row in rows:
            options = ", ".join(f"{option}={default}" for option, default in row["options"].items())
            mark = "*" if row["default"] else " "
            print(f"{mark} {row['gate']:<14} {row['summary']}\n                 {options or 'no options'}")
        print("\n* in the default chain. `sluice gates GATE` tells its thresholds, their sources and its reasons.")


def _row(name: str) -> dict[str, Any]:
    plugin = plugins.find("gates", name)
    module = inspect.getmodule(plugin)
    description = "\n\n".join(text for text in (inspect.getdoc(module) or "", inspect.getdoc(plugin) or "") if text)
    return {
        "gate": name,
        "default": name in DEFAULT_GATES,
        "summary": " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split()),
        "description": description,
        "options": {option: _default(item) for option, item in plugins.options(plugin).items()},
    }


def _default(item: Field[Any]) -> str:
    if item.default is not MISSING:
        return repr(item.default)
    return "required" if item.default_factory is MISSING else repr(item.default_factory())
