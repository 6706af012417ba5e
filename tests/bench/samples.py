"""Rows and reports for the tests."""

from dataclasses import replace

from experiments.bench.document import Document
from experiments.bench.rows import Row

MACHINE = {"system": "Linux x86_64", "processors": 2, "device": "cpu"}


def row(ratio: float = 1.0, low: float | None = None, high: float | None = None, **changes: object) -> Row:
    """A row with the interval [0.95, 1.05] times its ratio."""
    first = Row(
        case="four-layers",
        measure="RAMDA step / AdamW foreach",
        device="cpu",
        threads=1,
        ratio=ratio,
        low=0.95 * ratio if low is None else low,
        high=1.05 * ratio if high is None else high,
        better="smaller",
        goal="at most 1.5",
        holds=ratio <= 1.5,
    )
    return replace(first, **changes)


def document(*rows: Row, **changes: object) -> Document:
    return replace(Document(dict(MACHINE), {"python": "3"}, False, list(rows), []), **changes)
