"""Mail is read as a mail program shows it, in all its parts."""

import email
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument


def texts(parsed: ParsedDocument) -> list[str]:
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def notes(parsed: ParsedDocument) -> dict[str, tuple[str, ...]]:
    return {note.kind: note.places for note in parsed.notes}


def read(tmp_path: Path, message: EmailMessage | MIMEMultipart) -> ParsedDocument:
    if not message["Subject"]:
        message["Subject"] = "Frame"
    (tmp_path / "a.eml").write_bytes(bytes(message))
    (parsed,) = load(tmp_path / "a.eml")
    return parsed


def mixed(*parts: EmailMessage | MIMEText | MIMEImage | MIMEMessage, kind: str = "mixed") -> MIMEMultipart:
    message = MIMEMultipart(kind)
    for part in parts:
        message.attach(part)
    return message


def picture(name: str = "a.png") -> MIMEImage:
    made = MIMEImage(bytes.fromhex("89504e470d0a1a0a"), "png")
    made.add_header("Content-Disposition", "inline", filename=name)
    return made


def test_texts_around_a_picture_are_read_in_order(tmp_path: Path) -> None:
    parsed = read(tmp_path, mixed(MIMEText("See:"), picture(), MIMEText("<p>It broke.</p>", "html")))
    assert texts(parsed) == ["See:", "It broke.", "Attachments: a.png"]
    assert notes(parsed) == {"picture": ("a.png",)}


def test_of_alternatives_the_richest_is_read(tmp_path: Path) -> None:
    calendar = MIMEText("BEGIN:VCALENDAR", "calendar")
    rich = mixed(MIMEText("<p>One</p>", "html"), picture(), MIMEText("<p>Two</p>", "html"))
    parsed = read(tmp_path, mixed(MIMEText("One"), rich, calendar, kind="alternative"))
    assert texts(parsed) == ["One", "Two", "Attachments: a.png"]


def test_pictures_of_a_page_are_not_attachments(tmp_path: Path) -> None:
    page = MIMEText("<p>Logo <img src='cid:1' alt='of Wren'></p>", "html")
    parsed = read(tmp_path, mixed(page, picture(), kind="related"))
    assert texts(parsed) == ["Logo of Wren"]
    assert notes(parsed) == {}


def test_a_forwarded_message_is_read_within_the_other(tmp_path: Path) -> None:
    inner = mixed(MIMEText("The frame broke."))
    inner["Subject"], inner["From"] = "Broken", "a@example.org"
    parsed = read(tmp_path, mixed(MIMEText("Please look."), MIMEMessage(inner), MIMEText("Regards")))
    assert texts(parsed) == ["Please look.", "From: a@example.org", "The frame broke.", "Regards"]
    assert [block.heading for block in parsed.blocks][1:] == [("Frame", "Broken"), ("Frame", "Broken"), ("Frame",)]


def test_attachments_are_named_and_noted(tmp_path: Path) -> None:
    message = EmailMessage()
    message.set_content("See the lease.")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="lease.pdf")
    message.add_attachment("secret", filename="notes.txt")
    message.add_attachment(b"x", maintype="application", subtype="pgp-signature", filename="signature.asc")
    parsed = read(tmp_path, message)
    assert texts(parsed) == ["See the lease.", "Attachments: lease.pdf, notes.txt"]
    assert notes(parsed) == {"attachment": ("lease.pdf", "notes.txt")}


def test_encrypted_mail_is_noted(tmp_path: Path) -> None:
    part = EmailMessage()
    part.set_content(b"x", maintype="application", subtype="octet-stream")
    parsed = read(tmp_path, mixed(part, kind="encrypted"))
    assert texts(parsed) == ["Frame"]
    assert notes(parsed) == {"unreadable_part": ("encrypted text",)}


def test_flowed_lines_are_joined(tmp_path: Path) -> None:
    text = "A bike can be \nsent back.\n\n> quoted \n> text\n"
    message = email.message_from_string(f"Subject: x\nContent-Type: text/plain; format=flowed\n\n{text}")
    (tmp_path / "a.eml").write_bytes(bytes(message))
    (parsed,) = load(tmp_path / "a.eml")
    assert texts(parsed)[0] == "A bike can be sent back."


def test_every_message_of_a_mailbox_is_a_document(tmp_path: Path) -> None:
    messages = []
    for number, name in enumerate(("<a@x>", "<a@x>", "")):
        message = EmailMessage()
        message["Subject"] = f"Message {number}"
        if name:
            message["Message-ID"] = name
        message.set_content("Text\n\n>From here on\n")
        messages.append(b"From a@x Mon Jun  2 09:00:00 2025\n" + bytes(message))
    messages.append(b"From a@x Mon Jun  2 09:00:00 2025\n\nnothing\n")
    (tmp_path / "a.mbox").write_bytes(b"\n".join(messages))
    parsed = load(tmp_path / "a.mbox")
    assert [(one.row_id, one.title) for one in parsed] == [
        ("a@x", "Message 0"),
        ("a@x~2", "Message 1"),
        ("3", "Message 2"),
    ]
    assert texts(parsed[0]) == ["Text", "From here on"]
    assert notes(parsed[0]) == {"unreadable_part": ("message 4",)}


def test_what_is_no_mailbox_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(b"Dear all,\n")
    with pytest.raises(ParseError, match="is not a mailbox"):
        load(tmp_path / "a.mbox")
    (tmp_path / "a.msg").write_bytes(b"Dear all,\n")
    with pytest.raises(ParseError, match="is not an Outlook message"):
        load(tmp_path / "a.msg")
