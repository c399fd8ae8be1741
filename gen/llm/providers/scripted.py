"""A provider that answers from a script: exact tests of all that surrounds a call, without a wire."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence

from gen.errors import ProviderError, Unavailable
from gen.recipe import ModelLine
from gen.types import Request, Response, Usage

Reply = Response | ProviderError | str
Script = Callable[[Request], Reply | Awaitable[Reply]]


class ScriptedProvider:
    """Answers with the script's next item, or with what its function returns for the request; an error is raised.

    A text stands for a whole reply of one input token and one output token per word. `requests` lists what was asked, in order.
    """

    def __init__(self, script: Sequence[Reply] | Script) -> None:
        self._function = script if callable(script) else None
        self._replies = [] if callable(script) else list(script)
        self.requests: list[Request] = []
        self.closed = False

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The next reply. Raises Unavailable `script_exhausted` when there is none left."""
        self.requests.append(request)
        if self._function is not None:
            answer = self._function(request)
            reply = await answer if inspect.isawaitable(answer) else answer
        elif self._replies:
            reply = self._replies.pop(0)
        else:
            raise Unavailable("the script holds no further reply", reason="script_exhausted")
        if isinstance(reply, ProviderError):
            raise reply
        if isinstance(reply, str):
            return Response(text=reply, usage=Usage(input_tokens=1, output_tokens=len(reply.split())), model=line.model)
        return reply

    async def close(self) -> None:
        self.closed = True
