from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup, TyperOption

from gen import plugins
from gen.commands import COMMANDS
from gen.parts import build_parts
from gen.recipe import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
# Written by every run or by a command of their own, not chosen under `export.formats`.
PAPERS = {"card": "data card", "quality_report": "quality report", "readme": "README", "report": "report.html"}


def options_of(name: str) -> Iterator[str]:
    """The long options of a command, and of the commands that it has itself."""
    application = typer.Typer(add_completion=False)
    function = importlib.import_module(f"gen.commands.{COMMANDS[name][0]}").command
    if isinstance(function, typer.Typer):
        application.add_typer(function, name=name)
    else:
        application.command(name)(function)
        application.callback()(lambda: None)
    root = typer.main.get_command(application)
    assert isinstance(root, TyperGroup)
    waiting = [root.commands[name]]
    while waiting:
        command = waiting.pop()
        waiting += command.commands.values() if isinstance(command, TyperGroup) else []
        for option in command.params:
            if isinstance(option, TyperOption):
                yield from (text for text in (*option.opts, *option.secondary_opts) if text.startswith("--") and text != "--help")


def linked_from(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]{1,300})\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            yield target.split("#")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_reference_with_every_option(name: str) -> None:
    assert f"`sluice {name}" in REFERENCE
    pages = REFERENCE + "".join(page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "docs")
    assert [option for option in options_of(name) if f"`{option}" not in pages] == []


@pytest.mark.parametrize("room", ["gates", "strategies", "judges", "pairs"])
def test_every_plugin_stands_in_the_readme(room: str) -> None:
    ours = [path.stem for path in sorted((ROOT / "gen" / room).glob("[!_]*.py"))]
    assert set(ours) <= set(plugins.names(room))
    assert [name for name in ours if not re.search(rf"\b{name}\b", README)] == []


def test_every_output_stands_in_the_readme() -> None:
    ours = [path.stem for path in sorted((ROOT / "gen" / "exporters").glob("[!_]*.py"))]
    everywhere = README + (ROOT / "docs" / "run-folder.md").read_text(encoding="utf-8")
    assert [name for name in ours if not re.search(rf"\b{PAPERS.get(name, name)}\b", everywhere)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    assert [target for target in linked_from(page) if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "strategies").glob("*.md")), ids=lambda page: page.stem)
def test_a_strategy_page_names_every_option(page: Path) -> None:
    options = plugins.options(plugins.find("strategies", page.stem))
    text = page.read_text(encoding="utf-8")
    assert [name for name in options if f"`{name}`" not in text] == []


def test_every_strategy_has_its_page() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "strategies").glob("*.md")}
    assert pages == {path.stem for path in (ROOT / "gen" / "strategies").glob("[!_]*.py")}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_recipe_of_the_readme_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.{1,4000}?)```", README, re.DOTALL)
    recipes = [block for block in blocks if block.startswith("name:")]
    assert len(recipes) == 1
    assert build_parts(parse(recipes[0], ROOT / "README.md")).sequences


def test_nothing_is_left_to_fill_in() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"@@\w{1,40}@@|TODO|FIXME|XXX", text), page
