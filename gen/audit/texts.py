"""The texts behind a few findings, for a person to read: fetched by a second look at the files, secrets and personal data blotted out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gen import plugins
from gen.audit.measures import Audit
from gen.audit.targets import Place
from gen.records import Record, read_records
from gen.turns import part
from gen.types import Sample

CONTRADICTIONS_SHOWN, LEAKS_SHOWN, MEMBERS_SHOWN = 20, 10, 5


@dataclass(frozen=True, slots=True)
class Said:
    """A record's last question and answer."""

    prompt: str
    reply: str


def texts_behind(audit: Audit) -> Mapping[Place, Said]:
    """What the records say that the page and the terminal quote. Reads each file once more, up to the last line needed."""
    contradictions = audit.contradictions.named[:CONTRADICTIONS_SHOWN]
    leaks = audit.duplicates.leaks[:LEAKS_SHOWN]
    wanted = {place for one in contradictions for place in (one.first, one.second)}
    wanted |= {place for leak in leaks for place in (leak.held, leak.learnt)}
    wanted |= {place for family in audit.duplicates.largest for place in family.places[:MEMBERS_SHOWN]}
    return dict(_read(audit, wanted))


def _read(audit: Audit, wanted: set[Place]) -> Iterable[tuple[Place, Said]]:
    blotters = [plugins.build("gates", name, {"action": "redact"}) for name in ("secrets", "pii")]
    for number, target in enumerate(audit.targets):
        lines = {place.line for place in wanted if place.target == number}
        if not lines:
            continue
        last = max(lines)
        for record in read_records(target.path, target.reading):
            if isinstance(record, Record) and record.line in lines:
                sample = record.sample
                for gate in blotters:
                    sample = gate.check(sample).replacement or sample
                yield Place(number, record.line), _said(sample)
            if record.line >= last:
                break


def _said(sample: Sample) -> Said:
    return Said(part(sample, "instruction"), sample.last("assistant"))
