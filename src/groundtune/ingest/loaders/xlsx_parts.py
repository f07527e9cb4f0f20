"""Read what the sheets of a workbook share: their names, texts and cell formats. Reads no cell and no formula."""

import posixpath
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from lxml import etree

from groundtune.ingest.number_formats import BUILT_IN
from groundtune.ingest.superscripts import subscript, superscript

_RELATION_ID = re.compile(r"\{[^}]*/relationships\}(?:id|embed)")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PLAIN = "General"


@dataclass(frozen=True, slots=True)
class CellFormat:
    """What the style of a cell says about its text."""

    code: str = _PLAIN
    set_off: bool = False
    """Whether its text is bold, or white on a coloured background, as column names often are."""
    struck: bool = False
    white: bool = False
    """Whether its text is white on an empty background."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as shown; `struck` counts the pieces that are struck out and left out."""

    shown: str
    struck: int = 0


@dataclass(frozen=True, slots=True)
class Relation:
    kind: str
    """Last part of its type: `drawing`, `chart`, `table`."""
    path: str


@dataclass(frozen=True, slots=True)
class SheetPart:
    name: str
    path: str
    hidden: bool
    titles: int = 0
    """Rows at the top that are printed on every page."""


@dataclass(frozen=True)
class Workbook:
    """The parts of a workbook beside its sheets. Elements are found by name in any namespace: there are two."""

    archive: zipfile.ZipFile
    names: Mapping[str, str] = field(default_factory=dict)
    """Names in the archive by their lower-case form: some writers mix cases."""

    @classmethod
    def open(cls, archive: zipfile.ZipFile) -> "Workbook":
        return cls(archive, {name.lower().lstrip("/"): name for name in archive.namelist()})

    @cached_property
    def root(self) -> Any:
        return self.tree(self.path)

    @cached_property
    def path(self) -> str:
        return next((one.path for one in self.relations("") if one.kind == "officeDocument"), "xl/workbook.xml")

    @cached_property
    def sheets(self) -> list[SheetPart]:
        targets = self.relations_by_id(self.path)
        titles = self._print_titles()
        found: list[SheetPart] = []
        for index, sheet in enumerate(self.root.iterfind("{*}sheets/{*}sheet")):
            relation = targets.get(relation_id(sheet))
            if relation is not None:
                hidden = sheet.get("state", "visible") != "visible"
                found.append(SheetPart(sheet.get("name", ""), relation.path, hidden, titles.get(index, 0)))
        return found

    @cached_property
    def from_1904(self) -> bool:
        properties = self.root.find("{*}workbookPr")
        return properties is not None and is_on(properties.get("date1904"))

    @cached_property
    def is_computed_on_opening(self) -> bool:
        """Whether programs compute all formulas when they open the file, because its writer did not."""
        properties = self.root.find("{*}calcPr")
        return properties is not None and is_on(properties.get("fullCalcOnLoad"))

    @cached_property
    def formats(self) -> list[CellFormat]:
        """Formats of cells by style number."""
        root = self._shared_tree("styles")
        if root is None:
            return [CellFormat()]
        codes = dict(BUILT_IN)
        for own in root.iterfind("{*}numFmts/{*}numFmt"):
            codes[int(own.get("numFmtId", "-1"))] = own.get("formatCode") or _PLAIN
        fonts = [_font(font) for font in root.iterfind("{*}fonts/{*}font")]
        filled = [_is_filled(fill) for fill in root.iterfind("{*}fills/{*}fill")]
        found: list[CellFormat] = []
        for style in root.iterfind("{*}cellXfs/{*}xf"):
            font, fill = int(style.get("fontId") or 0), int(style.get("fillId") or 0)
            bold, struck, white = fonts[font] if font < len(fonts) else (False, False, False)
            coloured = fill < len(filled) and filled[fill]
            code = codes.get(int(style.get("numFmtId") or 0), _PLAIN)
            found.append(CellFormat(code, bold or (white and coloured), struck, white and not coloured))
        return found or [CellFormat()]

    @cached_property
    def texts(self) -> list[Text]:
        """Shared texts by number."""
        name = self._shared("sharedStrings")
        if name is None:
            return []
        found: list[Text] = []
        with self.archive.open(name) as file:
            for _, element in etree.iterparse(file, tag="{*}si", resolve_entities=False, no_network=True):
                found.append(read_text(element))
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
        return found

    def tree(self, path: str) -> Any:
        """Return the root of an XML part. Raises KeyError if there is none."""
        return etree.fromstring(self.bytes(path), etree.XMLParser(resolve_entities=False, no_network=True))

    def bytes(self, path: str) -> bytes:
        """Return a part. Raises KeyError if there is none."""
        return self.archive.read(self.names[path.lower()])

    def relations(self, path: str) -> list[Relation]:
        return list(self.relations_by_id(path).values())

    def relations_by_id(self, path: str) -> dict[str, Relation]:
        """Return the parts that a part refers to; path: empty for the workbook itself."""
        folder, name = posixpath.split(path)
        try:
            root = self.tree(posixpath.join(folder, "_rels", f"{name}.rels"))
        except KeyError:
            return {}
        return {
            one.get("Id", ""): Relation(
                one.get("Type", "").rsplit("/", 1)[-1],
                posixpath.normpath(posixpath.join("/", folder, unquote(one.get("Target", "")))).lstrip("/"),
            )
            for one in root
            if one.get("TargetMode") != "External"
        }

    def _shared(self, kind: str) -> str | None:
        for one in self.relations(self.path):
            if one.kind == kind:
                return self.names.get(one.path.lower())
        return None

    def _shared_tree(self, kind: str) -> Any:
        name = self._shared(kind)
        return None if name is None else self.tree(name)

    def _print_titles(self) -> dict[int, int]:
        """Return the number of rows printed on every page, if these are the first, by index of the sheet."""
        found: dict[int, int] = {}
        for name in self.root.iterfind("{*}definedNames/{*}definedName"):
            rows = re.search(r"\$1:\$(\d+)$", name.text or "")
            if name.get("name") == "_xlnm.Print_Titles" and rows and (name.get("localSheetId") or "").isdecimal():
                found[int(name.get("localSheetId"))] = int(rows[1])
        return found


