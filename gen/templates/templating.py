"""Turn samples into token ids with a loss mask: rendered by the chat template, encoded piece by piece, trained on the answers only.

What is trained is what the model has to say itself: the assistant's text as rendered, and the token that ends its turn. Everything
before an answer is encoded without it, so the ids of the inference prompt are a prefix of the training ids even where an answer begins
with a newline that the tokenizer would merge with the header's. A sample whose mask cannot be proved right is an Unfit with a reason.

Reasons: tools_not_rendered, loss_weight, no_messages, lone_surrogate, template_refused, text_lost_in_template, mask_unproven,
special_token_in_text, no_end_of_turn, nothing_to_train, boundary_merges.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from gen.errors import InputError
from gen.templates.chat_template import NAMED, SURROGATE, ChatTemplate, Unfit, named_template
from gen.templates.loss_mask import Rendered, Shape, Turn, TurnFinder, shape_of
from gen.templates.piece_encoder import PieceEncoder
from gen.templates.piece_plan import Form, Plan, form_of
from gen.templates.plan_encoder import Encoded, PlanEncoder
from gen.templates.token_texts import TokenTexts, control_like, token_texts
from gen.templates.tokenizer import ChatTokenizer, Special, load_tokenizer
from gen.types import EMPTY, Message, Sample

TrainOn = Literal["all", "last"]
SpecialTokens = Literal["as_text", "refuse"]

_PLAIN_MARKER = re.compile(r"<\|[^|<>\s]{1,60}\|>|\[/?[A-Z_]{2,40}\]|### [A-Z][a-z]{1,20}:")  # roles written as plain text
_BLOCK_TAG = re.compile(r"</?(?:think|tool|reason|answer|scratch)\w{0,20}")  # added tokens that a message may well hold
_KEPT_LITERALS = 8192
_KEPT_FORMS = 4096
_NO_WEIGHT = "no assistant message with text and a weight above 0"
_NO_REASONING = "the template takes the reasoning out of an earlier answer, which would be learnt without: train on the last answer only"

_USER, _ASSISTANT, _SYSTEM = Message("user", "Question"), Message("assistant", "Answer"), Message("system", "Instruction")
_SHAPES = ((_USER, _ASSISTANT), (_USER, _ASSISTANT, _USER, _ASSISTANT), (_SYSTEM, _USER, _ASSISTANT))

Items = tuple[str | Special, ...]  # a literal of the template: text and control tokens


@dataclass(frozen=True, slots=True)
class Templating:
    """A tokenizer with a template, ready to encode. Open one with `open_templating`. `added_text` is what the template writes before a
    conversation that has no system message: a default system prompt, or nothing."""

    tokenizer: ChatTokenizer
    template: ChatTemplate
    train_on: TrainOn
    special_tokens: SpecialTokens
    added_text: str
    encoder: PlanEncoder = field(repr=False, compare=False)
    _finder: TurnFinder = field(repr=False, compare=False)
    _control: TokenTexts = field(repr=False, compare=False)
    _plain_markers: tuple[str, ...] = field(repr=False, compare=False)
    _turn_ends: frozenset[str] = field(repr=False, compare=False)
    _literals: dict[str, Items] = field(default_factory=dict, repr=False, compare=False)
    _forms: dict[Shape, Form | Unfit | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def template_fingerprint(self) -> str:
        """SHA-256 of the template's source."""
        return hashlib.sha256(self.template.source.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _swallows(self) -> bool:
        """Whether white space at a message's edge may vanish beside a control token."""
        return any(special.strips_left or special.strips_right for special in self.tokenizer.specials.values())

    @property
    def never_ends_a_turn(self) -> bool:
        """Whether no answer can be learnt, since no token of the tokenizer ends one in this template."""
        form = self._form(_SHAPES[0])
        return isinstance(form, Unfit) and form.reason == "no_end_of_turn"

    def foreign_tokens(self, messages: Sequence[Message]) -> set[str]:
        """What looks like a control token in these messages and is none of this tokenizer: text that was rendered for another model."""
        return {text for message in messages for text in control_like(message.content)}.difference(self.tokenizer.specials)

    def encode(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Encoded | Unfit]]:
        """Each sample with what became of it, in order, any number of them, in batches."""
        return self.encoder.encode(samples, self.plan, characters)

    def plan(self, sample: Sample) -> Plan | Unfit:
        """What a sample's ids are made of."""
        return _unfit(sample) or self._plan(sample.messages)

    def rendered(self, messages: Sequence[Message]) -> Rendered | Unfit:
        """The text that a conversation becomes, and its turns in it."""
        text = self._text(messages)
        return text if isinstance(text, Unfit) else self._finder.locate(messages, text)

    def _text(self, messages: Sequence[Message]) -> str | Unfit:
        if not messages:
            return Unfit("no_messages")
        if any(not message.content.isascii() and SURROGATE.search(message.content) for message in messages):
            return Unfit("lone_surrogate", "a message holds half of a UTF-16 pair, which has no UTF-8 form")
        return self.template.render(messages)

    def _plan(self, messages: Sequence[Message]) -> Plan | Unfit:
        text = self._text(messages)
        if isinstance(text, Unfit):
            return text
        contents = self._finder.contents(messages, text)
        form = self._form(messages) if contents is not None else None
        rendered = self._finder.locate(messages, text) if form is None else form
        if isinstance(rendered, Unfit) and form is None:
            return rendered
        refused = self._refused(messages)
        if refused:
            return Unfit("special_token_in_text", refused)
        if isinstance(rendered, Unfit):
            return rendered
        quoted = frozenset([self.tokenizer.specials[text].id for message in messages for text in self._control.named(message.content)])
        if isinstance(rendered, Rendered):
            return self._planned(rendered, quoted)
        return Plan(quoted, rendered.parts(contents or ()))

    def _form(self, messages: Sequence[Message]) -> Form | Unfit | None:
        """The plan of messages of this shape, learnt once; None where words may change more than their own place."""
        shape = shape_of(messages)
        if shape not in self._forms:
            if len(self._forms) >= _KEPT_FORMS:
                self._forms.clear()
            outline = None if self._swallows else self._finder.outline(messages)
            plan = None if outline is None else self._planned(outline, frozenset())
            self._forms[shape] = form_of(plan.parts, self.tokenizer.encode) if isinstance(plan, Plan) else plan
        return self._forms[shape]

    def _planned(self, rendered: Rendered, quoted: frozenset[int]) -> Plan | Unfit:
        turns = sorted((turn for turn in rendered.turns if turn.start < turn.end), key=lambda turn: turn.start)
        answers = [turn for turn in rendered.turns if turn.role == "assistant"]
        answers = answers if self.train_on == "all" else answers[-1:]
        trained = [turn for turn in answers if turn.learnt and rendered.text[turn.start : turn.end].strip()]
        if not trained:
            return Unfit("nothing_to_train", "no assistant message with text" if all(turn.learnt for turn in answers) else _NO_WEIGHT)
        if not all(turn.whole for turn in trained):
            return Unfit("text_lost_in_template", _NO_REASONING)
        plan, at, after = Plan(quoted), 0, False
        for turn in [*turns, Turn("", len(rendered.text), len(rendered.text), len(rendered.text))]:
            if not self._literal(plan, rendered.text[at : turn.prompt_end], after):
                return Unfit("no_end_of_turn", "no control token of the tokenizer ends an assistant's turn in this template")
            answer = turn.role == "assistant"
            given = rendered.text[turn.prompt_end : turn.start]  # what stands between the prompt and the message: a think block, a space
            plan.text(given if given.strip() else "", apart=answer)
            after = turn in trained
            start = turn.start if given.strip() else turn.prompt_end  # the space is the model's own first token's
            plan.text(rendered.text[start : turn.end], trained=after, apart=answer)
            at = turn.end
        plan.flush()
        return plan

    def _literal(self, plan: Plan, literal: str, after: bool) -> bool:
        """Add what the template wrote; `after` a trained turn its end is trained, and False says that there is none."""
        for item in self._items(literal):
            if isinstance(item, Special):
                if after and item.text not in self._turn_ends:
                    return False
                plan.token(item, trained=after)
                after = False
            else:
                if after and item.strip():
                    return False
                plan.text(item, trained=after)
        return not after

    def _items(self, literal: str) -> Items:
        if literal not in self._literals:
            if len(self._literals) >= _KEPT_LITERALS:
                self._literals.clear()
            self._literals[literal] = _split(literal, self._control, self.tokenizer)
        return self._literals[literal]

    def _refused(self, messages: Sequence[Message]) -> str:
        """Why these messages' texts cannot be kept from speaking as the template does; empty when they can."""
        if not self._plain_markers and self.special_tokens == "as_text":
            return ""
        for position, message in enumerate(messages):
            plain = next((marker for marker in self._plain_markers if marker in message.content), "")
            if plain:
                return f"message {position + 1} holds {plain!r}, which this template writes as plain text: it cannot be told apart"
            found = self._control.named(message.content) if self.special_tokens == "refuse" else None
            if found:
                return f"message {position + 1} holds {found[0]!r}"
            foreign = self.foreign_tokens([message]) if self.special_tokens == "refuse" else None
            if foreign:
                return f"message {position + 1} holds {min(foreign)!r}, which looks like a control token and is none of this tokenizer"
        return ""


