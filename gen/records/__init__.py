"""Datasets of any usual shape as records: each row becomes a conversation, a pair or a text, or is named as unreadable with its reason."""

from __future__ import annotations

from gen.containers.rows import Unreadable
from gen.records.layouts import messages_of
from gen.records.reading import AUTOMATIC, Reading, Record, read_records, reading_of, says_simulated

__all__ = ["AUTOMATIC", "Reading", "Record", "Unreadable", "messages_of", "read_records", "reading_of", "says_simulated"]
