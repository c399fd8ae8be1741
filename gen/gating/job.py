"""One gating under way: what it reads, whom it asks, where it writes, what it has counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gen.gating.chain import Assessed, Findings, in_order
from gen.gating.inputs import Item, Source, items_of
from gen.gating.journal import Journal
from gen.gating.outputs import GateCounts, accepted_row, rejected_row, unreadable_row, warned_row
from gen.pipeline import NamedGate
from gen.records import Reading, Record, Unreadable


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: the phase (`gating`, `choosing`, `writing`), the counts so far, how many rows the phase has seen, and its share
    of all, where that is known."""

    phase: str
    counts: GateCounts
    rows: int
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """`processes` is None for as many as are worth it."""

    sources: Sequence[Source]
    gates: Sequence[NamedGate]
    reading: Reading
    processes: int | None
    journal: Journal
    counts: GateCounts
    progress: Callable[[Progress], None]

    def items(self) -> Iterator[Item]:
        """Every row of every source, with its labels where a gate looks at them."""
        return items_of(self.sources, self.reading, labelled=any(getattr(one.gate, "reads_fields", False) for one in self.gates))

    @property
    def named(self) -> bool:
        """Whether each row tells its source, since there are several."""
        return len(self.sources) > 1

    def write(self, item: Item, record: Record, one: Assessed, late: Findings) -> bool:
        """Write and count a row, of which the gates without memory found `one` and those with a memory `late`; whether it is accepted."""
        failed, warned = in_order(one.failures, late[0]), in_order(one.warnings, late[1])
        if failed:
            written = rejected_row(item, record, failed, self.counts, named=self.named)
        else:
            written = accepted_row(item, record, one.replaced, one.other, self.counts, named=self.named)
        self.journal.append(*written)
        if warned:
            self.journal.append(*warned_row(item, record, warned, self.counts))
        return not failed

    def write_unreadable(self, item: Item, record: Unreadable) -> None:
        """Write and count a row that holds no sample."""
        self.journal.append(*unreadable_row(item, record, self.counts, named=self.named))

    def tell(self, phase: str, fraction: float | None, rows: int | None = None) -> None:
        """Show how far it is."""
        self.progress(Progress(phase, self.counts, self.counts.records if rows is None else rows, fraction))