def _unfit(sample: Sample) -> Unfit | None:
    """What a sample holds that would be lost without a word: tools, which are not rendered, and weights between 0 and 1."""
    if sample.tools or any(message.tool_calls for message in sample.messages):
        return Unfit("tools_not_rendered", "it declares tools" if sample.tools else "an assistant message calls a tool")
    for position, message in enumerate(sample.messages):
        if message.weight not in (None, 0, 1):
            return Unfit("loss_weight", f"message {position + 1} has the loss weight {message.weight:g}; a mask knows 0 and 1")
    return None


def characters(sample: Sample) -> int:
    """How much text a sample holds."""
    return sum(len(message.content) for message in sample.messages)


def open_templating(
    tokenizer: str | Path | ChatTokenizer,
    *,
    chat_template: str | Path | None = None,
    train_on: TrainOn = "all",
    special_tokens: SpecialTokens = "as_text",
    day: date | None = None,
    options: Mapping[str, Any] = EMPTY,
    remember: bool = True,
) -> Templating:
    """Load a tokenizer and choose its template.

    `tokenizer` is a folder, a name on the Hub or one that is loaded; `chat_template` one of `chat_template.NAMED` or a Jinja file, for
    models that have none; `special_tokens` says what becomes of a sample whose text holds a control token: encoded `as_text`, or dropped
    (`refuse`); `day` is the date for templates that ask; `options` are further variables such as `enable_thinking`; `remember` is False
    to have the tokenizer encode every text itself, with the same result.

    Raises InputError for a tokenizer or template that cannot be used, naming what would be right.
    """
    loaded = tokenizer if isinstance(tokenizer, ChatTokenizer) else load_tokenizer(tokenizer)
    source, name = _source(loaded, chat_template)
    template = ChatTemplate(source, {**loaded.variables, **options}, day, name)
    finder = TurnFinder(template)
    literals = [finder.literals(shape) for shape in _SHAPES]
    if not any(literals):
        raise InputError(f"the {name} renders no conversation of a user and an assistant: {_words(template.render(_SHAPES[0]))}")
    written = "".join(literal for shape in literals for literal in shape)
    missing = sorted(control_like(written) - set(loaded.specials))
    if missing and chat_template is not None:
        raise InputError(_without_tokens(missing, loaded, name))
    loaded = loaded.with_control(
        text for text, special in loaded.specials.items() if not special.control and text in written and not _BLOCK_TAG.match(text)
    )
    control = token_texts(text for text, special in loaded.specials.items() if special.control)
    split = [[_split(literal, control, loaded) for literal in shape] for shape in literals]
    plain = {
        found for shape in split for items in shape for item in items if isinstance(item, str) for found in _PLAIN_MARKER.findall(item)
    }
    templating = Templating(
        loaded,
        template,
        train_on,
        special_tokens,
        _added_text(split[1]),
        PlanEncoder(PieceEncoder(loaded, remember)),
        finder,
        control,
        tuple(sorted(plain)),
        _turn_ends(split, loaded.variables),
    )
    if missing and templating.never_ends_a_turn:  # its own template, written for another tokenizer; Zephyr's roles are plain text rightly
        raise InputError(_without_tokens(missing, loaded, name))
    return templating


