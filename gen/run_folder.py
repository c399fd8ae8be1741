"""A run's folder: one process at a time in it, and only the recipe it was made for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from gen.errors import InputError, RecipeError, StorageError
from gen.ledger import Ledger, read_only
from gen.recipe import Recipe, fixed_part
from gen.types import Persona, SeedTask, Sources, digest, thaw

try:
    import fcntl
except ImportError:  # Windows: SQLite's own lock still keeps two writers apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises StorageError when another process is working in it or it cannot be made."""
    if folder.is_file():
        raise StorageError(f"{folder} is a file, where a folder should be: take another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"cannot use the folder {folder}: {error.strerror}") from error
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StorageError(f"another sluice is working in {folder}: wait for it, or take another --out") from error
    finally:
        os.close(descriptor)


def claim(ledger: Ledger, recipe: Recipe, sources: Sources) -> None:
    """Bind the ledger to this recipe, or check that the recipe continues the one it was made for.

    Goal, budget, rates, exports, card, gates and pairs may change. Raises RecipeError naming the first other key that did.
    """
    now = fixed_part(recipe.config) | {"sources": digest(thaw(sources))}
    before = ledger.fact("fixed")
    if before is not None:
        changed = _added_topics_apart(before, now, ledger, sources)
        if changed:
            key = changed[0]
            if key == "sources":
                raise RecipeError(_changed_sources(kept_sources(ledger), sources), file=recipe.file, key=key)
            problem = (
                f"this folder was made with another '{key}' (then {_short(before.get(key))}, now {_short(now.get(key))}): "
                f"take another --out, or set it back"
            )
            raise RecipeError(problem, file=recipe.file, key=key)
    ledger.set_fact("fixed", now)
    ledger.set_fact("sources", thaw(sources))
    ledger.set_fact("recipe", recipe.text)


def kept_sources(ledger: Ledger) -> Sources | None:
    """The sources as this run read them, None before its first start."""
    data = ledger.fact("sources")
    if data is None:
        return None
    return Sources(
        topics=tuple(data["topics"]),
        seed_tasks=tuple(SeedTask(**one) for one in data["seed_tasks"]),
        personas=tuple(Persona(**one) for one in data["personas"]),
    )


def open_ledger(folder: Path, *, to_read: bool = False) -> Ledger:
    """The ledger of a finished or interrupted run; with `to_read` also of one in a folder that cannot be written.

    Raises InputError when the folder is none, StorageError when it is read-only and that does not do.
    """
    if not folder.is_dir():
        raise InputError(f"no such run folder: {folder}")
    if not (folder / "run.db").is_file():
        raise InputError(f"{folder} is no run folder: it has no run.db; `sluice run RECIPE --out {folder}` makes one")
    frozen = read_only(folder)
    if frozen and not to_read:
        raise StorageError(f"the folder {folder} is read-only: copy it to where you may write")
    return Ledger(folder / "run.db", read_only=frozen)


def _added_topics_apart(before: dict[str, Any], now: dict[str, Any], ledger: Ledger, sources: Sources) -> list[str]:
    """The keys that changed, but for topics that were only added to: those continue a run."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    old = kept_sources(ledger)
    if old is not None and set(old.topics) <= set(sources.topics):
        same = Sources(old.topics, sources.seed_tasks, sources.personas)
        if digest(thaw(same)) == before.get("sources"):
            keys = [key for key in keys if key != "sources" and not key.startswith("sources.topics")]
    return sorted(keys, key=lambda key: (key == "sources", key))


def _changed_sources(before: Sources | None, now: Sources) -> str:
    """Names what the files hold now and held otherwise then, since the recipe's own words are the same."""
    names = [item.name for item in fields(Sources) if before is None or getattr(before, item.name) != getattr(now, item.name)]
    gone = [topic for topic in before.topics if topic not in now.topics] if before else []
    lost = f" ('{gone[0]}'{f' and {len(gone) - 1} more topics are' if len(gone) > 1 else ' is'} gone)" if gone else ""
    return (
        f"the {' and '.join(names).replace('_', ' ')} have changed since this folder was made{lost}: take another --out, or set them back"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
