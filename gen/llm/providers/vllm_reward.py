"""Reward models on a vLLM server, which have no chat endpoint: `/classify` for sequence classifiers, `/pooling` for token rewards.

The conversation goes out as messages and the server's own chat template sets it. The reply's text is `reward:NUMBER`, as reward models
behind a chat endpoint write it. For a plain logit instead of a probability say `extra_body: {use_activation: false}` where the server
knows it.
"""

from __future__ import annotations

import math
from typing import Any

from gen.errors import RequestRejected
from gen.llm.http_call import HttpCaller
from gen.llm.provider import Endpoint, HeaderSink, Provider
from gen.llm.tools import RewardTool, reward_tool
from gen.llm.wire import count, malformed, mapping, parse_object, simulated, well_formed
from gen.recipe import ModelLine
from gen.types import Json, Request, Response, Usage, thaw

_TITLE = "the reward server"


class RewardProvider:
    """One server. Both paths lie beside `/v1`, which a `base_url` may end in or not."""

    def __init__(self, endpoint: Endpoint, on_headers: HeaderSink) -> None:
        self._caller = HttpCaller(_TITLE, endpoint, on_headers)
        self._root = self._caller.base_url.removesuffix("/v1")

    async def send(self, request: Request, line: ModelLine) -> Response:
        """The reward of the conversation's last turn, as `reward:NUMBER`."""
        tool = reward_tool(line)
        headers = {"Authorization": f"Bearer {self._caller.secret}"} if self._caller.secret else {}
        body = build_payload(request, line)
        content, told = await self._caller.call(line, f"{self._root}/{tool.endpoint}", body=body, headers=headers)
        value = parse_object(content, _TITLE)
        model = value.get("model")
        model = model if isinstance(model, str) else ""
        tokens = count(mapping(value.get("usage")).get("prompt_tokens"))
        return Response(
            text=f"reward:{read_reward(value, tool):.6g}", usage=Usage(input_tokens=tokens), model=model, simulated=simulated(told, model)
        )

    async def close(self) -> None:
        await self._caller.close()


def connect(endpoint: Endpoint, on_headers: HeaderSink) -> Provider:
    """The provider for `endpoint`."""
    return RewardProvider(endpoint, on_headers)


def build_payload(request: Request, line: ModelLine) -> dict[str, Any]:
    """The body of both paths."""
    if not request.messages:
        raise RequestRejected("the reward server takes a conversation", reason="bad_request")
    messages = [{"role": message.role, "content": well_formed(message.content)} for message in request.messages]
    own: dict[str, Any] = thaw(line.extra_body)
    return {"model": line.model, "messages": messages} | own


def read_reward(value: dict[str, Any], tool: RewardTool) -> float:
    """The number in a 200's body: of `/classify` that of the class `label_index`, of `/pooling` that of the last token.

    Raises Unavailable `malformed_reply` for anything else, such as the hidden states of a model that is no reward model.
    """
    data = value.get("data")
    first = mapping(data[0]) if isinstance(data, list) and data else {}
    found: Json = first.get("probs") if tool.endpoint == "classify" else first.get("data")
    if tool.endpoint == "classify":
        found = found[tool.label_index] if isinstance(found, list) and tool.label_index < len(found) else None
    while isinstance(found, list) and found and (len(found) == 1 or isinstance(found[-1], list)):
        found = found[-1]
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise malformed(_TITLE, f"it holds no single number for the conversation (/{tool.endpoint})")
    return float(found)