def _source(tokenizer: ChatTokenizer, choice: str | Path | None) -> tuple[str, str]:
    if choice is None:
        if tokenizer.template is None:
            raise InputError(f"the tokenizer '{tokenizer.name}' has no chat template: choose one with {', '.join(NAMED)} or a Jinja file")
        return tokenizer.template, f"chat template of '{tokenizer.name}'"
    if str(choice) in NAMED:
        return named_template(str(choice)), f"chat template '{choice}'"
    try:
        return Path(choice).read_text(encoding="utf-8"), f"chat template '{choice}'"
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"no chat template '{choice}': choose {', '.join(NAMED)} or a readable Jinja file") from error


def _without_tokens(missing: Sequence[str], tokenizer: ChatTokenizer, name: str) -> str:
    return (
        f"the {name} writes {', '.join(missing)}, which '{tokenizer.name}' has no token for: a model would read it letter by letter."
        f" Add it with tokenizer.add_special_tokens, save the tokenizer and resize the model's embeddings, or choose another template"
    )


def _split(literal: str, control: TokenTexts, tokenizer: ChatTokenizer) -> Items:
    items: list[str | Special] = []
    at = 0
    for found in control.pattern.finditer(literal):
        items.extend([literal[at : found.start()]] if found.start() > at else [])
        items.append(tokenizer.specials[found[0]])
        at = found.end()
    return tuple([*items, literal[at:]] if at < len(literal) else items)


def _turn_ends(split: Sequence[Sequence[Items]], variables: Mapping[str, str]) -> frozenset[str]:
    """The control tokens that may end a turn: the one after a last answer, the one after a question (templates that end both alike),
    and the end of sequence; never the one that begins a text."""
    ends = {variables.get("eos_token", "")}
    for shape in split:
        after = [next((item.text for item in items if isinstance(item, Special)), "") for items in shape[-2:]]
        ends |= set(after) if after and after[-1] else set()
    return frozenset(ends - {"", variables.get("bos_token", "")})


def _added_text(literals: Sequence[Items]) -> str:
    """What stands before the first question of a conversation and not before its second: a default system prompt."""
    if len(literals) < 3:
        return ""
    first, later = list(literals[0]), list(literals[2])
    while first and later and first[-1] == later[-1]:
        first.pop()
        later.pop()
    text = "".join(item for item in first if isinstance(item, str))
    last = later[-1] if later and isinstance(later[-1], str) else ""
    while text and last and text[-1] == last[-1]:
        text, last = text[:-1], last[:-1]
    return text.strip() if re.search(r"\w", text) else ""


def _words(rendered: str | Unfit) -> str:
    return rendered.detail if isinstance(rendered, Unfit) else "it leaves out their texts"
