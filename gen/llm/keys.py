"""Cache keys: everything that can change an answer, and nothing else.

Timeouts, retries, rates, prices, the name of the key's environment variable, the recipe's own name for the model, purpose and step
are left out, so changing them replays what is already paid for. For the simulator its version, seed and text flaws take the place of
an address, because its port differs from run to run.
"""

from __future__ import annotations

from gen.llm.capabilities import sampling, shaping
from gen.llm.local.identity import model_identity
from gen.llm.provider import CAPABILITIES
from gen.recipe import ModelLine
from gen.simulator import options as simulator_options
from gen.types import Json, Request, digest

_KEY_HEX_DIGITS = 64  # the whole SHA-256


def line_identity(line: ModelLine) -> Json:
    """What tells two services apart that might answer the same request differently. Raises RecipeError (key `model`) for a model in this
    process that is not to be found."""
    if line.provider == "simulator":
        return simulator_options.from_mapping(line.simulator).identity()
    if line.provider == "transformers":
        return model_identity(line)
    capabilities = CAPABILITIES.get(line.provider)
    address = (line.base_url or (capabilities.base_url if capabilities else None) or "").rstrip("/")
    return [address, line.tool] if line.tool else address


def request_key(request: Request, line: ModelLine, identity: Json) -> str:
    """The SHA-256, as 64 hex digits, over the canonical JSON of all that can change the answer; `identity` from `line_identity`."""
    resolved = sampling(request, line)
    said = shaping(line.capabilities)
    return digest(
        {
            "provider": line.provider,
            "identity": identity,
            "model": line.model,
            "messages": [[message.role, message.content] for message in request.messages],
            "prompt": request.prompt,
            "sampling": [resolved.temperature, resolved.top_p, resolved.max_tokens, resolved.stop],
            "response_schema": request.response_schema,
            "draw": request.draw,
            "extra_body": line.extra_body,
            **({"capabilities": said} if said else {}),
        },
        length=_KEY_HEX_DIGITS,
    )
