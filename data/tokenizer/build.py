"""Train the small tokenizer that this folder holds: byte-level BPE, 4,096 tokens, ChatML. Run it from anywhere: python build.py

It is for trying a pack without a network, for the tests and for tiny models; it is no rival to a real model's tokenizer. The corpus
(corpus.txt) is text of this project: its seed tasks, prompts, documentation and code. The result is the same bytes on every run.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

HERE = Path(__file__).resolve().parent
SIZE = 4096
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")
# Line ends with what is before them, white space up to the last, a word with the space before it, one digit, marks, what is left.
WORDS = r"\s*[\r\n]+|\s+(?!\S)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
CHAT_TEMPLATE = HERE.parent / "chat_templates" / "chatml.jinja"


def train(corpus: str) -> Tokenizer:
    """A byte-level BPE over the paragraphs of `corpus`; digits stand alone, and no text is unknown to it."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence([Split(Regex(WORDS), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIALS],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([corpus], trainer)
    return tokenizer


def config() -> dict[str, object]:
    """What transformers reads beside tokenizer.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "model_max_length": 32768,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE.read_text(encoding="utf-8"),
    }


if __name__ == "__main__":
    tokenizer = train((HERE / "corpus.txt").read_text(encoding="utf-8"))
    tokenizer.save(str(HERE / "tokenizer.json"))
    (HERE / "tokenizer_config.json").write_text(json.dumps(config(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{tokenizer.get_vocab_size()} tokens in {HERE}")
