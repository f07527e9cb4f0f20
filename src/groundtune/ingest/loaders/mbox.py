"""Parse a mailbox (mbox): every message is a document. A message that cannot be read does not stop the others."""

import email
import re
from dataclasses import replace
from email.policy import default
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.loaders.eml import read_message
from groundtune.ingest.loaders.table_rows import unique_id
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_POSTMARK = re.compile(rb"(?:\A|(?<=\n))From [^\n]*\d\d:\d\d[^\n]*\n")
_QUOTED_POSTMARK = re.compile(rb"^>(>*From )", re.MULTILINE)


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    marks = list(_POSTMARK.finditer(data))
    if not marks or marks[0].start():
        raise ParseError("is not a mailbox: it does not begin with a line 'From …'")
    ends = [mark.start() for mark in marks[1:]] + [len(data)]
    messages: list[ParsedDocument] = []
    taken: dict[str, int] = {}
    unread = TextBuilder()
    for number, (mark, end) in enumerate(zip(marks, ends, strict=True), 1):
        message = email.message_from_bytes(_QUOTED_POSTMARK.sub(rb"\1", data[mark.end() : end]), policy=default)
        identifier = str(message.get("Message-ID") or "").strip().strip("<>")
        try:
            messages.append(read_message(message, row=unique_id(identifier or str(number), taken)))
        except ParseError:
            unread.note("unreadable_part", place=f"message {number}")
    if not messages:
        raise ParseError("is not a mailbox: none of its messages is an email")
    notes = unread.build().notes
    return [replace(messages[0], notes=(*messages[0].notes, *notes)), *messages[1:]] if notes else messages
