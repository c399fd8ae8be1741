"""Published prices out of the genai-prices package, whose release dates them. Loaded late: it takes a third of a second."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import genai_prices

from gen.llm.prices import FlatPrice, Price
from gen.types import Usage

_SOURCE = f"genai-prices {genai_prices.__version__}"
_PROBE = genai_prices.Usage(input_tokens=1, output_tokens=1)


@dataclass(frozen=True, slots=True)
class TieredPrice:
    """A price that depends on the length of the prompt: asked of the library call by call."""

    model: str
    provider: str
    base_url: str | None
    source: str = _SOURCE

    def cost(self, usage: Usage) -> float:
        counted = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
            cache_write_tokens=min(usage.cache_write_tokens, max(0, usage.input_tokens - usage.cached_tokens)),
        )
        return float(_calculate(counted, self.model, self.provider, self.base_url).total_price)


def lookup(provider: str, base_url: str | None, model: str) -> Price | None:
    """The published price of `model` at the provider's own cloud or at the service behind `base_url`; None when it is not listed."""
    try:
        found = _calculate(_PROBE, model, provider, base_url)
    except LookupError:
        return None
    parts = {name: getattr(found.model_price, name, None) for name in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")}
    if parts["input_mtok"] is None:
        return None
    if parts["output_mtok"] is None:  # an embedding model writes nothing
        parts["output_mtok"] = Decimal(0)
    if any(value is not None and not isinstance(value, Decimal) for value in parts.values()):
        return TieredPrice(model, provider, base_url)
    fees = {name: float(value) for name, value in parts.items() if value is not None}
    cached = fees.get("cache_read_mtok", fees["input_mtok"])
    return FlatPrice(fees["input_mtok"], fees["output_mtok"], cached, _SOURCE, fees.get("cache_write_mtok"))


def _calculate(usage: genai_prices.Usage, model: str, provider: str, base_url: str | None) -> Any:
    if base_url:
        return genai_prices.calc_price(usage, model, provider_api_url=base_url)
    return genai_prices.calc_price(usage, model, provider_id=provider)
