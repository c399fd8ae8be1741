"""What Sluice ships: seed tasks that are right and unlike each other, clean lists, prompts that render."""

from __future__ import annotations

import ast
import json
import re
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest
from rapidfuzz.distance import LCSseq

from gen import prompts
from gen.resources import resource
from gen.sources import personas, seed_tasks, topics
from gen.types import Message

FEEDBACK = SimpleNamespace(
    gate="length", reason="too short", detail="3 words, at least 20", advice="Keep to the length that was asked for."
)
VALUES = {
    "topic": "Tides",
    "instruction": "Explain {{ 7 * 7 }} to a sailor.",
    "evolved": "Explain spring tides to a sailor.",
    "answer": "The moon does it.",
    "answers": ["The moon does it.", "The sun and the moon do."],
    "persona": "A fisher.",
    "level": "expert",
    "audience": "a fisher",
    "count": 2,
    "examples": ["What is a neap tide?"],
    "avoid": "What is a tide?",
    "system": "Answer in one sentence.",
    "answer_style": "in one sentence",
    "feedback": FEEDBACK,
}
BARE = {
    "topic": "",
    "level": "",
    "audience": "",
    "examples": [],
    "avoid": "",
    "system": "",
    "answer_style": "",
    "feedback": None,
    "count": 1,
}
OURS = [name for name in prompts.names() if name.split("/")[0] in ("evol_instruct", "persona", "magpie") or name == "pairs/answer"]


def rendered(name: str, values: dict[str, object]) -> tuple[Message, ...]:
    prompt = prompts.load(name)
    return prompt.render(**{key: values[key] for key in prompt.variables})


def user(name: str, **changed: object) -> str:
    return rendered(name, VALUES | changed)[-1].content


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_shipped_seed_tasks_are_unlike_each_other() -> None:
    """ROUGE-L below 0.7, the bound that Self-Instruct sets for what enters the pool."""
    tasks = seed_tasks.read(None, folder=Path(), where="data")
    texts = [words(task.instruction) for task in tasks]
    assert max(2 * LCSseq.similarity(a, b) / (len(a) + len(b)) for a, b in combinations(texts, 2)) < 0.7


def test_shipped_seed_tasks_are_numbered_throughout() -> None:
    tasks = seed_tasks.read(None, folder=Path(), where="data")
    assert [task.id for task in tasks] == [f"seed-{number:03d}" for number in range(1, len(tasks) + 1)]


def test_code_in_shipped_seed_tasks_can_be_parsed() -> None:
    blocks = [
        block
        for task in seed_tasks.read(None, folder=Path(), where="data")
        for block in re.findall(r"```(python|json)\n(.*?)```", task.output, re.DOTALL)
    ]
    assert len(blocks) >= 8
    for language, code in blocks:
        if language == "python":
            ast.parse(code)
        else:
            json.loads(code)


def test_shipped_personas_are_numbered_throughout() -> None:
    people = personas.read(None, folder=Path(), where="data")
    assert [item.id for item in people] == [f"persona-{number:03d}" for number in range(1, len(people) + 1)]


@pytest.mark.parametrize("name", sorted(path.stem for path in resource("data", "topics").glob("*.txt")))
def test_every_shipped_topic_list_can_be_read(name: str) -> None:
    assert len(topics.read(name, folder=Path(), where="data")) >= 5


@pytest.mark.parametrize("name", OURS)
def test_a_prompt_renders_with_everything_and_with_as_little_as_possible(name: str) -> None:
    for values in (VALUES, VALUES | BARE):
        for message in rendered(name, values):
            assert message.content
            assert "\n\n\n" not in message.content
            assert "None" not in message.content


@pytest.mark.parametrize(
    "name", [name for name in OURS if name.startswith("evol_instruct/") and "instruction" in prompts.load(name).variables]
)
def test_an_evolving_prompt_carries_the_instruction_as_data(name: str) -> None:
    assert "Explain {{ 7 * 7 }} to a sailor." in user(name)


@pytest.mark.parametrize("name", [name for name in OURS if "feedback" in prompts.load(name).variables])
def test_feedback_is_shown_on_a_further_attempt_only(name: str) -> None:
    assert "too short" in user(name)
    assert "rejected" not in user(name, feedback=None)
