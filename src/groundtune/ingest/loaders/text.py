"""Decode bytes in any encoding, and split plain text into paragraphs. Never replaces a character it can decode."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.languages.segmentation import is_prose, unwrap, unwrap_unspaced

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes([*range(9), *range(14, 27)])
_SAMPLE = 32_768
_PARAGRAPH_END = re.compile(r"\n[ \t\f\v\r]*\n\s*|\f\s*")
_UNDERLINE = re.compile(r"([=\-~^\"*+#`'.:_])\1{2,}")
_LIST_ITEM = re.compile(r"\s*([-*+•‣·–—]|\(?\w{1,3}[.)])\s+\S")
_MAX_WRAPPED = 200
"""Maximum number of lines in a paragraph of prose."""
_MAX_RUN = 2_000
"""Characters after which lines that are not prose (logs, listings) start a new paragraph."""


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Return the text of a file with `\\n` as line ends. Raises ParseError for binary content."""
    text = _decode(data, declared)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decode(data: bytes, declared: str | None) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return data.decode(encoding, errors="replace")
    wide = _utf16_without_bom(data)
    if wide is not None:
        return data.decode(wide, errors="replace")
    if _is_binary(data):
        raise ParseError("is binary, not text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _decode_legacy(data, error.start, declared)


def _decode_legacy(data: bytes, first_bad: int, declared: str | None) -> str:
    start = max(0, data.rfind(b"\n", 0, first_bad) + 1)
    sample = data[:_SAMPLE] if first_bad < _SAMPLE else data[start : start + _SAMPLE]
    if data.count(b"\n") and len(_broken_utf8(sample)) * 50 < sum(byte > 127 for byte in sample):
        return data.decode("utf-8", errors="replace")  # UTF-8 with a few damaged characters
    for encoding in filter(None, (declared, _detected(sample))):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _broken_utf8(sample: bytes) -> list[str]:
    return re.findall("\ufffd+", sample.decode("utf-8", errors="replace"))


def _detected(sample: bytes) -> str | None:
    """Return the most likely encoding; prefer cp1252 when it is about as likely."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, steps=5, chunk_size=1024, preemptive_behaviour=False)
    best = matches.best()
    if best is None:
        return None
    for match in matches:
        as_likely = match.chaos <= best.chaos + 0.02 and match.coherence >= best.coherence - 0.02
        if as_likely and "cp1252" in match.could_be_from_charset:
            return "cp1252"
    return best.encoding


def _utf16_without_bom(data: bytes) -> str | None:
    """Detect UTF-16 without a BOM: NULs on one side of each byte pair and hardly any on the other."""
    head = data[:4096]
    if len(head) < 4 or len(data) % 2:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    pairs = len(head) // 2
    if odd > 0.4 * pairs and even < 0.02 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.02 * pairs:
        return "utf-16-be"
    return None


def _is_binary(data: bytes) -> bool:
    """Return whether the head is full of control characters; a few stray NULs are treated as damage, not as binary
    content.
    """
    head = data[:8192]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > max(8, 0.02 * len(head))


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    text = decode(data)
    del data
    builder = TextBuilder()
    title = add_blocks(builder, text, headings="=-")
    del text
    return [builder.build(title=title)]


def add_blocks(builder: TextBuilder, text: str, *, headings: str = "") -> str | None:
    """Add paragraphs of plain text. Lines underlined with one of `headings` are headings; return the first top one."""
    levels: dict[str, int] = {}
    title: str | None = None
    for part in _paragraphs(text):
        lines = part.split("\n")
        if headings and len(lines) > 1:
            if _UNDERLINE.fullmatch(lines[0].strip()) and len(lines) > 2 and lines[2].strip() == lines[0].strip():
                lines = lines[1:]
            mark = _underline(lines, headings)
            if mark:
                level = levels.setdefault(mark, len(levels) + 1)
                builder.heading(level, lines[0])
                title = title or (lines[0] if level == 1 else None)
                lines = lines[2:]
        for run in _runs(lines):
            builder.paragraph(run)
    return title


def _paragraphs(text: str) -> Iterator[str]:
    start = 0
    for gap in _PARAGRAPH_END.finditer(text):
        yield text[start : gap.start()]
        start = gap.end()
    yield text[start:]


def _underline(lines: list[str], marks: str) -> str | None:
    name, line = lines[0].strip(), lines[1].strip()
    match = _UNDERLINE.fullmatch(line)
    if not match or line[0] not in marks or not name or len(name) > 120 or _UNDERLINE.fullmatch(name):
        return None
    return line[0] if len(line) >= 0.6 * len(name) else None


def _runs(lines: list[str]) -> Iterator[str]:
    """Yield one run for wrapped prose, one per list item, otherwise the lines as they are in bounded runs."""
    if len(lines) == 1:
        yield lines[0]
        return
    if len(lines) <= _MAX_WRAPPED and is_wrapped(lines):
        yield unwrap("\n".join(lines))
        return
    run: list[str] = []
    length = 0
    for line in lines:
        if run and (length > _MAX_RUN or _LIST_ITEM.match(line)):
            yield _joined(run)
            run, length = [], 0
        run.append(line)
        length += len(line)
    if run:
        yield _joined(run)


def _joined(lines: list[str]) -> str:
    text = "\n".join(lines)
    if is_wrapped(lines):
        return unwrap(text)
    return unwrap_unspaced(text) if is_prose(text) else text


def is_wrapped(lines: list[str]) -> bool:
    """Return whether lines are prose wrapped at a margin.

    All but the last are about as long as the longest, and many start in lower case.
    """
    body = [len(line.rstrip()) for line in lines[:-1]]
    widest = max(body, default=0)
    if not 40 <= widest <= 120 or len(lines[-1].rstrip()) > widest + 8:
        return False
    if any(_LIST_ITEM.match(line) for line in lines[1:]):
        return False
    if sum(line.lstrip()[:1].islower() for line in lines[1:]) < 0.25 * (len(lines) - 1):
        return False  # records of equal length, such as a log
    words = sum(line.count(" ") for line in lines)
    return min(body) >= 0.7 * widest - 6 and words * 12 > sum(map(len, lines))
