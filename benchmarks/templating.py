"""Template, loss mask and token ids against the usual paths, on the same chats in one run, and the memory that packing takes.

    python benchmarks/templating.py [CORPUS.jsonl[.gz]] [--tokenizer T] [--chats N] [--memory N]

CORPUS holds objects with `instruction`, `input` and `output`; by default the corpus beside the checkout, else the text that the shipped
tokenizer was trained on. Chats have one to six turns and some 100 to 2,000 tokens. Tokenizers: the shipped one, and one trained here
with the split of Llama 3 and as many tokens as CORPUS gives (at most 60,000), or T. Each round has chats that no round before had.

Baselines: `apply_chat_template(tokenize=True)` one chat at a time, which most training scripts do and which gives no mask; and one
`encode_batch` of texts rendered beforehand, on all cores. Ours renders, proves the mask, encodes. Exit status 1 when it is not 3 times as
fast as the first or slower than the second, when an id differs from the tokenizer's own, or when memory passes 1 GB at a million chats.
Judged is processor time, which other work on the machine leaves alone, with that of `encode_batch` halved, as if two cores shared it
without loss; time by the clock is printed too. All figures are medians over rounds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from gen.exporters.packed import pack_samples
from gen.resources import resource
from gen.templates.chat_template import Unfit, named_template
from gen.templates.plan_encoder import Encoded
from gen.templates.templating import open_templating
from gen.types import Message, Sample

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "corpus.jsonl.gz"
SHIPPED = resource("data", "tokenizer")
SPLIT = (  # Llama 3's
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
AT_LEAST, NOT_SLOWER = 3.0, 1.0
MEMORY_LIMIT = 1000.0  # MB at a million chats
ROUNDS = 9
Turns = list[tuple[str, str]]


def turns(corpus: Path | None) -> Turns:
    """Questions and answers, in a drawn order."""
    draw = random.Random(0)
    if corpus is None:
        text = (SHIPPED / "corpus.txt").read_text(encoding="utf-8")

        def cut(shortest: int, longest: int) -> str:
            start = draw.randrange(len(text) - longest)
            return text[start : start + draw.randint(shortest, longest)].strip() or "text"

        return [(cut(40, 200), cut(200, 1600)) for _ in range(12_000)]
    with (gzip.open if corpus.suffix == ".gz" else open)(corpus, "rt", encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    found = [("\n".join(filter(None, (item["instruction"], item["input"]))), item["output"]) for item in items]
    draw.shuffle(found)
    return [(question, answer) for question, answer in found if question.strip() and answer.strip()]


def chats(found: Turns, *, endless: bool = False) -> Iterator[Sample]:
    """Chats of as many turns as a drawn length takes, 400 to 8,000 characters, few of them long. `endless`: again from the beginning, each
    text with a number that it has not had before."""
    draw, source = random.Random(1), iter(found)
    for number in count():
        length, messages = int(400 * 20 ** (draw.random() ** 2)), list[Message]()
        while sum(len(message.content) for message in messages) < length and len(messages) < 12:
            pair = next(source, None)
            if pair is None:
                if not endless:
                    return
                source = iter(found)
                continue
            question = f"{number} {pair[0]}" if endless else pair[0]
            messages += [Message("user", question), Message("assistant", pair[1])]
        yield Sample(f"c{number}", tuple(messages))


def trained_tokenizer(found: Turns, folder: Path) -> Path:
    """A byte-level tokenizer as Llama 3's, trained on the corpus, with ChatML."""
    backend = Tokenizer(models.BPE(ignore_merges=True))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), byte_level])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=60_000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator((text for pair in found for text in pair), trainer)
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<|im_start|>", "<|im_end|>")])
    backend.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": named_template("chatml")}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """How long it takes, by the clock and of processor time."""
    start, busy = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - busy


def measure(name: str, tokenizer: str, samples: list[Sample], chat_template: str | None) -> bool:
    """Print the speeds with one tokenizer; whether the bounds are kept."""
    theirs = AutoTokenizer.from_pretrained(tokenizer)
    templating = open_templating(tokenizer, chat_template=chat_template)
    alone = open_templating(tokenizer, chat_template=chat_template, remember=False)
    theirs.chat_template = templating.template.source
    size = len(samples) // (ROUNDS + 1)
    taken: dict[str, list[tuple[float, float]]] = {"one by one": [], "encode_batch": [], "ours": []}
    tokens, same = 0, True
    for number in range(ROUNDS + 1):
        chosen = samples[number * size : (number + 1) * size]
        plain = [[{"role": message.role, "content": message.content} for message in sample.messages] for sample in chosen]
        texts = theirs.apply_chat_template(plain, tokenize=False)
        results: list[Encoded | Unfit] = []
        runs: dict[str, Callable[[], object]] = {
            "one by one": lambda plain=plain: [theirs.apply_chat_template(chat, tokenize=True) for chat in plain],
            "encode_batch": lambda texts=texts: theirs.backend_tokenizer.encode_batch(texts, add_special_tokens=False),
            "ours": lambda chosen=chosen, results=results: results.extend(result for _, result in templating.encode(chosen)),
        }
        paths = [*runs][number % len(runs) :] + [*runs][
            : number % len(runs)
        ]  # each goes first in its turn: caches remember who went before
        for path in paths:
            taken[path].append(seconds(runs[path]))
        tokens += sum(len(result.ids) for result in results if isinstance(result, Encoded))
        same &= all(map(equal, results, (result for _, result in alone.encode(chosen))))
    print(f"{name}: {len(theirs)} tokens, {ROUNDS + 1} rounds of {size} chats of {tokens / (ROUNDS + 1) / size:.0f} tokens")
    for path, spent in taken.items():
        by_clock = statistics.median(taken["one by one"][place][0] / spent[place][0] for place in range(1, ROUNDS + 1))
        rates = [size / wall for wall, _ in spent]
        rate = f"{statistics.median(rates[1:]):8.0f} chats/s by the clock, {rates[0]:6.0f} in the first round"
        busy = statistics.median(busy for _, busy in spent[1:]) / size * 1e6
        print(f"  {path:14}{rate}, {by_clock:5.2f} × one by one; {busy:6.0f} µs of processor time a chat")
    least, batch = (
        statistics.median(taken[path][place][1] / cores / taken["ours"][place][1] for place in range(1, ROUNDS + 1))
        for path, cores in (("one by one", 1), ("encode_batch", 2))
    )
    print(
        f"  ours is {least:.2f} × one by one (at least {AT_LEAST}), {batch:.2f} × encode_batch alone on two cores (at least {NOT_SLOWER});"
        f" ids {'equal' if same else 'DIFFER'}"
    )
    return same and least >= AT_LEAST and batch >= NOT_SLOWER


def equal(one: Encoded | Unfit, other: Encoded | Unfit) -> bool:
    """Whether two ways came to the same ids and mask, or refused for the same reason."""
    if isinstance(one, Encoded) and isinstance(other, Encoded):
        return one.ids.tobytes() == other.ids.tobytes() and one.trained.tobytes() == other.trained.tobytes()
    return one == other


def peak(corpus: Path | None, number: int) -> tuple[float, float]:
    """Megabytes that a process of its own holds at most while it packs so many chats (without file pages), and seconds."""
    ran = subprocess.run(
        [sys.executable, __file__, *([str(corpus)] if corpus else []), "--pack", str(number)], check=True, capture_output=True, text=True
    )
    held, spent = ran.stdout.split()[-2:]
    return float(held), float(spent)


def pack(corpus: Path | None, number: int) -> None:
    """Pack so many chats and print the most memory held, and seconds."""
    held = 0.0
    found = turns(corpus)

    def watched() -> Iterator[Sample]:
        nonlocal held
        for place, sample in zip(range(number), chats(found, endless=True), strict=False):
            if place % 4096 == 0:
                held = max(held, anonymous())
            yield sample
        held = max(held, anonymous())

    with tempfile.TemporaryDirectory() as folder:
        spent, _ = seconds(lambda: pack_samples(watched(), tokenizer=SHIPPED, max_length=4096, out=Path(folder) / "packed"))
    print(max(held, anonymous()), spent)


def anonymous() -> float:
    """Megabytes of this process that are no pages of files."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1000


