"""A mix from its file: read, split, check, draw. Nothing is written here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from gen.apportion import largest_remainder
from gen.conversation import as_dicts
from gen.errors import InputError
from gen.mixing.dividing import Against, Pair, check_against, divide
from gen.mixing.file import MixFile
from gen.mixing.reading import Dataset, Item, read_datasets
from gen.mixing.shares import Drawn, by_square_root, by_temperature, draw, normalised, spread
from gen.pack_options import tokenizer_place
from gen.recipe import SPLITS
from gen.templates.chat_template import NAMED, Unfit
from gen.templates.templating import open_templating
from gen.text import estimate_tokens
from gen.types import Sample

_TOKENS_AROUND = 4  # control tokens and the role that a chat template writes around a message, as in ChatML


@dataclass(frozen=True, slots=True)
class Part:
    """What one dataset gives to one split: records it holds there, their worth (samples or tokens), what was asked and what came."""

    dataset: str
    available: int
    worth: int
    asked: int
    drawn: Drawn

    @property
    def rows(self) -> int:
        return sum(self.drawn.copies)

    @property
    def times(self) -> tuple[int, int]:
        """How often its samples stand in the split, at least and at most; zeros when it gives nothing."""
        return min(self.drawn.copies, default=0), max(self.drawn.copies, default=0)


@dataclass(frozen=True, slots=True)
class Mix:
    """A mix that may be written. `parts` are the datasets' per split; `rows` (split) gives its lines in order."""

    file: MixFile
    datasets: tuple[Dataset, ...]
    parts: Mapping[str, tuple[Part, ...]]
    shares: Mapping[str, float]
    rows: Callable[[str], Iterator[dict[str, Any]]]
    against: tuple[Against, ...]

    def got(self, split: str) -> int:
        """What the split came to, in samples or tokens."""
        return sum(one.drawn.got for one in self.parts[split])

    @property
    def short(self) -> int:
        """What the training split lacks because of `max_repeats`."""
        return sum(one.drawn.short for one in self.parts["train"])

    @property
    def human_share(self) -> float:
        """The part of the training split that people wrote, by what the mix file says."""
        human = {one.name for one in self.datasets if one.line.human}
        return sum(one.drawn.got for one in self.parts["train"] if one.dataset in human) / max(1, self.got("train"))

    @property
    def simulated(self) -> tuple[str, ...]:
        """The datasets that hold texts of the simulator."""
        return tuple(one.name for one in self.datasets if any(item.simulated for item in one.items))


@dataclass(frozen=True, slots=True)
class Leaking:
    """Why a mix was not made: `pairs` of records pinned to different splits that belong together, or shared with a file checked."""

    pairs: tuple[Pair, ...]
    against: tuple[Against, ...] = ()

    @property
    def all_pairs(self) -> tuple[Pair, ...]:
        return (*self.pairs, *(pair for one in self.against for pair in one.pairs))


def make(mix: MixFile, progress: Callable[[str, int], None] = lambda _name, _count: None) -> Mix | Leaking:
    """The mix, or what leaks.

    Raises RecipeError naming the mix file's line when a dataset, the tokenizer or the split cannot be used as written.
    """
    datasets = read_datasets(mix, progress)
    worth = _worth(mix, datasets)
    items = [item for dataset in datasets for item in dataset.items]
    assigned, leaking = divide(mix, items)
    if leaking:
        return Leaking(tuple(leaking))
    against = tuple(check_against(mix, file, items, assigned.of) for file in mix.config.against)
    if any(one.pairs for one in against):
        return Leaking((), against)
    held = {split: {one.name: [item for item in one.items if assigned.of[item.sample.id] == split] for one in datasets} for split in SPLITS}
    sizes = {name: sum(worth[item.sample.id] for item in members) for name, members in held["train"].items()}
    for name, size in sizes.items():
        if not size and not mix.config.datasets[name].held_out:
            raise mix.error(("datasets", name), "the split leaves it nothing to train on: it has too few records, or all are held out")
    shares = _shares(mix, sizes)
    parts = {split: tuple(_parts(mix, split, held[split], shares, worth, sum(sizes.values()))) for split in SPLITS}
    return Mix(mix, tuple(datasets), parts, shares, lambda split: _rows(mix, split, held[split], parts[split]), against)


