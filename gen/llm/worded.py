"""A request's messages for a chat format that lacks a thing: what it cannot say by a parameter or a role is said in words."""

from __future__ import annotations

from gen.llm.capabilities import ModelCapabilities
from gen.llm.provider import by_prompt
from gen.llm.wire import well_formed
from gen.types import Request


def worded_turns(request: Request, able: ModelCapabilities) -> list[dict[str, str]]:
    """The messages on the wire. A schema that the API has no parameter for is asked for in words; where the model knows no system role,
    what stands there opens the first user turn."""
    turns = [{"role": message.role, "content": well_formed(message.content)} for message in request.messages]
    if request.response_schema is not None and not able.json_schema:
        asked = by_prompt(request.response_schema)
        if turns and turns[0]["role"] == "system":
            turns[0]["content"] += f"\n\n{asked}"
        else:
            turns.insert(0, {"role": "system", "content": asked})
    if able.system_role:
        return turns
    said = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    turns = [turn for turn in turns if turn["role"] != "system"]
    first = next((turn for turn in turns if turn["role"] == "user"), None)
    if said and first is not None:
        first["content"] = f"{said}\n\n{first['content']}"
    elif said:
        turns.insert(0, {"role": "user", "content": said})
    return turns
