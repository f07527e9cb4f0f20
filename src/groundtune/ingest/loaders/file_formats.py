"""Recognise the format of a file by its first bytes, and say what to do if its extension differs. Never parses."""

import io
import re
import zipfile

from groundtune.errors import ParseError
from groundtune.ingest.parsers import LEGACY, SCANS

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"{\\rtf", "RTF"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\x00", "an XZ archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "an executable"),
)
_BY_SUFFIX = {
    ".pdf": "a PDF",
    ".docx": "a DOCX",
    ".pptx": "a PPTX",
    ".xlsx": "an XLSX",
    ".xlsm": "an XLSX",
    ".epub": "an EPUB",
    ".odt": "an ODT",
    ".odp": "an ODP",
    ".ods": "an ODS",
    ".rtf": "RTF",
    ".html": "HTML",
    ".htm": "HTML",
    ".xhtml": "HTML",
    ".msg": "an Outlook message",
}
_OPEN_DOCUMENTS = {"text": "an ODT", "presentation": "an ODP", "spreadsheet": "an ODS"}
_SAVE_AS = {
    ".doc": "save as .docx",
    ".dot": "save as .docx",
    ".pages": "export as .docx",
    ".ppt": "save as .pptx",
    ".pps": "save as .pptx",
    ".pot": "save as .pptx",
    ".key": "export as .pptx",
    ".xls": "save as .xlsx",
    ".xlt": "save as .xlsx",
    ".xlsb": "save as .xlsx",
    ".numbers": "export as .xlsx",
    ".mobi": "convert to .epub",
    ".azw3": "convert to .epub",
    ".djvu": "convert to a PDF with a text layer",
    ".xps": "convert to .pdf",
    ".tex": "save as .pdf or .txt",
    ".parquet": "save as .jsonl or .csv",
}
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
_IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".svg"}
_HTML = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL)
_ENCRYPTED_OLE = "EncryptedPackage".encode("utf-16-le")
_MESSAGE_OLE = "__properties_version1.0".encode("utf-16-le")
_MAX_UNPACKED = 1 << 30
_MAX_RATIO = 200
_RATIO_FROM = 64 << 20


def unsupported_reason(suffix: str) -> str:
    """Return why files with this extension are not supported, and what to save them as."""
    if suffix in _ARCHIVES:
        return f"{suffix} archives are not supported; unpack the archive"
    if suffix in SCANS:
        return f"{suffix} images are read by OCR; pip install 'groundtune[ocr]' and set documents.ocr = true"
    if suffix in _IMAGES:
        return f"{suffix} images are not supported; run OCR and save as a PDF with a text layer"
    if suffix in LEGACY:
        return f"{suffix} files are read by LibreOffice, which is not installed; install it, or {_SAVE_AS[suffix]}"
    name = f"{suffix} files" if suffix else "files without an extension"
    return f"{name} are not supported; {_SAVE_AS.get(suffix, 'save as .pdf, .docx, .html, .md or .txt')}"


def detect_format(data: bytes) -> str | None:
    """Return the format of the bytes, with its article; None for anything that may be text."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return _zip_kind(data) if kind == "ZIP" else _ole_kind(data) if kind == "OLE" else kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP image"
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    if head.lstrip().startswith(b"%PDF-") or (b"%PDF-" in head and b"\x00" in data[:4096]):
        return "a PDF"
    return "HTML" if _HTML.match(head) else None


def check_format(suffix: str, data: bytes) -> None:
    """Raise ParseError if the content does not match the extension, is encrypted or is a decompression bomb."""
    expected = _BY_SUFFIX.get(suffix)
    actual = detect_format(data)
    if actual == "encrypted":
        raise ParseError("is encrypted; save it without a password")
    if actual == expected or (expected == "HTML" and actual is None):
        if data.startswith(b"PK"):
            _check_bomb(data)
        return
    if actual is not None:
        raise ParseError(f"is {actual}, but its extension is {suffix}; {_hint(actual)}")
    if expected == "a PDF" and b"%PDF-" in data[:1024]:
        return
    if expected is not None:
        raise ParseError(f"is not {expected}, although its extension is {suffix}; save it again")


def _hint(actual: str) -> str:
    if actual in {*_BY_SUFFIX.values()}:
        return "rename it"
    if "image" in actual:
        return "run OCR and save as a PDF with a text layer"
    if "archive" in actual:
        return "unpack it"
    return "save it in the format of its extension"


def _zip_kind(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            mime_type = archive.read("mimetype")[:100] if "mimetype" in names else b""
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        raise ParseError("is a damaged ZIP (truncated or corrupt); save it again") from None
    for prefix, kind in (("word/", "a DOCX"), ("ppt/", "a PPTX"), ("xl/", "an XLSX")):
        if "[Content_Types].xml" in names and any(name.startswith(prefix) for name in names):
            return kind
    if "META-INF/container.xml" in names:
        return "an EPUB"
    if mime_type.startswith(b"application/vnd.oasis.opendocument.") and "content.xml" in names:
        return _OPEN_DOCUMENTS.get(mime_type.rpartition(b".")[2].decode("ascii", "replace"), "an OpenDocument file")
    return "a ZIP archive"


def _ole_kind(data: bytes) -> str:
    if _MESSAGE_OLE in data:
        return "an Outlook message"
    return "encrypted" if _ENCRYPTED_OLE in data else "a pre-2007 Office file"


def _check_bomb(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > _MAX_UNPACKED:
        raise ParseError(f"unpacks to {unpacked >> 20:,} MiB (limit {_MAX_UNPACKED >> 20:,} MiB); split it")
    if unpacked > _RATIO_FROM and unpacked > _MAX_RATIO * len(data):
        raise ParseError(f"unpacks to {unpacked // len(data):,} times its size, which suggests a decompression bomb")
