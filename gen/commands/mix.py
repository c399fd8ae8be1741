"""`sluice mix`: several datasets to target proportions."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gen.figures.wording import many, percent
from gen.markup import visible
from gen.mixing.file import MixFile, load
from gen.mixing.making import Leaking, Mix, make
from gen.mixing.papers import counted_by, leaking_facts, table, warnings
from gen.mixing.writing import check_free, write_mix
from gen.recipe import SPLITS

EXIT_DONE, EXIT_SHORT = 0, 1
_PAIRS_NAMED = 10


def command(
    file: Annotated[Path, typer.Argument(metavar="MIX", help="The mix: a YAML file that names datasets and their parts.")],
    out: Annotated[Path | None, typer.Option(help="The folder to write; mixes/NAME when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> int:
    """Mix several datasets to target proportions: split first, then repeat evenly under a cap, in the training split alone.

    Exit status: 0 done, 1 short of what was asked, or something leaks (then nothing is written), 2 for wrong input.
    """
    mix = load(file)
    folder = out or Path("mixes") / mix.config.name
    check_free(folder)
    live = sys.stderr.isatty() and not as_json
    made = make(mix, _show if live else lambda _name, _count: None)
    if live:
        print("\r\033[K", end="", file=sys.stderr)
    if isinstance(made, Leaking):
        print(json.dumps({"leaks": leaking_facts(made.all_pairs)}, ensure_ascii=False) if as_json else "\n".join(_leaks(made, mix)))
        return EXIT_SHORT
    written = write_mix(made, folder)
    if as_json:
        print(json.dumps({"out": str(folder), **written}, ensure_ascii=False))
    else:
        _print(made, folder)
    return EXIT_SHORT if made.short else EXIT_DONE


def _show(name: str, count: int) -> None:
    print(f"\r\033[K{visible(name)}: {count:,} read", end="", file=sys.stderr)


def _print(mix: Mix, folder: Path) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    config = mix.file.config
    console.print(
        f"{visible(config.name)}: {many(len(mix.datasets), 'dataset')} by {config.method}, counted in {counted_by(mix)}, seed {config.seed}"
    )
    grid = Table(box=None, pad_edge=False, padding=(0, 2))
    grid.add_column("training split")
    for head in ("samples", "asked", "got", "each stands"):
        grid.add_column(head, justify="right")
    for name, samples, *rest in table(mix):
        grid.add_row(Text(visible(name)), f"{samples:,}", *rest)
    console.print(grid)
    rows = ", ".join(f"{split} {sum(part.rows for part in mix.parts[split]):,}" for split in SPLITS)
    console.print(f"rows: {rows}; people wrote {percent(mix.human_share)} of the training split")
    for one in mix.against:
        console.print(f"{visible(one.file)}: nothing of its {many(one.prompts, 'prompt')} is in training or validation")
    for said in warnings(mix):
        console.print(f"! {visible(said)}")
    console.print(f"wrote {folder}")


def _leaks(made: Leaking, mix: MixFile) -> Iterator[str]:
    pairs = made.all_pairs
    where = "two splits" if made.pairs else ", ".join(one.file for one in made.against if one.pairs)
    yield f"leak: {many(len(pairs), 'pair')} across {visible(where)}; nothing was written"
    for pair in pairs[:_PAIRS_NAMED]:
        alike = f", {pair.similarity:.2f} alike" if pair.similarity is not None else ""
        yield f"  {visible(pair.left)} ({pair.left_in}) and {visible(pair.right)} ({visible(pair.right_in)}): {pair.kind}{alike}"
    if len(pairs) > _PAIRS_NAMED:
        yield f"  … {len(pairs) - _PAIRS_NAMED:,} more; --json names all"
    if made.pairs:
        yield f"take one of each pair out, or let {mix.document.file.name} divide a dataset again (`split: anew`)"
    else:
        yield "take these records out of the datasets: what is tested on must not be learnt"
