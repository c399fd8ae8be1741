"""What a mix says about itself: mix.json, README.md with the Hub's header, the warnings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from gen import __version__
from gen.containers.columns import UsedColumns
from gen.conversation import TURN, WIDE_TURN
from gen.features import feature_lines
from gen.figures.wording import many, percent, size_of
from gen.markup import markdown, markdown_table
from gen.mixing.file import WORTHWHILE_REPEATS
from gen.mixing.making import Mix, Part
from gen.mixing.reading import Dataset
from gen.recipe import SPLITS
from gen.types import thaw

_COLUMNS = {"id": "string", "source": "string", "messages": [TURN], "repeat": "int64", "simulated": "bool"}
_WIDE = {**_COLUMNS, "messages": [WIDE_TURN], "tools": "string"}
SIMULATED = "The simulator wrote part of this: it is for trying the tool out, never for training a model."
NO_HUMAN = (
    "no human data: models trained on nothing but models' texts lose the rare cases and drift generation by generation"
    " (model collapse); name a dataset that people wrote, and mark it `human: true`"
)


def facts(mix: Mix, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """mix.json: what was asked and what came of it. `files` describes the files written. The same mix gives the same facts."""
    config = mix.file.config
    return {
        "name": config.name,
        "made_with": f"Sluice {__version__}",
        "seed": config.seed,
        "counted_by": counted_by(mix),
        "method": config.method,
        "temperature": config.temperature,
        "max_repeats": config.max_repeats,
        "total_asked": config.total,
        "human_share": round(mix.human_share, 4),
        "simulated": list(mix.simulated),
        "short": mix.short,
        "warnings": list(warnings(mix)),
        "datasets": {one.name: _dataset(mix, one) for one in mix.datasets},
        "split": {"by": config.split.by, **{name: getattr(config.split, name) for name in SPLITS}},
        "against": [{"file": one.file, "prompts": one.prompts, "unreadable": one.unreadable, "pairs": 0} for one in mix.against],
        "files": thaw(files),
    }


def counted_by(mix: Mix) -> str:
    """The unit of every count, and where tokens come from."""
    config = mix.file.config
    if config.by == "samples":
        return "samples"
    return f"tokens of {config.tokenizer}" if config.tokenizer else "tokens, estimated"


def warnings(mix: Mix) -> Iterator[str]:
    """What a person must know before training on the mix."""
    config = mix.file.config
    if mix.simulated:
        yield f"{SIMULATED} ({', '.join(mix.simulated)})"
    if not mix.human_share:
        unsaid = [one.name for one in mix.datasets if one.line.human is None and not one.line.held_out]
        yield NO_HUMAN + (f" (not stated for {', '.join(unsaid)})" if unsaid else "")
    for part in mix.parts["train"]:
        if part.drawn.short:
            yield (
                f"{part.dataset} is short of {many(part.drawn.short, config.by[:-1])}: {part.asked:,} were asked for, and each of its"
                f" {many(part.available, 'training sample')} stands {many(config.max_repeats, 'time')} already (max_repeats)"
            )
    often = [part.dataset for part in mix.parts["train"] if part.times[1] > WORTHWHILE_REPEATS]
    if often:
        yield f"repeated more than {WORTHWHILE_REPEATS} times, from where on little more is learnt: {', '.join(often)}"
    for split in config.split.ratios:
        asked = sum(part.asked for part in mix.parts[split])
        if split != "train" and not mix.got(split):
            yield f"the {split} split is empty: there are too few families to hold any back"
        elif split != "train" and any(part.drawn.short for part in mix.parts[split]):
            yield f"{split} has {mix.got(split):,} of {many(asked, config.by[:-1])}: no more was held back, and none stands there twice"
    for one in mix.datasets:
        if one.unreadable:
            shown = ", ".join(one.unreadable_lines) + (" …" if one.unreadable > len(one.unreadable_lines) else "")
            yield f"{one.name}: {many(one.unreadable, 'unreadable line')} left out ({shown})"
        if one.left_out:
            why = ", ".join(f"{reason} {count}" for reason, count in one.left_out.most_common())
            yield f"{one.name}: {many(one.left_out.total(), 'record')} left out ({why})"
    for checked in mix.against:
        if checked.unreadable:
            yield f"{checked.file}: {many(checked.unreadable, 'line')} could not be read, so nothing was checked against them"


def readme(mix: Mix) -> str:
    """README.md: a dataset card whose header makes `datasets.load_dataset(folder)` and the Hub find every split."""
    return f"---\n{chr(10).join(_header(mix))}\n---\n\n" + "\n\n".join(block.rstrip() for block in _body(mix) if block) + "\n"


def table(mix: Mix) -> list[tuple[str, int, str, str, str]]:
    """One line per dataset of the training split: name, samples there are, asked, got (both with their share), how often each stands."""
    total_asked = sum(part.asked for part in mix.parts["train"])
    return [
        (part.dataset, part.available, _amount(part.asked, total_asked), _amount(part.drawn.got, mix.got("train")), times(part))
        for part in mix.parts["train"]
        if mix.shares[part.dataset]
    ]


def times(part: Part) -> str:
    """How often a dataset's samples stand in a split: `2×`, `2–3×`."""
    low, high = part.times
    return f"{low}×" if low == high else f"{low}–{high}×"


