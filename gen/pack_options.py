"""A recipe's `export: {pack: …}` as the exporter it asks for, checked before anything is paid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gen import plugins
from gen.errors import InputError, RecipeError
from gen.recipe import Recipe
from gen.resources import resource
from gen.templates.chat_template import NAMED

SHIPPED_TOKENIZER = "shipped"  # the small one in data/
DEFAULT_MAX_LENGTH = 2048


def packed_exporter(recipe: Recipe) -> Any:
    """The exporter of the packed set that the recipe asks for, None where it asks for none.

    Raises RecipeError with the recipe's line for an unknown option or a wrong value.
    """
    options = recipe.config.export.pack
    if options is None:
        return None
    try:
        return plugins.build("exporters", "packed", packing_options(options, recipe.folder))
    except RecipeError as error:
        raise recipe.error(("export", "pack"), error) from error


def check_packing(recipe: Recipe) -> None:
    """Load what packing will need, tokenizer and chat template, and render a first conversation.

    Raises RecipeError with the recipe's line for what cannot be used: an unknown option, a tokenizer that is not here and that the Hub
    does not give, a template that the tokenizer has no tokens for.
    """
    exporter = packed_exporter(recipe)
    if exporter is None:
        return
    try:
        for _ in exporter.rows(()):  # to pack nothing takes all that packing takes
            pass
    except InputError as error:
        at_fault = "chat_template" if "template" in str(error) and exporter.chat_template is not None else "tokenizer"
        raise recipe.error(("export", "pack", at_fault), error) from error


def packing_options(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The packed exporter's options with their defaults and with files found: a tokenizer is `shipped`, a folder beside the recipe or a
    name on the Hub; a chat template is one of the named ones or a file beside the recipe."""
    found = {"tokenizer": SHIPPED_TOKENIZER, "max_length": DEFAULT_MAX_LENGTH} | dict(options)
    found["tokenizer"] = tokenizer_place(found["tokenizer"], folder)
    template = found.get("chat_template")
    if isinstance(template, str) and template not in NAMED:
        found["chat_template"] = str(folder / template)
    return found


def tokenizer_place(name: Any, folder: Path) -> Any:
    """Where a tokenizer is loaded from; a wrong type is left for the exporter to refuse."""
    if name == SHIPPED_TOKENIZER:
        return str(resource("data", "tokenizer"))
    return str(folder / name) if isinstance(name, str) and (folder / name).is_dir() else name


def tokenizer_title(name: Any, loaded: str) -> str:
    """What a paper calls the tokenizer: never a path."""
    return "the small one that Sluice ships" if name == SHIPPED_TOKENIZER else loaded
