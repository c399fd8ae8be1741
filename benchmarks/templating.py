"""Templating against the usual paths, on the same chats in one run: python benchmarks/templating.py [--tokenizer T] [--chats N]

Baselines: `apply_chat_template(tokenize=True)` one chat at a time, which is what most training scripts do and gives no mask; the same for
a whole list; and rendering with transformers, then one `encode_batch`. Ours renders, proves the mask, and encodes piece by piece.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable

from gen.resources import resource
from gen.templates.templating import Encoded, open_templating
from gen.types import Message, Sample

os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

from transformers import AutoTokenizer


def chats(count: int) -> list[Sample]:
    """Questions of about 120 and answers of about 900 characters, cut from the tokenizer's corpus at random places."""
    text, draw = resource("data", "tokenizer", "corpus.txt").read_text(encoding="utf-8"), random.Random(0)

    def cut(length: int) -> str:
        start = draw.randrange(len(text) - length)
        return text[start : start + length].strip() or "text"

    return [
        Sample(f"c{place}", (Message("user", cut(draw.randint(40, 200))), Message("assistant", cut(draw.randint(200, 1600)))))
        for place in range(count)
    ]


def best_seconds(runs: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The best of `rounds` for each, in turn, so that whatever else the machine does meets all of them alike."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", default=str(resource("data", "tokenizer")), help="a folder or a name on the Hub (default: ours)")
    parser.add_argument("--chat-template", help="chatml, llama3, alpaca or a file, for a tokenizer without a template")
    parser.add_argument("--chats", type=int, default=2000)
    given = parser.parse_args()
    samples = chats(given.chats)
    theirs = AutoTokenizer.from_pretrained(given.tokenizer)
    templating = open_templating(given.tokenizer, chat_template=given.chat_template)
    theirs.chat_template = templating.template.source
    plain = [[{"role": message.role, "content": message.content} for message in sample.messages] for sample in samples]

    def ours() -> None:
        for _ in templating.encode(samples):
            pass

    def rendered_batch() -> None:
        theirs.backend_tokenizer.encode_batch(theirs.apply_chat_template(plain, tokenize=False), add_special_tokens=False)

    encoded = [item for _, item in templating.encode(samples) if isinstance(item, Encoded)]
    tokens = sum(len(item.ids) for item in encoded)
    print(f"{len(encoded)} of {len(samples)} chats, {tokens / len(encoded):.0f} tokens each, vocabulary {len(theirs)}")
    taken = best_seconds(
        {
            "apply_chat_template, one by one": lambda: [theirs.apply_chat_template(chat, tokenize=True) for chat in plain],
            "apply_chat_template, whole list": lambda: theirs.apply_chat_template(plain, tokenize=True),
            "render, then encode_batch": rendered_batch,
            "gen.templates.templating, with loss mask": ours,
        }
    )
    base = taken["apply_chat_template, one by one"]
    for name, seconds in taken.items():
        print(f"{name:34} {len(samples) / seconds:8.0f} chats/s {tokens / seconds:10.0f} tokens/s  {base / seconds:5.2f} × one by one")


if __name__ == "__main__":
    main()