def _amount(count: int, total: int) -> str:
    return f"{count:,} ({percent(count / max(1, total))})"


def _dataset(mix: Mix, one: Dataset) -> dict[str, Any]:
    parts = {split: next(part for part in mix.parts[split] if part.dataset == one.name) for split in SPLITS}
    return {
        "path": one.line.path,
        "files": [{"name": name, "sha256": digest} for name, digest in one.files],
        "human": one.line.human,
        "weight": one.line.weight,
        "share_asked": round(mix.shares[one.name], 6),
        "share_got": round(parts["train"].drawn.got / max(1, mix.got("train")), 6),
        "records": len(one.items),
        "simulated": sum(item.simulated for item in one.items),
        "unreadable": one.unreadable,
        "left_out": dict(one.left_out),
        "splits": {split: _part(part) for split, part in parts.items()},
    }


def _part(part: Part) -> dict[str, Any]:
    low, high = part.times
    numbers = {"available": part.available, "asked": part.asked, "got": part.drawn.got, "short": part.drawn.short, "rows": part.rows}
    return numbers | {"repeats_least": low, "repeats_most": high}


def _header(mix: Mix) -> Iterator[str]:
    yield f"pretty_name: {json.dumps(mix.file.config.name)}"
    yield "task_categories:\n- text-generation"
    yield "tags:\n- mixture" + ("\n- simulated" if mix.simulated else "")
    rows = {split: sum(part.rows for part in mix.parts[split]) for split in SPLITS}
    yield f"size_categories:\n- {size_of(sum(rows.values()))}"
    yield "configs:\n- config_name: default\n  data_files:"
    yield from (f'  - split: {split}\n    path: "{split}.jsonl"' for split, count in rows.items() if count)
    yield "dataset_info:\n- config_name: default\n  features:"
    yield from feature_lines(_columns(mix), "  ")


def _columns(mix: Mix) -> dict[str, Any]:
    """The columns that rows fill, tools and loss weights only where some have them."""
    used = UsedColumns()
    for _ in used.watch(row for split in SPLITS for row in mix.rows(split)):
        pass
    return used.columns(_COLUMNS, _WIDE)


def _body(mix: Mix) -> Iterator[str]:
    config = mix.file.config
    yield f"# {markdown(config.name)}"
    if mix.simulated:
        yield f"> [!CAUTION]\n> **{SIMULATED}**"
    yield (
        f"A mix of {many(len(mix.datasets), 'dataset')} by {config.method}, seed {config.seed}, counted in {markdown(counted_by(mix))}."
        f" Split before mixing: only the training split repeats samples, each as often as the next one or once more, at most"
        f" {config.max_repeats} times. People wrote {percent(mix.human_share)} of it."
    )
    yield "## Training split\n\n" + markdown_table(("Dataset", "Samples", "Asked", "Got", "Each stands"), table(mix))
    rows = [(split, sum(part.rows for part in mix.parts[split]), mix.got(split)) for split in SPLITS]
    yield "## Splits\n\n" + markdown_table(("Split", "Rows", f"Worth in {config.by}"), rows)
    yield (
        "Samples with the same prompt or nearly the same one are on one side"
        + ("" if config.split.by == "family" else f", as is everything with one {markdown(config.split.by)}")
        + "; nothing in validation or test stands twice."
    )
    yield "## Columns\n\n`id` names dataset and record, `source` the dataset, `repeat` counts the copies of one sample from 1."
    if said := list(warnings(mix)):
        yield "## Look at this first\n\n" + "\n".join(f"- {markdown(text)}" for text in said)
    for one in mix.against:
        yield f"Checked against {markdown(one.file)} ({many(one.prompts, 'prompt')}): nothing of it is in training or validation."


def leaking_facts(pairs: Any) -> list[dict[str, Any]]:
    """Pairs as JSON."""
    return [asdict(pair) for pair in pairs]
