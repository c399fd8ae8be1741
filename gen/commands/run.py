"""`sluice run`: the main job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gen.commands.check import check_models
from gen.commands.events import SILENT, Events, opened, told
from gen.commands.live import live_view
from gen.llm.batching.batcher import UnderWay
from gen.llm.retry import Patience
from gen.llm.telemetry import observed
from gen.recipe import Recipe, load
from gen.run import Progress, RunResult, run
from gen.sequences import ENDED_BY_ITSELF
from gen.types import SequenceEnd, Sources

EXIT_DONE, EXIT_SHORT, EXIT_INTERRUPTED = 0, 1, 130


def command(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's file.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/NAME when left out.")] = None,
    cache: Annotated[Path, typer.Option(help="The cache of replies, shared by all runs.")] = Path("runs/cache.db"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end instead.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view; the end only.")] = False,
    json_events: Annotated[str, typer.Option(help="Write progress as JSON lines to this file; - for standard output.")] = "",
) -> int:
    """Run a recipe until its goal is met, or say honestly why it stopped. Run it again to resume: what was answered is not asked again.

    Exit status: 0 goal reached, 1 fell short, 2 wrong input, 130 interrupted.
    """
    if as_json and json_events == "-":
        raise typer.BadParameter("--json and --json-events - both want standard output: the last event holds the same result")
    recipe = load(recipe_file)
    check_models(recipe)
    folder = out or Path("runs") / recipe.config.name
    with opened(json_events) as events:
        result = run_until_done(recipe, folder, cache, show=not (as_json or quiet), events=events)
        events.tell("finished", result=_as_json(result))
    end = json.dumps(_as_json(result), ensure_ascii=False) if as_json else closing(result)
    print(end, file=sys.stderr if json_events == "-" else sys.stdout)
    if result.stop == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_DONE if result.goal_reached else EXIT_SHORT


def run_until_done(
    recipe: Recipe,
    folder: Path,
    cache: Path,
    *,
    show: bool,
    regenerate: Iterable[str] = (),
    unsafe: Iterable[str] = (),
    sources: Sources | None = None,
    events: Events = SILENT,
) -> RunResult:
    """Run with a live view. Ctrl-C ends the run cleanly: what is on the wire may still land; a second one ends it at once."""

    async def go() -> RunResult:
        interrupt, progress = asyncio.Event(), Progress()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            interrupt.set()
            if show and (waiting := progress.stats().in_flight if progress.stats else 0) > 0:
                _say_what_is_awaited(waiting)
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, _end_at_once)

        with suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt, and running again resumes all the same
            loop.add_signal_handler(signal.SIGINT, stop)
            loop.add_signal_handler(signal.SIGTERM, stop)
        about = {"recipe": recipe.config.name, "hash": recipe.hash, "folder": str(folder)}
        async with live_view(progress, title=recipe.config.name, show=show), told(events, progress, **about):
            return await run(
                recipe,
                folder,
                cache_path=cache,
                progress=progress,
                interrupt=interrupt,
                regenerate=regenerate,
                unsafe=unsafe,
                sources=sources,
            )

    with observed("run", recipe.config.name):
        return asyncio.run(go())


def _say_what_is_awaited(replies: int) -> None:
    many = f"{replies} replies that are" if replies > 1 else "a reply that is"
    clear_line = "\r\033[K" if sys.stderr.isatty() else ""
    print(
        f"{clear_line}sluice: waiting up to {Patience().landing_seconds:g} s for {many} already paid for; Ctrl-C again to leave "
        f"{'them' if replies > 1 else 'it'}",
        file=sys.stderr,
        flush=True,
    )


def _end_at_once(_number: int, _frame: object) -> None:
    """Leave without tidying up: whatever was paid for is on disk, as after a kill."""
    show_cursor = "\r\033[K\033[?25h" if sys.stderr.isatty() else ""
    os.write(sys.stderr.fileno(), f"{show_cursor}sluice: ended at once; run again to go on\n".encode())
    os._exit(EXIT_INTERRUPTED)


def closing(result: RunResult) -> str:
    """What a person reads at the end of a run: how far it got, what was rejected, what it cost, where the files are."""
    session = result.session
    cost = "cost unknown" if session.cost is None else f"${session.cost:.4f}"
    fell_short = result.accepted < result.goal and result.stop in ENDED_BY_ITSELF
    accepted = f"{result.accepted} of {result.goal} accepted" if result.accepted <= result.goal else _beyond(result)
    lines = [
        f"{accepted}, {result.candidates - result.accepted} rejected; {'fell short' if fell_short else result.reason}",
        f"{session.requests} requests, {session.cache_hits} replies from the cache, {session.input_tokens + session.output_tokens} tokens, "
        f"{cost}, {session.seconds:.1f} s",
    ]
    short = [end for end in result.ends if end.accepted < end.goal]
    lines += [f"  {_sequence(end, told='' if fell_short else result.reason)}" for end in short[:12]]
    if len(short) > 12:
        lines.append(f"  and {len(short) - 12} more sequences")
    lines += [f"  {line}" for line in result.written.lines()]
    lines += [f"  {_batch(one)}" for one in result.batches]
    if result.refused:
        lines.append(
            f"{result.refused} rejected in review are left out; `sluice regenerate {result.folder} --gate review` asks for them again"
        )
    if result.stop == "interrupted":
        lines.append(
            f"stopped; everything is kept in {result.folder}. Run the same command again to go on: only what was in flight is asked again."
        )
    elif fell_short:
        lines.append("run again to go on: another goal or other gates may be set in the recipe.")
    elif result.stop == "candidates_spent":
        lines.append("run again to go on: a larger cap on candidates may be set under `goal` in the recipe.")
    elif not result.goal_reached:
        lines.append("run again to go on: only what was in flight is asked again.")
    return "\n".join(lines)


def _beyond(result: RunResult) -> str:
    return f"{result.accepted} accepted (the goal was {result.goal})"


def _sequence(end: SequenceEnd, *, told: str) -> str:
    """How one sequence ended, without the reason that was told for the whole run."""
    why = "" if end.detail == told else f"; {end.detail}"
    return f"{end.strategy}{' / ' + end.topic if end.topic else ''}: {end.accepted} of {end.goal}{why}"


def _batch(one: UnderWay) -> str:
    """What becomes of a batch that is not over."""
    if not one.remote_id:
        return f"a batch of {one.requests} requests was being sent to {one.provider}: the next run finds out whether it arrived"
    if one.cancelled:
        return (
            f"batch {one.remote_id} at {one.provider} was cancelled; the next run fetches what was answered of its {one.requests} requests"
        )
    return f"batch {one.remote_id} of {one.requests} requests goes on at {one.provider}: the next run joins it"


def _as_json(result: RunResult) -> dict[str, Any]:
    return {
        "folder": str(result.folder),
        "goal_reached": result.goal_reached,
        "accepted": result.accepted,
        "candidates": result.candidates,
        "goal": result.goal,
        "stop": result.stop,
        "reason": result.reason,
        "sequences": [asdict(end) for end in result.ends],
        "session": asdict(result.session),
        "batches": [asdict(one) for one in result.batches],
        "rejected_in_review": result.refused,
        "files": result.written.files,
    }