def memory(corpus: Path | None, number: int) -> bool:
    """Print memory at two sizes and what it comes to at a million; whether that is below the limit."""
    small, large = number // 4, number
    (before, _), (after, spent) = peak(corpus, small), peak(corpus, large)
    each = (after - before) * 1e6 / (large - small)
    million = after + each * (1_000_000 - large) / 1e6
    print(
        f"memory {after:.0f} MB at {large:,} chats packed in {spent:.0f} s, {before:.0f} MB at {small:,}: {each:.0f} bytes a further chat,"
        f" {million:.0f} MB at 1,000,000 (at most {MEMORY_LIMIT:.0f})"
    )
    return million <= MEMORY_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS if CORPUS.is_file() else None)
    parser.add_argument("--tokenizer", help="a folder or a name on the Hub, in place of the two")
    parser.add_argument("--chat-template", help="chatml, llama3, alpaca or a file, for a tokenizer without a template")
    parser.add_argument("--chats", type=int, default=4000, help="at most so many, fewer where the corpus ends")
    parser.add_argument("--memory", type=int, default=200_000, help="chats to pack for the memory's figure; 0 for none")
    parser.add_argument("--pack", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pack:
        pack(given.corpus, given.pack)
        return 0
    found = turns(given.corpus)
    samples = [sample for _, sample in zip(range(given.chats), chats(found), strict=False)]
    if given.tokenizer:
        kept = measure(given.tokenizer, given.tokenizer, samples, given.chat_template)
    else:
        with tempfile.TemporaryDirectory() as folder:
            kept = measure("shipped tokenizer", str(SHIPPED), samples, None)
            kept &= measure("split of Llama 3", str(trained_tokenizer(found, Path(folder))), samples, None)
    if given.memory:
        kept &= memory(given.corpus, given.memory)
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
