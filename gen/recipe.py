"""Read a recipe: a YAML file into a frozen, typed configuration, every error naming file, line, key, value and what would be right.

Only shape and types are checked here; that a gate exists and takes an option is checked where the parts are built
(`gen.parts.build_parts`), with `Recipe.error` putting the place in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from gen import yaml_config
from gen.card import CardFields
from gen.errors import RecipeError, SluiceError
from gen.types import digest, thaw
from gen.yaml_config import KeyPath, place_error

DEFAULT_GATES = (
    "schema",
    "refusal",
    "truncation",
    "language",
    "format",
    "repetition",
    "length",
    "quality",
    "pii",
    "secrets",
    "safety",
    "exact_dup",
    "near_dup",
)
# What a line of these providers says where the recipe leaves it out. Perspective's quota is one query per second unless Google raised it.
LINE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "search": {"model": "search"},
    "command": {"model": "command", "max_concurrency": 4},
    "perspective": {"model": "perspective", "requests_per_minute": 60.0},
    # The first call waits for the weights, and `max_concurrency` is how many requests a batch holds.
    "transformers": {"timeout_seconds": 3600.0, "max_concurrency": 16},
}
SPLITS = ("train", "validation", "test")
MAX_GOAL = 1_000_000_000
_EXPECTED = "a recipe is a mapping of keys such as name, models, strategies, goal; `sluice init` writes one"


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _safe_name(value: str) -> str:
    if not value or len(value) > 80 or any(not (character.isalnum() or character in "._-") for character in value) or value[0] in ".-":
        raise ValueError("use up to 80 letters, digits, '.', '_' and '-', beginning with a letter or digit")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
Name = Annotated[str, AfterValidator(_safe_name)]
Goal = Annotated[int, Field(ge=1, le=MAX_GOAL)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class PriceLine(_Line):
    """USD per million tokens, for a model that the price library does not know or prices otherwise."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cached_input: Annotated[float, Field(ge=0)] | None = None
    cache_write: Annotated[float, Field(ge=0)] | None = None


