"""Split RTF into groups, control words and text. Never interprets them.

Source: Microsoft, Rich Text Format Specification 1.9.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,40})(-?\d{1,10})?[ ]?|\\'([0-9A-Fa-f]{2})|\\(.)|([{}])|[\r\n\x00]+|([^\\{}\r\n\x00]+)", re.DOTALL
)
_LONGEST_BINARY = 1 << 31


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of RTF. word: a control word, or a control symbol such as `~`; number: its parameter, None without."""

    kind: Literal["open", "close", "word", "text"]
    word: str = ""
    number: int | None = None
    data: bytes = b""
    escaped: bool = False
    """Whether the text is one byte in hexadecimal digits."""


OPEN, CLOSE = Token("open"), Token("close")


def tokens(data: bytes) -> Iterator[Token]:
    """Yield the pieces in order. Bytes of pictures and objects that stand as such are skipped."""
    place = 0
    while match := _TOKEN.match(data, place):
        place = match.end()
        word, number, escaped, symbol, brace, text = match.groups()
        if text is not None:
            yield Token("text", data=text)
        elif word is not None:
            value = int(number) if number is not None else None
            if word == b"bin" and value is not None:
                place += min(max(value, 0), _LONGEST_BINARY)
            yield Token("word", word.decode("ascii"), value)
        elif escaped is not None:
            yield Token("text", data=bytes([int(escaped, 16)]), escaped=True)
        elif brace is not None:
            yield OPEN if brace == b"{" else CLOSE
        elif symbol is not None:
            yield Token("word", {b"\r": "par", b"\n": "par"}.get(symbol) or symbol.decode("latin-1"))


CODE_PAGES = {
    0: "cp1252", 2: "symbol", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250", 255: "cp437",
}  # fmt: skip
"""Encodings by the character set of a font."""
SIGNS = {
    "~": "\u00a0", "_": "-", "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "bullet": "•", "enspace": " ", "emspace": " ", "qmspace": " ", "\\": "\\",
    "{": "{", "}": "}", "column": "\n", "page": "\n",
}  # fmt: skip
"""Control words that stand for a character."""
