"""Put text and counts into the form in which people read them. Pure functions."""


def one_line(text: str, *, most: int = 300) -> str:
    """Return the text on one line, at most `most` characters; an ellipsis ends one that was longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def storable(text: str) -> str:
    """Return a text that can be encoded: arguments and JSON may hold lone surrogates, which no encoding has."""
    return text.encode("utf-8", "replace").decode()


def format_count(number: int, noun: str = "row", plural: str = "") -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def format_bytes(number: int) -> str:
    """Return a size as people say it: `850 bytes`, `98 MB`, `4.2 GB` (powers of 1,000)."""
    if number < 1_000_000:
        return f"{number:,} bytes"
    return f"{number / 1e6:,.0f} MB" if number < 1e9 else f"{number / 1e9:,.1f} GB"
