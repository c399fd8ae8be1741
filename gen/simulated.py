"""Whether data came from the simulator: as its records say, or as the ledger of the run says whose folder they lie in.

Training files in a trainer's format have no room for a mark of their own, so the run's ledger is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gen.ledger import Ledger


def says_simulated(fields: Mapping[str, Any]) -> bool:
    """Whether a record says that the simulator wrote it.

    >>> says_simulated({"simulated": True}), says_simulated({"provenance": {"simulated": True}}), says_simulated({"simulated": "no"})
    (True, True, False)
    """
    provenance = fields.get("provenance")
    return fields.get("simulated") is True or (isinstance(provenance, Mapping) and provenance.get("simulated") is True)


def of_simulated_run(path: Path) -> bool:
    """Whether the path is a run's folder, or a file in it or one folder below, and the simulator wrote some of the run's replies.

    Raises StorageError when the ledger is damaged.
    """
    for folder in (path, path.parent, path.parent.parent):
        if (folder / "run.db").is_file():
            with closing(Ledger(folder / "run.db")) as ledger:
                return any(call.simulated for call in ledger.calls())
    return False
