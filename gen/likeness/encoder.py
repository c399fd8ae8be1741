"""A model on this machine that turns texts into vectors, by a library that is only loaded when such a model is asked for."""

from __future__ import annotations

import importlib
import threading
from functools import cache
from typing import Any, Literal

from gen.errors import RecipeError
from gen.likeness.vectors import Codes, encoded

Library = Literal["sentence_transformers", "model2vec"]
_OPENED_BY: dict[Library, tuple[str, str]] = {
    "sentence_transformers": ("SentenceTransformer", ""),
    "model2vec": ("StaticModel", "from_pretrained"),
}


class Encoder:
    """A model that is open. One text at a time: its vector then depends on nothing else."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lock = threading.Lock()  # a run asks from many threads

    def __call__(self, text: str) -> Codes:
        """The direction of the text's vector. Raises InputError when the model gives none."""
        with self._lock:
            vectors = self._model.encode([text], show_progress_bar=False)
        return encoded(vectors[0])


@cache
def open_encoder(model: str, library: Library) -> Encoder:
    """Open the model in the folder `model`, or of that name on the Hub, from which the library then downloads it once.

    Raises RecipeError when the library is not installed or cannot open the model.
    """
    try:
        room = importlib.import_module(library)
    except ImportError as error:
        install = "pip install 'sluice-data[embeddings]'" if library == "sentence_transformers" else f"pip install {library}"
        raise RecipeError(f"{library} is not installed ({error}): `{install}`, or name a 'model' of the recipe", key="library") from error
    name, maker = _OPENED_BY[library]
    opener = getattr(room, name)
    try:
        return Encoder((getattr(opener, maker) if maker else opener)(model))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        problem = " ".join(str(error).split())[:200] or type(error).__name__
        raise RecipeError(f"{library} cannot open {model[:200]!r}: {problem}", key="local") from error
