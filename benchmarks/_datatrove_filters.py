"""The baseline of gates_speed.py: datatrove's four quality filters, timed in an environment of their own.

Run by `gates_speed.py --datatrove-python PATH` with texts as JSON Lines on standard input; prints one JSON object of samples a second of
processor time by filter, `all` for the four one after the other.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

FILTERS = ("GopherRepetitionFilter", "GopherQualityFilter", "C4QualityFilter", "FineWebQualityFilter")


def main() -> None:
    document = importlib.import_module("datatrove.data").Document
    module: Any = importlib.import_module("datatrove.pipeline.filters")
    filters = {name: getattr(module, name)() for name in FILTERS}
    texts = [json.loads(line) for line in sys.stdin]
    for one in filters.values():  # the tokenizer is loaded here, not in the measurement
        one.filter(document(text=texts[0], id="0"))
    found, total = {}, 0.0
    for name, one in filters.items():
        documents = [document(text=text, id=str(number)) for number, text in enumerate(texts)]
        start = time.process_time()
        for each in documents:
            one.filter(each)
        seconds = time.process_time() - start
        total += seconds
        found[name] = len(texts) / seconds
    print(json.dumps({**found, "all": len(texts) / total}))


if __name__ == "__main__":
    main()
