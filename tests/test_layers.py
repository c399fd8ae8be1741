"""A module imports only from lower floors; siblings in one room never import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the ground up. A name is a module of gen/ or a room (a folder, with everything in it).
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"types", "errors", "resources", "concurrency", "files", "whole_folder", "bounds"}),
    # pure building blocks: text and its likeness, patterns, packing, templates, prompts, plots
    frozenset({"text", "folding", "language", "likeness", "patterns", "turns", "replies", "markup", "conversation", "candidates"})
    | frozenset(
        {"apportion", "packing", "splits", "templates", "prompts", "plugins", "plots", "card", "yaml_config", "containers", "chunks"}
    ),
    frozenset({"recipe", "simulator", "records"}),
    frozenset(
        {
            "llm",
            "ledger",
            "ledger_rows",
            "record",
            "formats",
            "features",
            "figures",
            "against",
            "asking",
            "answering",
            "opinions",
            "second_chance",
        }
    ),
    frozenset({"sources", "strategies", "gates", "judges", "pairs", "exporters", "trainers", "sequences", "simulated"}),
    frozenset({"pipeline", "pack_options"}),
    frozenset({"parts"}),
    frozenset({"run", "run_folder", "outputs", "recorder", "pairs_stage", "preview", "rehearsal", "estimate", "batch_rounds"})
    | frozenset({"regenerate", "approval", "lab", "review", "replay", "evaluation", "pack_source", "mixing", "audit"})
    | frozenset({"convert", "publish", "leak_check", "gating", "pack_summary"}),
    frozenset({"commands"}),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
PLUGIN_ROOMS = ("strategies", "gates", "judges", "pairs", "exporters")


def modules() -> list[Path]:
    return sorted(path for path in (ROOT / "gen").rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT / "gen")


def room_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("gen.")}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "gen":
                found |= {f"gen.{alias.name}" for alias in node.names if not alias.name.startswith("__")}
            elif node.module.startswith("gen."):
                found.add(node.module)
    return found


def test_every_module_has_a_floor() -> None:
    here = {path.relative_to(ROOT / "gen").parts[0].removesuffix(".py") for path in modules()}
    assert here - set(FLOOR_OF) == set(), "give each new module a floor in FLOORS"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(ROOT / "gen").parts[0].removesuffix(".py")
    for module in sorted(imported(path)):
        other = room_of(module)
        if other == room:
            continue
        assert FLOOR_OF[other] <= FLOOR_OF[room], f"{room} (floor {FLOOR_OF[room]}) imports {module} (floor {FLOOR_OF[other]})"


@pytest.mark.parametrize("room", PLUGIN_ROOMS)
def test_plugins_of_a_room_never_import_each_other(room: str) -> None:
    folder = ROOT / "gen" / room
    for path in sorted(folder.glob("*.py")):
        siblings = {module for module in imported(path) if module.startswith(f"gen.{room}.") and not module.split(".")[2].startswith("_")}
        own = {module for module in siblings if module.split(".")[2] == path.stem}
        assert siblings == own, f"{path.name} imports {siblings - own}"


def test_nothing_imports_in_circles() -> None:
    graph = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): imported(path) for path in modules()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        if module in done or module not in graph:
            return
        for other in sorted(graph[module]):
            visit(other, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("library", ["openai", "anthropic"])
def test_only_the_providers_know_the_sdks(library: str) -> None:
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if f"import {library}" in text or f"from {library}" in text:
            assert "llm/providers" in path.as_posix(), path


def test_nobody_catches_everything() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"everything"}
                reraised = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                assert not names & {"Exception", "everything"}, f"{path}:{node.lineno}"
                assert "BaseException" not in names or reraised, f"{path}:{node.lineno}"
