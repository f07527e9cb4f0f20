"""What the readers of Office files share: how their parts are opened, and how they fail. Never reads text."""

import zipfile
from typing import Any

from lxml import etree

DAMAGED = (
    ArithmeticError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What reading a damaged part raises. The rest of the file is still read, and a note says so."""
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def read_xml(data: bytes) -> Any:
    """Return the root element of a part; nothing outside of it is read."""
    return etree.fromstring(data, _PARSER)
