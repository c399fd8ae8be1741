"""Raw prompts in the published chat formats: where a user's turn begins, where an answer begins, what ends them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer

from gen.errors import InputError
from gen.resources import resource
from gen.templates.raw_prompt import open_raw_prompts
from gen.types import Message

TEMPLATES = Path(__file__).parent
SYSTEM, USER, ASSISTANT = Message("system", "Be kind."), Message("user", "Hello?"), Message("assistant", "Hi!")

CHATML = ["<|im_start|>", "<|im_end|>"]
LLAMA = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
GEMMA = ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., str]:
    """A tokenizer's folder with the template of that name, or the text given."""

    def written(template: str | None, specials: list[str], eos: str, bos: str | None = None) -> str:
        backend = Tokenizer.from_file(str(resource("data", "tokenizer", "tokenizer.json")))
        backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
        folder = tmp_path / "model"
        folder.mkdir()
        backend.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "model_max_length": 4096}
        config |= {"bos_token": bos} if bos else {}
        named = TEMPLATES / f"{template}.jinja"
        if template:
            config["chat_template"] = named.read_text(encoding="utf-8") if named.is_file() else template
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        return str(folder)

    return written


def test_the_shipped_tokenizer_writes_chatml() -> None:
    raw = open_raw_prompts("shipped")
    assert raw.user_turn([SYSTEM]) == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n"
    assert raw.user_turn([]) == "<|im_start|>user\n"
    assert raw.assistant_turn([USER]) == "<|im_start|>user\nHello?<|im_end|>\n<|im_start|>assistant\n"
    assert raw.user_turn([USER, ASSISTANT]).endswith("assistant\nHi!<|im_end|>\n<|im_start|>user\n")
    assert raw.stops == ("<|im_end|>", "<|im_start|>")
    assert raw.takes_system


@pytest.mark.parametrize(
    ("template", "specials", "ends", "opening", "stops"),
    [
        ("qwen3", CHATML, ("<|im_end|>", None), "<|im_start|>user\n", ("<|im_end|>", "<|im_start|>")),
        (
            "llama3",
            LLAMA,
            ("<|eot_id|>", "<|begin_of_text|>"),
            "<|start_header_id|>user<|end_header_id|>\n\n",
            ("<|eot_id|>", "<|start_header_id|>"),
        ),
        ("gemma2", GEMMA, ("<eos>", "<bos>"), "<start_of_turn>user\n", ("<end_of_turn>", "<start_of_turn>", "<eos>")),
        ("mistral", ["<s>", "</s>", "[INST]", "[/INST]"], ("</s>", "<s>"), "[INST]", ("[/INST]", "</s>")),
        ("zephyr", ["<s>", "</s>"], ("</s>", "<s>"), "<|user|>\n", ("</s>", "<|assistant|>")),
    ],
    ids=["qwen3", "llama3", "gemma2", "mistral", "zephyr"],
)
def test_the_users_turn_is_opened_and_ended_as_the_template_does(
    make: Callable[..., str], template: str, specials: list[str], ends: tuple[str, str | None], opening: str, stops: tuple[str, ...]
) -> None:
    raw = open_raw_prompts(make(template, specials, *ends))
    assert raw.user_turn([]) == opening  # no beginning-of-sequence token: the server puts it there
    assert raw.stops == stops


def test_a_template_without_a_system_role_says_so(make: Callable[..., str]) -> None:
    raw = open_raw_prompts(make("gemma2", GEMMA, "<eos>", "<bos>"))
    assert not raw.takes_system
    with pytest.raises(InputError, match="refuses a conversation: System role not supported"):
        raw.user_turn([SYSTEM])


def test_options_reach_the_template(make: Callable[..., str]) -> None:
    folder = make("qwen3", CHATML, "<|im_end|>")
    assert "<think>" not in open_raw_prompts(folder).assistant_turn([USER])
    assert open_raw_prompts(folder, {"enable_thinking": False}).assistant_turn([USER]).endswith("<think>\n\n</think>\n\n")


def test_roles_written_as_plain_text_end_a_turn_too(make: Callable[..., str]) -> None:
    source = (
        "{% for m in messages %}{{ '### ' + m.role + ':\\n' + m.content + '\\n\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}"
    )
    raw = open_raw_prompts(make(source, ["<eos>"], "<eos>"))
    assert raw.stops == ("### assistant:", "<eos>")
    assert raw.spoken("What is a tide?\n\n### assistant:\nWater.") == "What is a tide?"


def test_a_turn_ends_at_the_first_stop_even_where_the_server_sends_it() -> None:
    raw = open_raw_prompts("shipped")
    assert raw.spoken("  What is a tide?<|im_end|>\n<|im_start|>assistant\nWater.") == "What is a tide?"
    assert raw.spoken("No end") == "No end"


def test_control_tokens_of_any_model_are_leaks() -> None:
    raw = open_raw_prompts("shipped")
    assert raw.leak("Say <|eot_id|> twice") == "<|eot_id|>"
    assert raw.leak("a < b | c > d and <|this is prose|>") == ""


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (None, "has no chat template: name the one of an instruction-tuned model"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "leaves out the user's words"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "puts nothing after a user's turn"),
    ],
    ids=["none", "no-content", "no-end"],
)
def test_a_tokenizer_that_cannot_serve_is_refused(make: Callable[..., str], template: str | None, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        open_raw_prompts(make(template, ["<eos>"], "<eos>"))


def test_a_tokenizer_that_is_nowhere_is_an_error() -> None:
    with pytest.raises(InputError, match="tokenizer 'no/such-model' is neither a folder here nor reachable on the Hub"):
        open_raw_prompts("no/such-model")
