"""What a packed set is, as its pack.json says it: counts, options, hashes, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gen.templates.curriculum import Order
from gen.templates.encoded_set import OverLong
from gen.templates.packed_set import Layout
from gen.templates.templating import SpecialTokens, TrainOn

_DATASETS = "datasets.load_from_disk(FOLDER)"
LOAD: Mapping[Layout, Mapping[str, str]] = {
    "packed": {
        "datasets": _DATASETS,
        "trl": "SFTConfig(padding_free=True, packing=False, max_length=None); packing=True would pack again and lose seq_lengths",
        "transformers": "one row a batch: input_ids, labels, position_ids, no attention_mask, use_cache=False; else samples see each other",
        "axolotl": "pack with layout 'examples' instead: Axolotl packs by itself",
    },
    "padded": {
        "datasets": _DATASETS,
        "attention_mask": "numbers the samples of a row from 1, padding is 0: build the block-diagonal mask from it, it is no plain mask",
    },
    "examples": {
        "datasets": _DATASETS,
        "axolotl": "datasets: [{path: FOLDER, type: }] and sample_packing: true; input_ids, attention_mask, labels are read as they are",
        "trl": "SFTConfig(max_length=None); labels are kept as they are",
    },
}


@dataclass(frozen=True, slots=True)
class PackReport:
    """What was packed. Efficiencies are shares of `rows` × `max_length` positions that hold a token, `unpacked` with one sample per
    row; `lower_bound` is a number of rows that no packing can beat; `added_text` is what the template put before the
    `added_text_samples` samples that bring no system message; `dropped` counts samples left out by reason; `foreign_tokens` counts the
    samples whose text holds what looks like a control token and is none of this tokenizer, by that text: rendered for another model.
    With `over_long: split`, `split_samples` longer than a row became `parts` that count as samples, and `dropped` counts what of them
    fits no row. `order_unknown` samples do not say where they stand in the order. `documents` were packed without a template, as
    `document_parts` that count as samples, between `document_begin` and `document_end`; `quoted_tokens` counts those whose text holds
    control tokens of this tokenizer, which stay text. Where there are only documents, nothing is said of a template. `checked` samples are
    on the page."""

    rows: int
    samples: int
    tokens: int
    trained_tokens: int
    efficiency: float
    unpacked_efficiency: float
    lower_bound: int
    dropped: Mapping[str, int]
    max_length: int
    longest: int
    seed: int
    layout: Layout
    train_on: TrainOn
    special_tokens: SpecialTokens
    tokenizer: str
    tokenizer_sha256: str
    simulated_samples: int
    template_sha256: str = ""
    template_date: str = ""
    added_text: str = ""
    added_text_samples: int = 0
    foreign_tokens: Mapping[str, int] = field(default_factory=dict)
    over_long: OverLong = "drop"
    split_samples: int = 0
    parts: int = 0
    order: Order = "shuffle"
    order_unknown: int = 0
    documents: int = 0
    document_parts: int = 0
    document_begin: str = ""
    document_end: str = ""
    quoted_tokens: Mapping[str, int] = field(default_factory=dict)
    checked: int = 0
