"""Define the note of the ledger: what of a file is not in its text. Without numpy, for the workers that read files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """What of a file is not in its text, or was guessed; `ingest/note_kinds.toml` says in words what a kind means."""

    kind: str
    """Such as `no_text_layer`; a package's loader may add its own kinds."""
    count: int = 1
    """How many there are: pages, pictures, cells, as the kind says."""
    pages: tuple[int, ...] = ()
    """Page or slide numbers, from 1, in order."""
    places: tuple[str, ...] = ()
    """Other places in words, such as `sheet Rates`; the first few when there are many."""