class CapabilitiesLine(_Line):
    """What the recipe knows better than the table of `gen.llm.capabilities` about a model, such as that a server refuses JSON schemas."""

    system_role: bool | None = None
    raw_prompt: bool | None = None
    json_schema: bool | None = None
    prompt_caching: Literal["none", "automatic", "marked"] | None = None
    cache_minimum_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: bool | None = None
    top_p: bool | None = None
    temperature_with_top_p: bool | None = None
    seed: bool | None = None
    embeddings: bool | None = None
    embedding_inputs: Annotated[int, Field(ge=1)] | None = None
    embedding_bytes: Annotated[int, Field(ge=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None


class BatchLine(_Line):
    """How a line of `mode: batch` gathers and waits. A batch is sent once `max_requests` or `max_bytes` are gathered (the API's own limits
    when left out), or when no call was added for `gather_seconds`. `poll_seconds` is the longest time between two looks at a batch; after
    `max_wait_hours` the run stops and the batch goes on. `on_interrupt` says what Ctrl-C does to the batches under way. `offered` tells
    that the server at `base_url` has the batch API, `price_factor` is what a call in a batch costs of its usual price."""

    max_requests: Annotated[int, Field(ge=1)] | None = None
    max_bytes: Annotated[int, Field(ge=1)] | None = None
    gather_seconds: Annotated[float, Field(ge=0), AfterValidator(_finite)] = 5.0
    poll_seconds: Positive = 60.0
    max_wait_hours: Positive = 26.0
    on_interrupt: Literal["keep", "cancel"] = "keep"
    offered: bool = False
    price_factor: Annotated[float, Field(gt=0, le=1)] = 0.5


class LocalLine(_Line):
    """Where a model in this process runs (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`), in which numbers (`auto` is those of its files), which
    revision of a model on the Hub is meant, and what its chat template is told (`{enable_thinking: false}`)."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$")] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    revision: Annotated[str, Field(max_length=200)] = ""
    template_options: dict[str, Any] = Field(default_factory=dict)


class ModelLine(_Line):
    """One model of the recipe. `requests_per_minute` and the token limits bound what is sent; without them the limits are learned from
    the provider's headers. `max_concurrency` bounds the requests in flight. `mode: batch` sends them by the provider's batch API, which has
    no use for either. `tool` tells how a search or a command is asked (gen/llm/tools.py), `local` how a model runs in this process. Keys
    come from the environment only."""

    provider: str = "simulator"
    model: str = "simulated-writer"
    base_url: str | None = None
    api_key_env: str | None = None
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    input_tokens_per_minute: Positive | None = None
    output_tokens_per_minute: Positive | None = None
    max_concurrency: Annotated[int, Field(ge=1, le=4096)] = 32
    timeout_seconds: Positive = 120.0
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    price: PriceLine | None = None
    tokenizer: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    simulator: dict[str, Any] = Field(default_factory=dict)
    tool: dict[str, Any] = Field(default_factory=dict)
    local: LocalLine = LocalLine()
    mode: Literal["live", "batch"] = "live"
    batch: BatchLine = BatchLine()
    capabilities: CapabilitiesLine = CapabilitiesLine()
    prompt_caching: Literal["auto", "off"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _what_goes_without_saying(cls, value: Any) -> Any:
        """A tool's line need not repeat its provider as its model; Perspective's is held to its default quota of one call a second."""
        own = LINE_DEFAULTS.get(str(value.get("provider"))) if isinstance(value, Mapping) else None
        return {**own, **value} if own else value

    @model_validator(mode="after")
    def _batch_options_only_for_batches(self) -> ModelLine:
        if self.mode != "batch" and self.batch != BatchLine():
            raise ValueError("`batch:` options need `mode: batch`")
        return self

    @model_validator(mode="after")
    def _simulator_options_only_for_the_simulator(self) -> ModelLine:
        if self.simulator and self.provider != "simulator":
            raise ValueError(f"`simulator:` options need `provider: simulator`, not '{self.provider}'")
        return self

    @model_validator(mode="after")
    def _local_options_only_for_local_models(self) -> ModelLine:
        if self.local != LocalLine() and self.provider != "transformers":
            raise ValueError(f"`local:` options need `provider: transformers`, not '{self.provider}'")
        return self


class SourcesLine(_Line):
    """Where candidates start: each an inline list, a file beside the recipe, or the name of a file that Sluice ships."""

    topics: tuple[str, ...] | str | None = None
    seed_tasks: str | tuple[Mapping[str, Any], ...] | None = None
    personas: str | tuple[str, ...] | None = None


class PluginLine(_Line):
    """A strategy, gate, judge or pair maker: its name and, as extra keys, its options."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class StrategyLine(PluginLine):
    """`share` is the strategy's part of the goal relative to the other strategies' shares; `label` tells two uses of one strategy apart."""

    share: Annotated[float, Field(gt=0, le=1_000_000), AfterValidator(_finite)] = 1.0
    label: Name | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class JudgeLine(PluginLine):
    """A judge and the recipe's model it asks. `label` tells two uses of one judge apart."""

    label: Name | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class PairsLine(PluginLine):
    """A pair maker. `label` tells two uses of one maker apart."""

    label: Name | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class GoalLine(_Line):
    """How many accepted samples: in all, per topic, or per strategy (its title → how many over all topics, 0 for none; shares don't count
    then). `max_candidates` and `max_minutes` end a run that does not get there, `max_candidates_per_strategy` (its title → how many over
    all topics, in proportion to their goals) ends that strategy alone."""

    accepted: Goal | None = None
    per_topic: Goal | None = None
    per_strategy: Annotated[Mapping[Name, Annotated[int, Field(ge=0, le=MAX_GOAL)]], Field(min_length=1)] | None = None
    max_candidates: Annotated[int, Field(ge=1)] | None = None
    max_candidates_per_strategy: Mapping[Name, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    max_minutes: Positive | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> GoalLine:
        if sum(goal is not None for goal in (self.accepted, self.per_topic, self.per_strategy)) != 1:
            raise ValueError("give exactly one of 'accepted' (in all), 'per_topic' and 'per_strategy'")
        if self.per_strategy is not None and not any(self.per_strategy.values()):
            raise ValueError("'per_strategy' asks for nothing: give one strategy more than 0")
        return self


class BudgetLine(_Line):
    """Hard caps: no call is sent whose worst case would pass one of them."""

    usd: Positive | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    calls: Annotated[int, Field(ge=1)] | None = None


class SplitLine(_Line):
    """Ratios of the splits (they need not add up to 1) and what must never straddle two of them."""

    train: Annotated[float, Field(ge=0)] = 0.8
    validation: Annotated[float, Field(ge=0)] = 0.1
    test: Annotated[float, Field(ge=0)] = 0.1
    by: str = "family"

    @model_validator(mode="after")
    def _something_to_split(self) -> SplitLine:
        if self.train + self.validation + self.test <= 0:
            raise ValueError("at least one ratio must be above 0")
        return self

    @property
    def ratios(self) -> dict[str, float]:
        total = self.train + self.validation + self.test
        return {name: getattr(self, name) / total for name in SPLITS if getattr(self, name) > 0}


class ExportLine(_Line):
    """What is written beside accepted.jsonl and rejected.jsonl."""

    formats: tuple[str, ...] = ("chatml",)
    container: Literal["jsonl", "json", "parquet", "csv", "arrow"] = "jsonl"
    split: SplitLine = SplitLine()
    pack: Mapping[str, Any] | None = None
    against: tuple[str, ...] = ()
    trainers: tuple[str, ...] = ()
    base_model: str = ""

    @field_validator("formats", "trainers")
    @classmethod
    def _nothing_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a name stands here twice")
        return value

    @field_validator("against", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Config(_Line):
    """A whole recipe, as data."""

    name: Name
    description: str = ""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    models: Mapping[Name, ModelLine]
    sources: SourcesLine = SourcesLine()
    strategies: Annotated[tuple[StrategyLine, ...], Field(min_length=1)]
    gates: tuple[PluginLine, ...] = tuple(PluginLine(name=name) for name in DEFAULT_GATES)
    judges: tuple[JudgeLine, ...] = ()
    pairs: tuple[PairsLine, ...] = ()
    goal: GoalLine
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    budget: BudgetLine = BudgetLine()
    export: ExportLine = ExportLine()
    card: CardFields = CardFields()

    @field_validator("gates", "judges", "pairs", "strategies", mode="before")
    @classmethod
    def _bare_names(cls, value: Any) -> Any:
        """`- schema` is short for `- {name: schema}`."""
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @field_validator("models")
    @classmethod
    def _some_model(cls, value: Mapping[str, ModelLine]) -> Mapping[str, ModelLine]:
        if not value:
            raise ValueError("name at least one model")
        return value

    @model_validator(mode="after")
    def _every_strategy_has_its_goal(self) -> Config:
        goals, titles = self.goal.per_strategy, [line.title for line in self.strategies]
        for name in sorted(set(goals) ^ set(titles)) if goals is not None else ():
            if name in titles:
                raise ValueError(f"goal.per_strategy says nothing of '{name}': give every strategy a number, 0 for none")
            raise ValueError(f"goal.per_strategy: unknown strategy '{name}': choose from {', '.join(titles)}")
        for name in sorted(set(self.goal.max_candidates_per_strategy) - set(titles)):
            raise ValueError(f"goal.max_candidates_per_strategy: unknown strategy '{name}': choose from {', '.join(titles)}")
        return self

    @model_validator(mode="after")
    def _titles_differ(self) -> Config:
        for room in (self.strategies, self.judges, self.pairs):
            titles = [line.title for line in room]
            for title in titles:
                if titles.count(title) > 1:
                    raise ValueError(f"'{title}' stands here twice: give each use a 'label' of its own")
        return self


@dataclass(frozen=True, slots=True)
class Recipe:
    """A configuration and where it came from. `lines` maps a key's path to its line, for errors found later; `text` is the file as read."""

    config: Config
    file: Path
    text: str
    lines: Mapping[KeyPath, int]

    @property
    def folder(self) -> Path:
        """Relative paths in the recipe are meant from here."""
        return self.file.parent

    @property
    def hash(self) -> str:
        """Identifies the recipe's content; comments and spacing do not count."""
        return digest(self.config.model_dump(mode="json"))

    def error(self, path: KeyPath, problem: str | SluiceError) -> RecipeError:
        """The error to raise for the value at `path`; a RecipeError of a part keeps its own key as the last step."""
        return place_error(self.file, self.lines, path, problem)


def load(file: Path) -> Recipe:
    """Read and check a recipe file.

    Raises RecipeError naming the file, the line, the key, the value and what would be right.
    """
    return parse(yaml_config.read(file, kind="recipe", way_out="`sluice init` writes a recipe"), file)


def parse(text: str, file: Path) -> Recipe:
    """Check a recipe's text; `file` names it in errors and anchors relative paths."""
    document = yaml_config.parse(text, file, expected=_EXPECTED)
    return Recipe(config=document.checked(Config, _allowed_keys), file=file, text=text, lines=document.lines)


# What may differ when a run continues in its folder; gates may too, since stored samples are judged again, and pairs, which are made anew.
FREE_KEYS = frozenset({"goal", "budget", "export", "card", "gates", "pairs", "description"})
FREE_MODEL_KEYS = frozenset(
    {
        "requests_per_minute",
        "tokens_per_minute",
        "input_tokens_per_minute",
        "output_tokens_per_minute",
        "max_concurrency",
        "timeout_seconds",
        "price",
        "prompt_caching",
        "api_key_env",
        "mode",
        "batch",
    }
)


def fixed_part(config: Config) -> dict[str, Any]:
    """What may not change when a run continues in its folder, flat: dotted key → value."""
    dumped = config.model_dump(mode="json", exclude=set(FREE_KEYS))
    for line in dumped["models"].values():
        for key in FREE_MODEL_KEYS:
            line.pop(key, None)
        if not line["tool"]:  # folders made before there were tools know nothing of them
            del line["tool"]
        line["local"] = {key: value for key, value in line["local"].items() if key != "device" and value not in ("", "auto", {})}
        if not line["local"]:
            del line["local"]
        line["capabilities"] = {key: value for key, value in line["capabilities"].items() if value is not None}
        if not line["capabilities"]:  # nor of these
            del line["capabilities"]
        simulator = line.get("simulator") or {}
        line["simulator"] = {key: value for key, value in simulator.items() if key in ("seed", "flaws")}
    flat: dict[str, Any] = {}
    _flatten(dumped, "", flat)
    return flat


def _flatten(value: Any, prefix: str, flat: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _flatten(item, f"{prefix}.{key}" if prefix else str(key), flat)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            _flatten(item, f"{prefix}.{index + 1}", flat)
    else:
        flat[prefix] = thaw(value)


def _allowed_keys(path: KeyPath) -> list[str]:
    """The keys that a mapping at `path` may have, found by walking the models' fields."""
    models: dict[str, type[BaseModel]] = {
        "models": ModelLine,
        "sources": SourcesLine,
        "goal": GoalLine,
        "budget": BudgetLine,
        "export": ExportLine,
        "split": SplitLine,
        "price": PriceLine,
        "batch": BatchLine,
        "capabilities": CapabilitiesLine,
        "local": LocalLine,
        "card": CardFields,
    }
    steps = path[:1] + path[2:] if path[:1] == ("models",) else path  # without a model's own name, which may be any of these words
    kind = next((models[str(step)] for step in reversed(steps) if step in models), Config)
    return sorted(kind.model_fields)
