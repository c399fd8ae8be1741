"""Whether data came from the simulator, as the ledger of the run says whose folder it lies in.

Records say it themselves (`gen.records`), but not all: the package of a course has no room for a mark, and a folder may be older than it.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gen.ledger import Ledger, read_only


def of_simulated_run(path: Path) -> bool:
    """Whether the path is a run's folder, or a file in it or one folder below, and the simulator wrote some of the run's replies.

    Raises StorageError when the ledger is damaged.
    """
    for folder in (path, path.parent, path.parent.parent):
        if (folder / "run.db").is_file():
            with closing(Ledger(folder / "run.db", read_only=read_only(folder))) as ledger:
                return any(call.simulated for call in ledger.calls())
    return False
