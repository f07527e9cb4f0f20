"""Compare names of files and items in whatever Unicode form they are written. Changes no name that is kept."""

import unicodedata


def composed(name: str) -> str:
    """Return the name in NFC: the form in which two spellings of the same characters are equal."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def same_name(first: str, second: str) -> bool:
    """Whether two names are equal apart from their Unicode form: a file system may keep `ü` as `u` and two dots."""
    return first == second or composed(first) == composed(second)
