"""Name the elements of OpenDocument files, and open their parts. Never reads text."""

import io
import zipfile
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders.office_parts import read_xml

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
CHART = f"{{{_OASIS}chart:1.0}}"
DRAW = f"{{{_OASIS}drawing:1.0}}"
FO = f"{{{_OASIS}xsl-fo-compatible:1.0}}"
FORM = f"{{{_OASIS}form:1.0}}"
OFFICE = f"{{{_OASIS}office:1.0}}"
PRESENTATION = f"{{{_OASIS}presentation:1.0}}"
STYLE = f"{{{_OASIS}style:1.0}}"
SVG = f"{{{_OASIS}svg-compatible:1.0}}"
TABLE = f"{{{_OASIS}table:1.0}}"
TEXT = f"{{{_OASIS}text:1.0}}"
LOEXT = "{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"
XLINK = "{http://www.w3.org/1999/xlink}"
XML = "{http://www.w3.org/XML/1998/namespace}"


class Package:
    """The parts of one file. Raises ParseError if it is encrypted or has no content."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._names = set(self._archive.namelist())
        manifest = self.part("META-INF/manifest.xml")
        if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
            raise ParseError("is encrypted; save it without a password")
        content = self.part("content.xml")
        if content is None:
            raise ParseError("is a damaged OpenDocument file (no content.xml); save it again")
        self.content = content
        self.styles = self.part("styles.xml")

    def part(self, name: str) -> Any:
        """Return the root element of a part; None if there is none."""
        return read_xml(self._archive.read(name)) if name in self._names else None


def whole(text: str | None, default: int) -> int:
    """Return a number of the file; the default if it states none."""
    return int(text) if text is not None and text.isdecimal() else default
