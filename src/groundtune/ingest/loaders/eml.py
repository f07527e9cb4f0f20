"""Parse an email into its subject, text and attachment names. Never opens an attachment."""

import email
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.loaders import text
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_HEADERS = ("From", "To", "Cc", "Date")


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    message = email.message_from_bytes(data, policy=default)
    if not any(message[name] for name in (*_HEADERS, "Subject", "Received", "Message-ID")):
        raise ParseError("is not an email: it has no From, To, Date or Subject")
    builder = TextBuilder()
    subject = str(message["Subject"] or "").strip() or None
    if subject:
        builder.heading(1, subject)
    body = message.get_body(preferencelist=("plain", "html"))
    if isinstance(body, EmailMessage):
        _body(builder, body)
    names = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    if names:
        builder.paragraph(f"Attachments: {', '.join(names)}")
    metadata = {name.lower(): " ".join(str(message[name]).split()) for name in _HEADERS if message[name]}
    return [builder.build(title=subject, metadata=metadata)]


def _body(builder: TextBuilder, body: EmailMessage) -> None:
    payload = body.get_payload(decode=True)
    content = text.decode(payload, declared=body.get_content_charset()) if isinstance(payload, bytes) else ""
    if body.get_content_subtype() == "html":
        from groundtune.ingest.loaders import html

        html.add_blocks(builder, content)
    else:
        text.add_blocks(builder, content)
