"""Coding tasks and their answers: the small Python files in snippets/, each a function that really runs.

A snippet's first two lines name its task ("a function that …") and how it does it; adding a snippet is adding a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from gen.simulator.lexicon import Domain, content_words


@dataclass(frozen=True)
class Snippet:
    """`task` completes "a function that …"; `note` says how the function does it."""

    task: str
    note: str
    code: str


@cache
def snippets() -> tuple[Snippet, ...]:
    """Every snippet, by file name."""
    return tuple(_read(path) for path in sorted((Path(__file__).parent / "snippets").glob("*.py")))


_REQUESTS = (
    "Write a Python function that {task}.",
    "Write a Python function that {task}, and explain how it avoids {risk}.",
    "Show a small Python function that {task}, as {actor} would need it in {setting}.",
    "In {setting}, {situation}. Write Python code that {task} and add a docstring.",
    "Implement a function that {task}; handle the case that {situation}.",
    "{Actor} asks for Python code that {task}. Provide it and suggest two tests.",
    "Give a short Python example that {task}, then say how you would {goal}.",
)
_INTROS = (
    "Here is a function that {task}.",
    "The following Python code {task}.",
    "A short version that {task} looks like this.",
    "This can be done with the standard library alone: the function below {task}.",
)
_OUTROS = (
    "It works because {note}. A sensible next step is to {measure}, since that protects against {risk}.",
    "The main idea is simple: {note}. Test it with an empty input, a single item and a large one before you rely on it.",
    "Note that {note}. If {situation}, begin by checking the input and only then change the function.",
)


def code_request(rng: Random, domain: Domain) -> str:
    """An instruction that asks for one of the functions."""
    setting, situation, actor = rng.choice(domain.settings), rng.choice(domain.situations), rng.choice(domain.actors)
    values = {"task": rng.choice(snippets()).task, "setting": setting, "situation": situation, "Actor": actor[0].upper() + actor[1:]}
    values |= {"actor": actor, "risk": rng.choice(domain.risks), "goal": rng.choice(domain.goals)}
    return rng.choice(_REQUESTS).format(**values)


def code_answer(question: str, domain: Domain, rng: Random) -> str:
    """An introduction, the function that fits the question best in a fenced block, and an explanation."""
    words = set(content_words(question))
    overlap = [len(words & set(content_words(snippet.task))) for snippet in snippets()]
    best = [snippet for snippet, value in zip(snippets(), overlap, strict=True) if value == max(overlap)]
    snippet = rng.choice(best)
    values = {"note": snippet.note, "measure": rng.choice(domain.measures), "risk": rng.choice(domain.risks)}
    outro = rng.choice(_OUTROS).format(situation=rng.choice(domain.situations), **values)
    return f"{rng.choice(_INTROS).format(task=snippet.task)}\n\n```python\n{snippet.code}\n```\n\n{outro}"


def _read(path: Path) -> Snippet:
    task, note, code = path.read_text(encoding="utf-8").split("\n", 2)
    return Snippet(task.removeprefix("# task: "), note.removeprefix("# note: "), code.strip())
