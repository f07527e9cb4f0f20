"""The page that a mail program would show of a message, as libraries that groundtune does not use take it apart."""

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mailparser
import oxmsg


def page_of(path: Path) -> str:
    """Return the page of an `.eml` file by mail-parser, or of an `.msg` file by python-oxmsg."""
    if path.suffix.lower() == ".msg":
        message: Any = oxmsg.Message.load(str(path))
        bodies = [message.html_body] if message.html_body else [_preformatted(message.body or "")]
        return _page(message.subject, bodies, (each.file_name for each in message.attachments))
    parsed = mailparser.parse_from_bytes(path.read_bytes())
    bodies = parsed.text_html or [_preformatted(text) for text in parsed.text_plain]
    return _page(parsed.subject, bodies, (each["filename"] for each in parsed.attachments))


def _page(subject: str | None, bodies: Iterable[str], attachments: Iterable[str | None]) -> str:
    """Return subject, texts and names of attachments; a mail program shows by an icon that these are attachments.

    Sender, recipients and date are metadata of a document, not text.
    """
    names = [html.escape(name) for name in attachments if name]
    lines = [f"<h1>{html.escape(subject or '')}</h1>", *bodies]
    lines += [f"<p>Attachments: {', '.join(names)}</p>"] if names else []
    return "<meta charset=utf-8>" + "\n".join(lines)


def _preformatted(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"
