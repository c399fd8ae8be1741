"""`sluice gates`: what gates there are and what they take; `sluice gates evaluate`: how right they are on your own labels."""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, Field
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gen import plugins
from gen.commands import gates_evaluate
from gen.recipe import DEFAULT_GATES


class _ListUnlessNamed(TyperGroup):
    """`sluice gates`, `sluice gates GATE` and `sluice gates --json` are short for `sluice gates list …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asks_for_help = bool(args) and args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if asks_for_help or (args and args[0] in self.commands) else ["list", *args])


command = typer.Typer(cls=_ListUnlessNamed, help="List the gates with their options and defaults, or measure them on labelled data.")
command.command("evaluate")(gates_evaluate.command)


@command.command("list")
def list_gates(
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
