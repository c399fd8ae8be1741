"""Conversations and documents into ids, in the order they come: a conversation by the chat template, a text by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.templates.chat_template import Unfit
from gen.templates.documents import Document, DocumentPlans, document_plans
from gen.templates.piece_encoder import PieceEncoder
from gen.templates.piece_plan import Plan
from gen.templates.plan_encoder import Encoded, PlanEncoder
from gen.templates.templating import SpecialTokens, Templating, TrainOn, characters, open_templating
from gen.templates.token_texts import control_like
from gen.templates.tokenizer import ChatTokenizer, load_tokenizer
from gen.types import EMPTY, Sample

Item = Sample | Document


@dataclass(frozen=True, slots=True)
class ItemEncoder:
    """A tokenizer, ready to encode both; open with `open_encoder`."""

    tokenizer: ChatTokenizer
    documents: DocumentPlans
    _plans: PlanEncoder = field(repr=False)
    _templating: Templating | InputError = field(repr=False)

    @property
    def templating(self) -> Templating:
        """The template of conversations. Raises InputError where there is none that could be used: a base model's tokenizer."""
        if isinstance(self._templating, InputError):
            raise self._templating
        return self._templating

    def encode(self, items: Iterable[Item]) -> Iterator[tuple[Item, Encoded | Unfit]]:
        """Each item with what became of it, in order, any number of them. Raises InputError at a conversation without a template."""
        return self._plans.encode(items, self._plan, _size)

    def foreign_tokens(self, item: Item) -> set[str]:
        """What looks like a control token in an item's texts and is none of this tokenizer: text that was rendered for another model."""
        texts = [item.text] if isinstance(item, Document) else [message.content for message in item.messages]
        return {found for text in texts for found in control_like(text)}.difference(self.tokenizer.specials)

    def _plan(self, item: Item) -> Plan | Unfit:
        return self.documents.plan(item) if isinstance(item, Document) else self.templating.plan(item)


def open_encoder(
    tokenizer: str | Path,
    *,
    chat_template: str | Path | None = None,
    train_on: TrainOn = "all",
    special_tokens: SpecialTokens = "as_text",
    day: date | None = None,
    options: Mapping[str, Any] = EMPTY,
    remember: bool = True,
) -> ItemEncoder:
    """Load a tokenizer; the options are those of `open_templating`. Without a usable template of its own it still encodes
    documents.

    Raises InputError for a tokenizer, or a template that was chosen, that cannot be used.
    """
    loaded = load_tokenizer(tokenizer)
    try:
        templating = open_templating(
            loaded,
            chat_template=chat_template,
            train_on=train_on,
            special_tokens=special_tokens,
            day=day,
            options=options,
            remember=remember,
        )
    except InputError as error:
        if chat_template is not None:
            raise
        return ItemEncoder(loaded, document_plans(loaded, special_tokens), PlanEncoder(PieceEncoder(loaded, remember)), error)
    return ItemEncoder(templating.tokenizer, document_plans(templating.tokenizer, special_tokens), templating.encoder, templating)


def _size(item: Item) -> int:
    return len(item.text) if isinstance(item, Document) else characters(item)
