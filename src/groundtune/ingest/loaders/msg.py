"""Turn a message of Outlook (.msg) into an email, which is read like any other. Never opens an attachment."""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.headerregistry import HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.parser import HeaderParser
from email.policy import EmailPolicy, default
from email.utils import format_datetime
from pathlib import Path

import olefile

from groundtune.ingest.loaders.eml import read_message
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument

_SUBJECT, _BODY, _HTML, _RICH_TEXT, _HEADERS = "0037", "1000", "1013", "1009", "007D"
_SENDER, _SENDER_ADDRESSES, _TO, _CC = "0C1A", ("5D01", "0C1F"), "0E04", "0E03"
_FILE_NAMES, _CONTENT_ID, _MEDIA_TYPE = ("3707", "3704", "3001"), "3712", "370E"
_SENT, _RECEIVED, _CODE_PAGE, _WEB_CODE_PAGE = 0x0039, 0x0E06, 0x3FFD, 0x3FDE
_UNICODE, _BYTES, _OLD_TEXT = "001F", "0102", "001E"
_PROPERTIES = "__properties_version1.0"
_ATTACHED, _ATTACHED_MESSAGE = "__attach_version1.0_", "__substg1.0_3701000D"
_LENGTHS_OF_HEADS = (32, 24)
"""Bytes before the values in the stream of properties: of the message itself, and of an attached message."""
_START_OF_TIME = datetime(1601, 1, 1, tzinfo=UTC)
_UTF_8 = 65001
_MOST_FORWARDED = 20


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    with olefile.OleFileIO(data) as file:
        return [read_message(_Message(file, []).as_email())]


class _Message:
    """A message, or one that is attached to another, in its folder of the file."""

    def __init__(self, file: olefile.OleFileIO, folder: list[str]) -> None:
        self._file = file
        self._folder = folder
        self._values = _fixed_values(self._bytes([*folder, _PROPERTIES])[_LENGTHS_OF_HEADS[bool(folder)] :])

    def as_email(self, depth: int = 0) -> EmailMessage:
        message = EmailMessage(policy=_policy())
        headers = HeaderParser(policy=default).parsestr(self._text(_HEADERS))
        stated = {
            "Subject": self._text(_SUBJECT),
            "From": _person(self._text(_SENDER), map(self._text, _SENDER_ADDRESSES)),
            "To": self._text(_TO),
            "Cc": self._text(_CC),
            "Date": str(headers["Date"] or "") or self._date(),
            "Message-ID": str(headers["Message-ID"] or "") or "<unknown>",
        }
        for name, value in stated.items():
            if line := " ".join(value.split()):
                message[name] = line
        page = self._page()
        self._add_text(message, page)
        for entry in self._entries(_ATTACHED):
            self._attach(message, [*self._folder, entry], page, depth)
        return message

    def _add_text(self, message: EmailMessage, page: str) -> None:
        text = self._text(_BODY)
        if text:
            message.set_content(text)
        if page and text:
            message.add_alternative(page, subtype="html")
        elif page:
            message.set_content(page, subtype="html")
        elif not text and self._file.exists([*self._folder, f"__substg1.0_{_RICH_TEXT}{_BYTES}"]):
            message.add_attachment(b"", "text", "rtf", filename="text in RTF")

    def _attach(self, message: EmailMessage, folder: list[str], page: str, depth: int) -> None:
        if self._file.exists([*folder, _ATTACHED_MESSAGE]) and depth < _MOST_FORWARDED:
            message.add_attachment(_Message(self._file, [*folder, _ATTACHED_MESSAGE]).as_email(depth + 1))
            return
        content_id = self._text(_CONTENT_ID, folder).strip("<>")
        if content_id and f"cid:{content_id}" in page:
            return  # a picture in the text, which is noted there
        name = next(filter(None, (self._text(name, folder) for name in _FILE_NAMES)), "attachment")
        main, _, sub = self._text(_MEDIA_TYPE, folder).partition("/")
        message.add_attachment(b"", main or "application", sub or "octet-stream", filename=" ".join(name.split()))

    def _page(self) -> str:
        """Return the text in HTML; empty if there is none."""
        if as_text := self._text(_HTML):
            return as_text
        data = self._bytes([*self._folder, f"__substg1.0_{_HTML}{_BYTES}"])
        return decode(data, declared=_charset(self._values.get(_WEB_CODE_PAGE))) if data else ""

    def _text(self, name: str, folder: list[str] | None = None) -> str:
        stream = [*(self._folder if folder is None else folder), f"__substg1.0_{name}"]
        if data := self._bytes([*stream[:-1], stream[-1] + _UNICODE]):
            return data.decode("utf-16-le", errors="replace").rstrip("\0")
        data = self._bytes([*stream[:-1], stream[-1] + _OLD_TEXT])
        return decode(data.rstrip(b"\0"), declared=_charset(self._values.get(_CODE_PAGE))) if data else ""

    def _bytes(self, stream: list[str]) -> bytes:
        if not self._file.exists(stream):
            return b""
        with self._file.openstream(stream) as file:
            data: bytes = file.read()
            return data

    def _entries(self, prefix: str) -> list[str]:
        """Return the folders within this one whose name begins so, in their order."""
        depth = len(self._folder)
        folders = (entry for entry in self._file.listdir(streams=False, storages=True) if len(entry) == depth + 1)
        return sorted(entry[-1] for entry in folders if entry[:depth] == self._folder and entry[-1].startswith(prefix))

    def _date(self) -> str:
        ticks = self._values.get(_SENT) or self._values.get(_RECEIVED)
        try:
            return format_datetime(_START_OF_TIME + timedelta(microseconds=ticks // 10)) if ticks else ""
        except OverflowError:
            return ""


def _fixed_values(data: bytes) -> dict[int, int]:
    """Return the values of fixed length by property: numbers and times."""
    values = {}
    for place in range(0, len(data) - 15, 16):
        _, name, _, value = struct.unpack_from("<HHIQ", data, place)
        values[name] = value
    return values


def _charset(code_page: int | None) -> str | None:
    if code_page is None:
        return None
    number = code_page & 0xFFFFFFFF
    return "utf-8" if number == _UTF_8 else f"cp{number}"


def _person(name: str, addresses: Iterable[str]) -> str:
    address = next((one for one in addresses if "@" in one), "")
    return f"{name} <{address}>" if name and address and name != address else name or address


def _policy() -> "EmailPolicy[EmailMessage]":
    """Return a policy that leaves names as they are written, such as `Lee, Ann`."""
    registry = HeaderRegistry()
    for name in ("from", "to", "cc"):
        registry.map_to_type(name, UniqueUnstructuredHeader)  # type: ignore[arg-type]  # as its docs say
    return default.clone(header_factory=registry)
