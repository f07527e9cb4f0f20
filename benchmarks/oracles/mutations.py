"""Damage files as transfers, programs and attackers do: bytes, parts of archives, markup. Never reads or writes one."""

import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence

_NUMBERS = ("0", "-1", "1", "2147483648", "99999999999999999999", "1e309", "NaN", "", "１")
_TEXTS = (
    "\x00",
    "\ud7ff",
    "&#0;",
    "]]>",
    "<![CDATA[",
    "\u202e",
    "A" * 5000,
    "\ufeff",
    "=1+1",
    '"',
    "'",
    "\\",
    "%s",
    "\t" * 50,
)
_NUMBER = re.compile(rb"-?\d+")
_ELEMENT = re.compile(rb"<([\w:]+)(?:\s[^<>]*)?>")
_DEEPEST = 3000
_LARGEST = 2_000_000
"""Bytes of a mutated part; a repetition stops there."""


def mutate(data: bytes, others: Sequence[bytes], choices: random.Random) -> bytes:
    """Return a damaged copy. others: files from which pieces may be taken over."""
    if data[:2] == b"PK" and choices.random() < 0.8:
        return _mutate_archive(data, others, choices)
    for _ in range(choices.choice((1, 1, 1, 2, 5))):
        data = choices.choice(_BYTES if choices.random() < 0.5 else _MARKUP)(data, choices)
    if choices.random() < 0.1:
        data = _splice(data, choices.choice(others), choices)
    return data


def _mutate_archive(data: bytes, others: Sequence[bytes], choices: random.Random) -> bytes:
    """Damage one to three parts of an archive, and write the archive again around them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return mutate(data[2:], others, choices)
    names = sorted(parts)
    for _ in range(choices.choice((1, 1, 2, 3))):
        name = choices.choice(names)
        match choices.randrange(10):
            case 0:
                parts.pop(name, None)
            case 1:
                parts[name] = parts.get(choices.choice(names), b"")
            case 2:
                parts[name] = b""
            case _:
                parts[name] = choices.choice(_BYTES if choices.random() < 0.2 else _MARKUP)(
                    parts.get(name, b""), choices
                )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return target.getvalue()


def _splice(data: bytes, other: bytes, choices: random.Random) -> bytes:
    start, length = choices.randrange(len(other) + 1), choices.randrange(1, 2000)
    at = choices.randrange(len(data) + 1)
    return data[:at] + other[start : start + length] + data[at:]


# --- bytes ---------------------------------------------------------------------------------------------------------


def _flip(data: bytes, choices: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(choices.choice((1, 3, 30)) if changed else 0):
        changed[choices.randrange(len(changed))] = choices.randrange(256)
    return bytes(changed)


def _cut(data: bytes, choices: random.Random) -> bytes:
    return data[: choices.randrange(len(data) + 1)]


def _remove(data: bytes, choices: random.Random) -> bytes:
    start, end = _slice(data, choices)
    return data[:start] + data[end:]


def _repeat(data: bytes, choices: random.Random) -> bytes:
    start, end = _slice(data, choices)
    piece = data[start:end]
    times = min(choices.choice((1, 2, 50, 5000)), max(1, _LARGEST // max(1, len(piece))))
    return data[:end] + piece * times + data[end:]


def _slice(data: bytes, choices: random.Random) -> tuple[int, int]:
    start = choices.randrange(len(data) + 1)
    return start, min(len(data), start + choices.choice((1, 20, 400, 10_000)))


# --- markup, numbers, text -----------------------------------------------------------------------------------------


def _change_number(data: bytes, choices: random.Random) -> bytes:
    return _replace_one(_NUMBER, data, choices.choice(_NUMBERS).encode(), choices)


def _insert_text(data: bytes, choices: random.Random) -> bytes:
    at = choices.randrange(len(data) + 1)
    return data[:at] + choices.choice(_TEXTS).encode("utf-8", "surrogatepass") + data[at:]


def _nest(data: bytes, choices: random.Random) -> bytes:
    """Repeat an element's begin or the whole pair around itself, so that it is nested deeply."""
    elements = list(_ELEMENT.finditer(data))
    if not elements:
        return _repeat(data, choices)
    element = choices.choice(elements)
    times = choices.choice((2, 50, _DEEPEST))
    closing = b"</" + element[1] + b">" if choices.random() < 0.7 else b""
    return data[: element.start()] + element[0] * times + closing * (times - 1) + data[element.end() :]


def _remove_element(data: bytes, choices: random.Random) -> bytes:
    return _replace_one(_ELEMENT, data, b"", choices)


def _swap_elements(data: bytes, choices: random.Random) -> bytes:
    elements = list(_ELEMENT.finditer(data))
    if len(elements) < 2:
        return _flip(data, choices)
    first, second = sorted(choices.sample(elements, 2), key=lambda each: each.start())
    between = data[first.end() : second.start()]
    return data[: first.start()] + second[0] + between + first[0] + data[second.end() :]


def _replace_one(pattern: re.Pattern[bytes], data: bytes, new: bytes, choices: random.Random) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return _flip(data, choices)
    match = choices.choice(found)
    return data[: match.start()] + new + data[match.end() :]


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _cut, _remove, _repeat)
_MARKUP = (_change_number, _insert_text, _nest, _remove_element, _swap_elements)
