"""report.html: the figures of a run on one page that opens from disk, survives e-mail and prints.

One file without a script: the page forbids scripts itself (`default-src 'none'`), every text is escaped, and a figure is SVG with its
numbers in a table below it. The pictures come from `gen.plots`, the numbers from `gen.figures`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gen.exporters.report.page import page
from gen.exporters.report.reading import reading
from gen.exporters.report.sections import sections
from gen.exporters.report.top import header, tiles, warnings
from gen.exporters.report.work import work
from gen.figures.whole import Figures
from gen.record import RunRecord


@dataclass(frozen=True)
class Report:
    """The page."""

    takes: ClassVar[str] = "run"
    file: ClassVar[str] = "report.html"

    def text(self, record: RunRecord, figures: Figures) -> str:
        top = header(record, figures) + tiles(record, figures) + warnings(record, figures)
        return page(record.name, top, [*sections(figures), *work(record, figures), *reading(figures)])


PLUGIN = Report
