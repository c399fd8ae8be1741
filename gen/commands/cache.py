"""`sluice cache`: what the paid replies on disk are, and moving, thinning or handing them on."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gen.errors import InputError
from gen.files import json_line, write_jsonl
from gen.llm.cache_upkeep import CacheStats, Imported, cache_stats, export_replies, import_replies, prune

EXIT_DONE, EXIT_SHORT = 0, 1
MAX_NAMED = 10  # malformed lines that are named one by one; `--json` names a hundred
MAX_NAMED_JSON = 100

_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s?([hdw])")
_SECONDS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}

CacheFile = Annotated[Path, typer.Option(help="The cache of replies.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
DEFAULT = Path("runs/cache.db")

command = typer.Typer(no_args_is_help=True, help="Look after the cache of paid replies.")


@command.command("stats")
def show_stats(cache: CacheFile = DEFAULT, as_json: AsJson = False) -> None:
    """Tell what the cache holds: replies per model, tokens, sizes, finish reasons, dates. Nothing is made or changed."""
    found = cache_stats(cache)
    if as_json:
        print(json.dumps({"cache": str(cache), **_stats_as_json(found)}, ensure_ascii=False))
    else:
        print("\n".join(_stats_lines(cache, found)))


@command.command("prune")
def remove_replies(
    older_than: Annotated[str, typer.Option(help="Remove replies older than this: 12h, 30d, 8w.")] = "",
    model: Annotated[str, typer.Option(help="Remove replies of this model only, by the model id in the recipe.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many would go.")] = False,
    cache: CacheFile = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove replies by age, by model, or by both. A run that needs a removed reply again pays for it again."""
    if not older_than and not model:
        raise typer.BadParameter("say what to remove: --older-than 30d, --model NAME, or both")
    before = time.time() - seconds_of(older_than) if older_than else None
    removed = prune(cache, older_than=before, model=model or None, dry_run=dry_run)
    if as_json:
        print(json.dumps({"cache": str(cache), "removed": 0 if dry_run else removed, "matching": removed}))
    else:
        print(f"{removed:,} replies {'would go' if dry_run else 'removed'}")


@command.command("export")
def export(
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output when left out.")] = None,
    cache: CacheFile = DEFAULT,
) -> None:
    """Write every reply as one JSON line, ordered by its key. It holds no prompts and no keys, but all the texts."""
    if out is None:
        for reply in export_replies(cache):
            sys.stdout.buffer.write(json_line(reply))
        return
    if out.resolve() == cache.resolve():
        raise typer.BadParameter(f"--out {out} is the cache itself: name another file")
    print(f"{write_jsonl(out, export_replies(cache)):,} replies written to {out}")


@command.command("import")
def bring_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sluice cache export` wrote; - for standard input.")],
    cache: CacheFile = DEFAULT,
    as_json: AsJson = False,
) -> int:
    """Add exported replies. What is there stays as it is; lines that are no replies are left out and named.

    Exit status: 0 done, 1 some lines were no replies, 2 wrong input.
    """
    with _opened(file) as lines:
        result = import_replies(cache, lines)
    if as_json:
        malformed = [{"line": line, "problem": problem} for line, problem in result.malformed[:MAX_NAMED_JSON]]
        counts = {"added": result.added, "present": result.present, "malformed": len(result.malformed)}
        print(json.dumps({"cache": str(cache), **counts, "lines": malformed}))
    else:
        print("\n".join(_import_lines(result)))
    return EXIT_SHORT if result.malformed else EXIT_DONE


def seconds_of(age: str) -> float:
    """Seconds in `12h`, `30d` or `8w`.

    >>> seconds_of("30d")
    2592000.0
    """
    found = _AGE.fullmatch(age.strip().lower())
    if found is None:
        raise typer.BadParameter(f"'{age[:40]}' is no age: write it as 12h, 30d or 8w")
    return float(found.group(1)) * _SECONDS[found.group(2)]


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    with opened:
        yield opened


def _stats_lines(cache: Path, stats: CacheStats) -> list[str]:
    lines = [f"{cache}: {stats.replies:,} replies, {stats.bytes / 1e6:,.1f} MB"]
    if stats.simulated:
        lines.append(f"  {stats.simulated:,} of them were written by the simulator")
    if stats.oldest is not None and stats.newest is not None:
        lines.append(f"  asked from {_day(stats.oldest)} to {_day(stats.newest)} (UTC)")
    lines += [
        f"  {_printable(one.model)}: {one.replies:,} replies, {one.input_tokens:,} + {one.output_tokens:,} tokens, "
        f"{one.characters / 1e6:,.1f} M characters"
        for one in stats.models
    ]
    if stats.finish_reasons:
        lines.append("  finish reasons: " + ", ".join(f"{name} {count:,}" for name, count in stats.finish_reasons))
    return lines


def _stats_as_json(stats: CacheStats) -> dict[str, object]:
    return {
        **asdict(stats),
        "finish_reasons": dict(stats.finish_reasons),
        "oldest": None if stats.oldest is None else _day(stats.oldest, exact=True),
        "newest": None if stats.newest is None else _day(stats.newest, exact=True),
    }


def _import_lines(result: Imported) -> list[str]:
    lines = [f"{result.added:,} replies added, {result.present:,} were there already, {len(result.malformed):,} lines are no replies"]
    lines += [f"  line {line}: {problem}" for line, problem in result.malformed[:MAX_NAMED]]
    if len(result.malformed) > MAX_NAMED:
        lines.append(f"  and {len(result.malformed) - MAX_NAMED:,} more")
    return lines


def _printable(name: str) -> str:
    """A name out of a file without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\ufffd" for character in name[:100])


def _day(seconds: float, *, exact: bool = False) -> str:
    """A date in UTC; a time that no calendar holds (an odd import) as its number."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"
    return moment.isoformat(timespec="seconds") if exact else moment.date().isoformat()
