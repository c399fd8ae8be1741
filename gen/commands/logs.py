"""What the library logs, on stderr: `SLUICE_LOG` names the level, warnings when it is not set. Neither prompts nor keys are logged."""

from __future__ import annotations

import logging
import sys

from gen.errors import InputError

LEVELS = ("debug", "info", "warning", "error")


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment: the live view puts its own in place."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"sluice: {record.levelname.lower()}: {self.format(record)}", file=sys.stderr, flush=True)


def set_up(level: str) -> None:
    """Log from `level` on; an empty one is `warning`. Raises InputError for another word."""
    name = level.strip().lower() or "warning"
    if name not in LEVELS:
        raise InputError(f"SLUICE_LOG is '{level[:40]}': choose from {', '.join(LEVELS)}")
    logger = logging.getLogger("gen")
    for earlier in [one for one in logger.handlers if isinstance(one, _Stderr)]:
        logger.removeHandler(earlier)
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s" if name == "debug" else "%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(name.upper())
