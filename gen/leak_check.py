"""Whether what is held back stays out of what is learnt: across a run's splits, and against files of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gen.against import Held, Touch, read_held, touching
from gen.containers import is_hub
from gen.errors import InputError, LeakError
from gen.figures.wording import many
from gen.recipe import Recipe
from gen.records import Reading, Record, read_records
from gen.splits import BY_LINEAGE, LOCKED_SPLIT
from gen.turns import part
from gen.types import Preference, Sample

_NAMED = 5


def held_files(recipe: Recipe) -> tuple[Held, ...]:
    """The files of `export.against`, meant from the recipe's folder.

    Raises RecipeError with the line when one cannot be read or holds no prompt.
    """
    held = []
    for name in recipe.config.export.against:
        path = Path(name)
        try:
            held.append(read_held(path if is_hub(path) else recipe.folder / path))
        except InputError as error:
            raise recipe.error(("export", "against"), error) from error
    return tuple(held)


def refuse_leaks(
    recipe: Recipe, held: Iterable[Held], samples: Sequence[Sample], pairs: Sequence[Preference], splits: Mapping[str, str], leaking: int
) -> None:
    """Raise LeakError where groups of samples lie in two splits that may not (by lineage, near-duplicates may), or where something in
    training or validation is nearly what a file of the user's own asks. `splits` are those of samples and pairs by id."""
    if leaking and recipe.config.export.split.by != BY_LINEAGE:
        raise LeakError(
            f"the splits leak: {many(leaking, 'group')} of samples that belong together lie in more than one; nothing was exported"
        )
    learnt = [(sample.id, part(sample, "instruction")) for sample in samples if splits[sample.id] != LOCKED_SPLIT]
    learnt += [(pair.id, part(Sample(pair.id, pair.prompt), "instruction")) for pair in pairs if splits[pair.id] != LOCKED_SPLIT]
    for one in held:
        if found := touching(one, (text for _, text in learnt)):
            named = [f"{one.file}:{touch.place.removeprefix('line ')} is nearly {learnt[touch.at][0]}" for touch in found]
            cure = f"keep them out by the gate contamination (`files: [{one.file}]`) or in `sluice review`, then export again"
            raise _leak(one, found, named, cure)


def refuse_touching(file: Path, reading: Reading, held: Iterable[Held]) -> None:
    """Raise LeakError where a dataset's prompts are nearly those of a file that it must not touch. Reads it once for each."""
    for one in held:
        lines: list[int] = []
        if found := touching(one, _prompts(file, reading, lines)):
            named = [f"{one.file}:{touch.place.removeprefix('line ')} is nearly {file.name}:{lines[touch.at]}" for touch in found]
            raise _leak(one, found, named, f"take them out of {file.name}, then export again")


def _leak(held: Held, found: Sequence[Touch], named: Sequence[str], cure: str) -> LeakError:
    rest = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    what = f"{many(len(found), 'prompt')} of the training data {'is' if len(found) == 1 else 'are'} nearly in it"
    return LeakError(f"{held.file}: {what} ({', '.join(named[:_NAMED])}{rest}); nothing was exported: {cure}")


def _prompts(file: Path, reading: Reading, lines: list[int]) -> Iterable[str]:
    for record in read_records(file, reading):
        if isinstance(record, Record) and (text := part(record.sample, "both" if record.is_text else "instruction")):
            lines.append(record.line)
            yield text
