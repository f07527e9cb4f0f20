"""Parse OpenDocument slides as pages: the title as a heading, then text, tables, charts, notes. Reads no pictures."""

from pathlib import Path
from typing import Any

from groundtune.ingest.loaders.odf_names import DRAW, OFFICE, PRESENTATION, STYLE, Package
from groundtune.ingest.loaders.odf_text import OdfReader
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line

_DECLARATIONS = ("header", "footer", "date-time")


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    package = Package(data)
    builder = TextBuilder()
    deck = package.content.find(f"{OFFICE}body/{OFFICE}presentation")
    walk = _DeckWalk(builder, package, deck)
    for number, page in enumerate(deck.iterchildren(f"{DRAW}page") if deck is not None else (), 1):
        walk.slide(page, number)
    return [builder.build(title=walk.title)]


class _DeckWalk:
    """One pass over the slides; `title` is the first slide title."""

    def __init__(self, builder: TextBuilder, package: Package, deck: Any) -> None:
        self.title: str | None = None
        self._builder = builder
        self._reader = OdfReader(builder, package, package.content)
        self._masters = {}
        if package.styles is not None:
            self._master_reader = OdfReader(TextBuilder(), package, package.styles, skip_page_numbers=True)
            self._masters = {e.get(f"{STYLE}name"): e for e in package.styles.iter(f"{STYLE}master-page")}
        self._declared = {
            (kind, e.get(f"{PRESENTATION}name")): clean_line("".join(e.itertext()))
            for kind in _DECLARATIONS
            for e in (deck.iterchildren(f"{PRESENTATION}{kind}-decl") if deck is not None else ())
        }
        self._furniture = set[str]()
        """Footers and texts of masters that were added: each stands in the text once."""

    def slide(self, page: Any, number: int) -> None:
        self._builder.page()
        style = page.get(f"{DRAW}style-name")
        attribute = f"{PRESENTATION}visibility"
        if self._reader.styles.stated("drawing-page", style, attribute, "drawing-page-properties") == "hidden":
            self._builder.note("hidden_slide", page=number)
            return
        self._reader.page = number
        self._reader.pictures_here = self._reader.pictures_noted = 0
        shapes = [shape for shape in page if not _is_empty_prompt(shape)]
        titled = next((shape for shape in shapes if shape.get(f"{PRESENTATION}class") == "title"), None)
        box = titled.find(f"{DRAW}text-box") if titled is not None else None
        title = clean_line("\n".join(self._reader.lines(box))) if box is not None else ""
        self.title = self.title or title or None
        before = self._builder.length
        self._builder.heading(1, title)
        for shape in shapes:
            if shape is not titled and isinstance(shape.tag, str) and shape.tag.startswith(DRAW):
                self._reader.shape(shape)
        self._shared(page, number)
        reader = self._reader
        if self._builder.length == before and reader.pictures_here and not reader.pictures_noted:
            self._builder.note("picture", page=number)
        for frame in page.iterfind(f"{PRESENTATION}notes/{DRAW}frame"):
            box = frame.find(f"{DRAW}text-box")
            is_text = frame.get(f"{PRESENTATION}class") == "notes" and not _is_empty_prompt(frame)
            if is_text and box is not None and (text := "\n".join(self._reader.lines(box))):
                self._builder.paragraph(f"Notes: {text}")

    def _shared(self, page: Any, number: int) -> None:
        """Add footer and master texts of the slide where they are met first."""
        texts = [self._declared.get((kind, page.get(f"{PRESENTATION}use-{kind}-name")), "") for kind in _DECLARATIONS]
        master = self._masters.get(page.get(f"{DRAW}master-page-name"))
        for shape in master if master is not None else ():
            if shape.get(f"{PRESENTATION}class") is None and isinstance(shape.tag, str) and shape.tag.startswith(DRAW):
                box = shape.find(f"{DRAW}text-box")
                texts += self._master_reader.lines(box if box is not None else shape)
        for text in filter(None, map(clean_line, texts)):
            if text in self._furniture:
                self._builder.note("page_furniture", page=number)
            else:
                self._furniture.add(text)
                self._builder.paragraph(text)


def _is_empty_prompt(shape: Any) -> bool:
    """Whether the shape only asks for a text, as layouts do; slides do not show it."""
    return bool(shape.get(f"{PRESENTATION}placeholder") == "true")
