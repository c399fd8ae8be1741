"""How a simulated reply is recognised wherever it was reached, so that nobody trains on it by mistake."""

from __future__ import annotations

MODEL_PREFIX = "simulated/"  # every reply names its model as simulated/<the name that was asked for>
FINGERPRINT = "sluice-simulated"  # OpenAI's `system_fingerprint`
HEADER = "x-sluice-simulated"  # on every reply, errors included; its value is "1"
DRAW_HEADER = "x-sluice-draw"  # tells equal requests apart on an API that has no `seed`; part of the request's content


def simulated_name(model: str) -> str:
    """The model's name as replies carry it.

    >>> simulated_name("gpt-4.1-mini"), simulated_name("simulated/local")
    ('simulated/gpt-4.1-mini', 'simulated/local')
    """
    return model if model.startswith(MODEL_PREFIX) else MODEL_PREFIX + model


def is_simulated(model: str, fingerprint: str | None = None) -> bool:
    """Whether a reply with this model name and fingerprint was written by the simulator."""
    return model.startswith(MODEL_PREFIX) or fingerprint == FINGERPRINT
