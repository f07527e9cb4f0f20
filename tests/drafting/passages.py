"""Passages for the tests of drafting, cut from a text by its blank lines."""

from groundtune.types import Passage


def passage(text: str, *, source: str = "docs/a.md", heading: str = "", start: int = 0, ordinal: int = 0) -> Passage:
    return Passage(f"{source}:{ordinal}", source, source, ordinal, start, start + len(text), text, heading)


FARES = passage(
    "Zone: Inner ring; Fare: £2.40; Kept for: 90 minutes\n\nZone: Coast line; Fare: £6.10; Kept for: 1 day\n\n"
    "Zone: Night bus; Fare: £3.00; Kept for: one ride; no change",
    source="docs/fares.md",
    heading="Fares > Single tickets",
    start=40,
)
LOST = passage(
    "Lost things are kept for six weeks at Harbour Street. A key costs £4 to collect.",
    source="docs/lost.md",
    heading="Lost property > Collecting things",
    start=12,
)
