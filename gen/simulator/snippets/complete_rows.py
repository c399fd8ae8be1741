# task: reads a CSV file and skips rows with missing values
# note: the csv module takes care of quotes and commas inside a value
import csv
from pathlib import Path


def complete_rows(path: Path) -> list[dict[str, str]]:
    """The rows in which every column has a value."""
    with path.open(newline="", encoding="utf-8") as source:
        return [row for row in csv.DictReader(source) if all(row.values())]