def is_on(value: str | None) -> bool:
    return value in ("1", "true", "on")


def relation_id(element: Any) -> str:
    """Return the id of the part that an element refers to."""
    return next((value for key, value in element.attrib.items() if _RELATION_ID.fullmatch(key)), "")


def read_text(element: Any) -> Text:
    """Return the text of a shared or inline string: runs as they look, without the readings above Japanese words."""
    pieces: list[str] = []
    struck = 0
    for child in element:
        name = etree.QName(child).localname if isinstance(child.tag, str) else ""
        if name == "t":
            pieces.append(child.text or "")
        elif name == "r":
            text = "".join(part.text or "" for part in child.iterfind("{*}t"))
            font = child.find("{*}rPr")
            if font is not None and _flag(font, "strike"):
                struck += 1
            else:
                pieces.append(_raised(text, font))
    text = "".join(pieces)
    return Text(_ESCAPED.sub(_character, text) if "_x" in text else text, struck)


def _raised(text: str, font: Any) -> str:
    align = None if font is None else font.find("{*}vertAlign")
    match None if align is None else align.get("val"):
        case "superscript":
            return superscript(text)
        case "subscript":
            return subscript(text)
        case _:
            return text


def _character(match: "re.Match[str]") -> str:
    return chr(int(match[1], 16))


def _font(font: Any) -> tuple[bool, bool, bool]:
    """Return whether a font is bold, struck and white."""
    color = font.find("{*}color")
    white = color is not None and color.get("tint") is None
    white = white and ((color.get("rgb") or "").upper().endswith("FFFFFF") or color.get("theme") == "0")
    return _flag(font, "b"), _flag(font, "strike"), white


def _is_filled(fill: Any) -> bool:
    pattern = fill.find("{*}patternFill")
    return pattern is None or pattern.get("patternType", "none") != "none"


def _flag(font: Any, name: str) -> bool:
    element = font.find(f"{{*}}{name}")
    return element is not None and is_on(element.get("val", "1"))
