"""How a simulated reply is recognised wherever it was reached, so that nobody trains on it by mistake."""

from __future__ import annotations

MODEL_PREFIX = "simulated/"  # every reply names its model as simulated/<the name that was asked for>
FINGERPRINT = "sluice-simulated"  # OpenAI's `system_fingerprint`
HEADER = "x-sluice-simulated"  # on every reply, errors included; its value is "1"
_KEY_CHARACTERS = 40  # of a request's key in a batch item's name: 160 bits, and room for the draw within the 64 characters allowed
DRAW_HEADER = "x-sluice-draw"  # tells equal requests apart on an API that has no `seed`; part of the request's content


def batch_item_name(key: str, draw: int) -> str:
    """The name (`custom_id`) of a request in a batch of an API without `seed`: what the draw header says of a single request.

    >>> batch_item_name("5e" * 32, 7)[-6:], draw_of_item(batch_item_name("5e" * 32, 7)), draw_of_item("another")
    ('5e5e-7', '7', None)
    """
    return f"{key[:_KEY_CHARACTERS]}-{draw}"


def draw_of_item(name: str) -> str | None:
    """The draw in a batch item's name, None for a name of somebody else's."""
    return name[_KEY_CHARACTERS + 1 :] if name[_KEY_CHARACTERS : _KEY_CHARACTERS + 1] == "-" else None


def simulated_name(model: str) -> str:
    """The model's name as replies carry it.

    >>> simulated_name("gpt-4.1-mini"), simulated_name("simulated/local")
    ('simulated/gpt-4.1-mini', 'simulated/local')
    """
    return model if model.startswith(MODEL_PREFIX) else MODEL_PREFIX + model


def is_simulated(model: str, fingerprint: str | None = None) -> bool:
    """Whether a reply with this model name and fingerprint was written by the simulator."""
    return model.startswith(MODEL_PREFIX) or fingerprint == FINGERPRINT
