from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment

from gen.errors import PromptError
from gen.prompts import Prompt, load, names, read
from gen.types import Message

FILE = """\
---
version: 2
variables:
  topic: what it is about
reply: a list
---
{% block system %}Be brief.{% endblock %}
{% block user %}Write about {{ topic }}.{% endblock %}
"""


def prompt_of(text: str, folder: Path) -> Prompt:
    path = folder / "prompt.jinja"
    path.write_text(text, encoding="utf-8")
    return read("room/prompt", path)


@pytest.mark.parametrize("name", names())
def test_every_prompt_that_ships_names_the_variables_it_uses_and_no_others(name: str) -> None:
    prompt = load(name)
    body = prompt.source.split("\n---\n", 1)[1]
    environment = SandboxedEnvironment()
    used = meta.find_undeclared_variables(environment.parse(body))
    assert used == set(prompt.variables)
    assert prompt.reply
    assert prompt.ref == f"{name}@{prompt.hash}"


def test_it_renders_system_then_user(tmp_path: Path) -> None:
    assert prompt_of(FILE, tmp_path).render(topic="bread") == (Message("system", "Be brief."), Message("user", "Write about bread."))


@pytest.mark.parametrize("text", ["{{ topic }}", "{% block user %}x{% endblock %}", "{{ 7 * 7 }}", "---\nversion: 9\n---", "{#", "<b>"])
def test_what_is_filled_in_is_never_a_template(text: str, tmp_path: Path) -> None:
    assert prompt_of(FILE, tmp_path).render(topic=text)[1].content == f"Write about {text}."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"missing \['topic'\], not in its header nothing"),
        ({"topic": 1, "tpoic": 2}, r"missing nothing, not in its header \['tpoic'\]"),
    ],
    ids=["missing", "unknown"],
)
def test_a_missing_or_unknown_variable_is_an_error(given: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message):
        prompt_of(FILE, tmp_path).render(**given)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("---\nversion", "version", "begins with a header", id="no header"),
        pytest.param("version: 2", "version: two", "invalid literal", id="version"),
        pytest.param("reply: a list\n", "", "reply", id="no reply"),
        pytest.param("  topic: what it is about", "  - [", "", id="broken YAML"),
        pytest.param("{{ topic }}", "{{ topic", "", id="broken template"),
        pytest.param("block user", "block usr", "has no {% block user %}", id="no user block"),
    ],
)
def test_a_broken_file_is_one_line_that_names_the_prompt(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError) as caught:
        prompt_of(FILE.replace(old, new), tmp_path)
    assert str(caught.value).startswith("prompt room/prompt: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reach", ["{{ ''.__class__.__mro__ }}", "{{ topic.__init__.__globals__ }}", "{{ cycler.__init__.__globals__.os }}"]
)
def test_a_prompt_cannot_reach_out_of_its_sandbox(reach: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError):
        prompt_of(FILE.replace("{{ topic }}", "{{ topic }}" + reach), tmp_path).render(topic="x")


@pytest.mark.parametrize("name", ["nothing/here", "../README", "self_instruct/../../secret"])
def test_a_prompt_that_does_not_ship_is_an_error(name: str) -> None:
    with pytest.raises(PromptError, match="no prompt '"):
        load(name)


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    assert prompt_of(FILE, tmp_path).hash != prompt_of(FILE.replace("brief", "long"), tmp_path).hash
