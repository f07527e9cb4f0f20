"""Write a document as mail: an HTML body with a plain alternative, and an attachment that is named."""

from email.message import EmailMessage
from pathlib import Path

from benchmarks.oracles.structures import Document, Field
from benchmarks.oracles.writers import html


def write(document: Document, path: Path) -> Document:
    """Write what an HTML page of the document has, without form fields."""
    kept = html.write(document, path)
    blocks = tuple(block for block in kept.blocks if not isinstance(block, Field))
    kept = Document(kept.title, blocks, header=document.title)
    message = EmailMessage()
    message["Subject"] = document.title
    message["From"] = "Vera <vera@example.com>"
    message["To"] = "Otto <otto@example.com>"
    message["Date"] = "Mon, 3 Mar 2025 10:00:00 +0000"
    page = html.page(kept)
    message.set_content("This message is written in HTML.")
    message.add_alternative(page, subtype="html")
    path.write_bytes(bytes(message))
    return kept
