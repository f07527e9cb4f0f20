"""Parse an email into its subject, its text as a mail program shows it, and the names of its attachments.

Never opens an attachment; a forwarded message is read with the message around it.
"""

import email
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.loaders import text
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

HEADERS = ("From", "To", "Cc", "Date")
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_ENCRYPTED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"))
_MOST_FORWARDED = 20
"""Messages within one another that are read."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    return [read_message(email.message_from_bytes(data, policy=default))]


def read_message(message: EmailMessage, *, row: str | None = None) -> ParsedDocument:
    """Return a message as a document. Raises ParseError if it is none."""
    if not any(message[name] for name in (*HEADERS, "Subject", "Received", "Message-ID")):
        raise ParseError("is not an email: it has no From, To, Date or Subject")
    builder = TextBuilder()
    subject = _header(message, "Subject")
    if subject:
        builder.heading(1, subject)
    _Reader(builder).read(message)
    metadata = {name.lower(): value for name in HEADERS if (value := _header(message, name))}
    return builder.build(title=subject, row=row, metadata=metadata)


class _Reader:
    """Adds the parts of a message in the order in which they are shown."""

    def __init__(self, builder: TextBuilder, depth: int = 0) -> None:
        self._builder = builder
        self._depth = depth
        self._attached: list[str] = []

    def read(self, message: EmailMessage) -> None:
        self._part(message)
        if self._attached:
            self._builder.paragraph(f"Attachments: {', '.join(self._attached)}")

    def _part(self, part: EmailMessage) -> None:
        kind = part.get_content_type()
        if kind == "message/rfc822":
            self._forwarded(part)
        elif kind == "multipart/alternative":
            if shown := _shown_alternative(part):
                self._part(shown)
        elif kind == "multipart/related":
            parts = list(_parts(part))
            for inner in parts[:1]:
                self._part(inner)
            for inner in parts[1:]:
                self._beside(inner)
        elif kind == "multipart/encrypted" or kind in _ENCRYPTED:
            self._builder.note("unreadable_part", place="encrypted text")
        elif part.is_multipart():
            for inner in _parts(part):
                self._part(inner)
        elif kind in ("text/plain", "text/html") and not part.get_filename() and not part.is_attachment():
            self._text(part)
        elif kind not in _SIGNATURES:
            self._attachment(part)

    def _beside(self, part: EmailMessage) -> None:
        """Add a part that the text refers to; pictures in the text are noted where they stand."""
        if part.is_attachment() or (part.get_content_maintype() not in ("image", "text") and part.get_filename()):
            self._attachment(part)

    def _attachment(self, part: EmailMessage) -> None:
        name = part.get_filename() or part.get_content_type()
        self._attached.append(name)
        self._builder.note("picture" if part.get_content_maintype() == "image" else "attachment", place=name)

    def _forwarded(self, part: EmailMessage) -> None:
        inner = next(_parts(part), None)
        if inner is None or self._depth == _MOST_FORWARDED:
            self._builder.note("unreadable_part", place="forwarded message")
            return
        headers = [f"{name}: {value}" for name in HEADERS if (value := _header(inner, name))]
        self._builder.open_section(_header(inner, "Subject") or "Forwarded message")
        self._builder.paragraph("\n".join(headers))
        _Reader(self._builder, self._depth + 1).read(inner)
        self._builder.close_section()

    def _text(self, part: EmailMessage) -> None:
        payload = part.get_payload(decode=True)
        content = text.decode(payload, declared=part.get_content_charset()) if isinstance(payload, bytes) else ""
        if part.get_content_subtype() == "html":
            from groundtune.ingest.loaders import html

            html.add_blocks(self._builder, content)
        else:
            text.add_blocks(self._builder, _joined(content) if part.get_param("format") == "flowed" else content)


def _shown_alternative(part: EmailMessage) -> EmailMessage | None:
    """Return the last alternative that a mail program can show: the richest."""
    shown = [
        inner
        for inner in _parts(part)
        if inner.is_multipart() or inner.get_content_type() in ("text/plain", "text/html")
    ]
    return shown[-1] if shown else None


def _parts(part: EmailMessage) -> Iterator[EmailMessage]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (inner for inner in payload if isinstance(inner, EmailMessage))


def _joined(content: str) -> str:
    """Return text of the format `flowed` with its paragraphs in one line each; a line that ends in a space goes on."""
    lines: list[str] = []
    goes_on = False
    for line in content.split("\n"):
        if goes_on and not line.startswith(">"):
            lines[-1] += line.removeprefix(" ")
        else:
            lines.append(line)
        goes_on = line.endswith(" ") and line != "-- "
    return "\n".join(lines)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header in one line; empty if it is missing, or damaged beyond reading."""
    try:
        return " ".join(str(message[name] or "").split())
    except (ValueError, IndexError, TypeError, AttributeError):  # the parser of addresses raises on damaged ones
        return ""
