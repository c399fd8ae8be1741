"""Embeddings made of hashed words: texts that share words get similar vectors, as with a real model, and equal texts equal ones."""

from __future__ import annotations

import base64
import hashlib
import math
import struct

from gen.simulator.lexicon import WORDS

_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}
DEFAULT_DIMENSIONS = 384


def dimensions_of(model: str) -> int:
    """The vector length of a model: that of the known models, else 384."""
    return _DIMENSIONS.get(model, DEFAULT_DIMENSIONS)


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length 1: each word adds to four places that its hash names."""
    values = [0.0] * dimensions
    for word in WORDS.findall(text[:100_000].lower()) or [text]:
        hashed = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        for start in range(0, 16, 4):
            number = int.from_bytes(hashed[start : start + 4], "big")
            values[number % dimensions] += 1.0 if number & 0x8000_0000 else -1.0
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / norm for value in values]


def as_base64(vector: list[float]) -> str:
    """A vector as the SDK asks for it: little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
