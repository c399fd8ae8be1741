"""The baseline of gates_speed.py: datatrove's four quality filters, timed in an environment of their own.

Run by `gates_speed.py --datatrove-python PATH`. Each line of standard input is a JSON list of texts; the answer is one line, the seconds of
processor time that the filters take for them, one filter after the other.
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
    filters = [getattr(module, name)() for name in FILTERS]
    for line in sys.stdin:
        texts = json.loads(line)
        seconds = 0.0
        for one in filters:
            documents = [document(text=text, id=str(number)) for number, text in enumerate(texts)]
            start = time.process_time()
            for each in documents:
                one.filter(each)
            seconds += time.process_time() - start
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