def _worth(mix: MixFile, datasets: Sequence[Dataset]) -> dict[str, int]:
    """What each sample counts for, 1 or its tokens. Samples that the chat template cannot take leave their dataset here."""
    if mix.config.by == "samples":
        return {item.sample.id: 1 for dataset in datasets for item in dataset.items}
    if mix.config.tokenizer is None:
        return {item.sample.id: estimated_tokens(item.sample) for dataset in datasets for item in dataset.items}
    template = mix.config.chat_template
    try:
        templating = open_templating(
            tokenizer_place(mix.config.tokenizer, mix.folder),
            chat_template=template if template is None or template in NAMED else mix.folder / template,
        )
    except InputError as error:
        raise mix.error(("chat_template" if template and "template" in str(error) else "tokenizer",), error) from error
    worth: dict[str, int] = {}
    for dataset in datasets:
        refused: Counter[str] = Counter()
        for sample, encoded in templating.encode(item.sample for item in dataset.items):
            if isinstance(encoded, Unfit):
                refused[encoded.reason] += 1
            else:
                worth[sample.id] = len(encoded.ids)
        dataset.items = [item for item in dataset.items if item.sample.id in worth]
        if not dataset.items:
            why = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
            raise mix.error(("datasets", dataset.name, "path"), f"the chat template can take none of its records ({why})")
        dataset.left_out += refused
    return worth


def estimated_tokens(sample: Sample) -> int:
    """About as many tokens as the sample has under a ChatML template."""
    return sum(estimate_tokens(message.content) + _TOKENS_AROUND for message in sample.messages)


def _shares(mix: MixFile, sizes: Mapping[str, int]) -> dict[str, float]:
    """Each dataset's share of the training split; 0 for those that are held out."""
    config = mix.config
    learnt = {name: size for name, size in sizes.items() if not config.datasets[name].held_out}
    if config.method == "sqrt":
        shares = by_square_root(list(learnt.values()))
    elif config.method == "temperature":
        shares = by_temperature(list(learnt.values()), config.temperature or 1.0)
    else:
        shares = normalised([config.datasets[name].weight or 0.0 for name in learnt])
    return dict.fromkeys(sizes, 0.0) | dict(zip(learnt, shares, strict=True))


def _parts(
    mix: MixFile, split: str, held: Mapping[str, list[Item]], shares: Mapping[str, float], worth: Mapping[str, int], size: int
) -> Iterator[Part]:
    """Each dataset's part of a split. Validation and test have the proportions of training, as far as records go: none stands twice."""
    config, ratios = mix.config, mix.config.split.ratios
    train = config.total or size
    total = round(train * ratios.get(split, 0.0) / ratios["train"])
    most = config.max_repeats if split == "train" else 1
    for (name, items), asked in zip(held.items(), largest_remainder(total, list(shares.values())), strict=True):
        sizes = [worth[item.sample.id] for item in items]
        asked = sum(sizes) if config.datasets[name].held_out else asked
        drawn = draw(sizes, asked, most, Random(f"{config.seed}/{split}/{name}"))
        yield Part(name, len(items), sum(sizes), asked, drawn)


def _rows(mix: MixFile, split: str, held: Mapping[str, list[Item]], parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """The lines of a split in the order of the mix."""
    items = [item for part in parts for item in held[part.dataset]]
    copies = [count for part in parts for count in part.drawn.copies]
    for place, number in spread(copies, Random(f"{mix.config.seed}/{split}/order")):
        item = items[place]
        yield {
            "id": item.sample.id,
            "source": item.dataset,
            "messages": as_dicts(item.sample.messages),
            "repeat": number,
            "simulated": item.simulated,
            **({"tools": item.sample.tools} if item.sample.tools else {}),
        }
