"""Parse RTF into headings, paragraphs and rows. Leaves out comments, hidden and deleted text; draws nothing."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundtune.ingest.loaders.document_headings import DocumentHeadings
from groundtune.ingest.loaders.rtf_tables import Row, RtfTable
from groundtune.ingest.loaders.rtf_tokens import CODE_PAGES, SIGNS, Token, tokens
from groundtune.ingest.loaders.symbol_fonts import is_tick, write_symbols
from groundtune.ingest.parsed import ParsedDocument, TextBuilder, clean_line, render_row
from groundtune.ingest.superscripts import subscript, superscript

_HEADERS = {f"{kind}{page}" for kind in ("header", "footer") for page in ("", "l", "r", "f")}
_SKIPPED = {
    "colortbl", "info", "listtable", "listoverridetable", "generator", "themedata", "colorschememapping", "datastore",
    "rsidtbl", "xmlnstbl", "latentstyles", "filetbl", "revtbl", "bkmkstart", "bkmkend", "xe", "tc", "rxe", "txe",
    "objdata", "objclass", "objname", "nonesttables", "pnseclvl", "pn", "sp", "shprslt", "atnid", "atnauthor",
    "atndate", "atnref", "atnicn", "atnparent", "template", "docvar", "pgptbl", "listpicture", "fontemb", "do",
    "wgrffmtfilter", "defchp", "defpap", "blipuid", "picprop", "ftnsep", "ftnsepc", "ftncn", "aftnsep", "aftnsepc",
    "aftncn", "fchars", "lchars", "mmathPr", "nonshppict",
}  # fmt: skip
_KNOWN = {"shpinst", "shptxt", "ud", "shppict", "nesttableprops", "fldinst", "formfield", "ffname", "ffl", "annotation",
          "moveto", "listtext", "pntext", "footnote", "shpgrp", "dptxbxtext", "mmath", "moMath"}  # fmt: skip
"""Destinations behind `\\*` that hold something to read."""
_NUMBER_WORDS = 2
"""Words around a page number, such as "Page 3"; a line with more says something else too."""
_TINY = 2
_SMALLEST_PICTURE = 1_700**2
"""Area from which a picture may hold text to read: three centimetres square, in twips."""
_DEEPEST = 2_000
_LONGEST_NAME = 1_000
"""Characters that are kept of the name of a font or style and of a choice."""


@dataclass(frozen=True, slots=True)
class _State:
    """What a group sets and its end takes back."""

    destination: str = ""
    """Kind of a group whose text is not that of the document; empty within the document."""
    hidden: bool = False
    struck: bool = False
    deleted: bool = False
    tiny: bool = False
    bold: bool = False
    position: str = ""
    font: int | None = None
    style: int | None = None
    level: int | None = None
    """Heading level that the paragraph itself states, from 1."""
    in_table: bool = False
    nesting: int = 0
    skipped_after_unicode: int = 1


@dataclass(frozen=True, slots=True)
class _Style:
    """A style of the style sheet, as far as read; one without number is none of paragraphs."""

    number: int | None = 0
    name: str = ""
    outline: int = 0


@dataclass(slots=True)
class _Sink:
    """Where text goes: the document, a note, a box, a header."""

    paragraph: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    numbered: bool = False
    """Whether a page number stood in the line."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    reader = _RtfReader()
    for token in tokens(data):
        reader.take(token)
    reader.end()
    return [reader.builder.build(title=reader.headings.title)]


class _RtfReader:
    """One pass over the tokens."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.headings = DocumentHeadings(self.builder)
        self._state = _State()
        self._stack: list[_State] = []
        self._sinks = [_Sink()]
        self._opens: list[int] = []
        """For each sink but the first, the depth of the group that opened it."""
        self._starred = False
        self._first = False
        """Whether the next token is the first of its group."""
        self._bytes: list[bytes] = []
        self._encoding = "cp1252"
        self._skip = 0
        self._high = ""
        """The first half of a surrogate pair."""
        self._left_out = ""
        self._default_font = 0
        self._fonts: dict[int, tuple[str, str]] = {}
        """Encoding and name of each font."""
        self._levels: dict[int, int] = {}
        self._style = _Style()
        self._font, self._font_name = 0, ""
        self._table = RtfTable()
        self._nested: list[Row] = []
        self._notes: list[tuple[str, list[str]]] = []
        self._note_count = 0
        self._note_label = ""
        self._boxes: list[str] = []
        self._furniture = set[str]()
        self._pages: int | None = None
        self._form = [0, 25, 0]
        self._choices: list[str] = []
        self._picture = (0, 0)
        """Width and height of the picture that is being read, in twips."""

    # -- groups ------------------------------------------------------------------------------------------------------

    def take(self, token: Token) -> None:
        first, self._first = self._first, False
        if token.kind == "text":
            self._text(token)
            return
        if token.word == "nofpages":
            self._pages = token.number
        if token.kind == "word" and self._skip:
            self._skip -= 1
            return
        self._flush()
        if token.kind == "open":
            if len(self._stack) < _DEEPEST:
                self._stack.append(self._state)
            self._first, self._starred, self._skip = True, False, 0
        elif token.kind == "close":
            self._close()
        elif token.word == "*" and first:
            self._first = self._starred = True
        elif not (first and self._opens_destination(token.word)):
            self._word(token.word, token.number)

    def _opens_destination(self, word: str) -> bool:
        """Enter the destination that a word at the head of a group names; False if it names none."""
        if self._state.destination == "skipped":
            return True
        if word in _SKIPPED or (self._starred and word not in _KNOWN):
            self._enter("skipped")
        elif word in ("fonttbl", "stylesheet", "fldinst", "formfield", "ffl", "ffname"):
            self._enter(word)
        elif word in _HEADERS or word in ("footnote", "shptxt", "dptxbxtext", "listtext", "pntext"):
            self._enter(word)
            self._sinks.append(_Sink())
            self._opens.append(len(self._stack))
            self._state = replace(self._state, in_table=False, nesting=0)
        elif word == "annotation":
            self.builder.note("comment")
            self._enter("skipped")
        elif word in ("pict", "nesttableprops"):
            self._enter(word)
        elif word == "object":
            self.builder.note("embedded_object")
        elif word == "upr":
            self._enter("skipped upr")
        elif word == "ud":
            self._enter("")
        else:
            return False
        return True

    def _enter(self, destination: str) -> None:
        self._state = replace(self._state, destination=destination)

    def _close(self) -> None:
        self._skip = 0
        if self._state.destination == "formfield" and self._stack and self._stack[-1].destination != "formfield":
            self._form_value()
        if self._state.destination == "pict" and self._stack and self._stack[-1].destination != "pict":
            width, height = self._picture
            self._picture = (0, 0)
            if width * height >= _SMALLEST_PICTURE:
                self.builder.note("picture")
        if self._state.destination == "ffl":
            self._choices.append("")
        if self._opens and self._opens[-1] == len(self._stack):
            self._close_sink()
        if self._stack:
            self._state = self._stack.pop()

    def _close_sink(self) -> None:
        self._opens.pop()
        self._end_line()
        sink, kind = self._sinks.pop(), self._state.destination
        lines = [line for line in sink.lines if line.strip()]
        if kind in ("listtext", "pntext"):
            label = "".join(lines).strip()
            if len(label) > 1 or label.isalnum() or is_tick(label):
                self._sinks[-1].paragraph.append(f"{label} ")
        elif kind == "footnote":
            self._notes.append((self._note_label, lines))
            self._note_label = ""
        elif kind in _HEADERS:
            for line in map(clean_line, lines):
                if line not in self._furniture:
                    self._furniture.add(line)
                    self.builder.paragraph(line)
        else:
            self._boxes += lines

    # -- text --------------------------------------------------------------------------------------------------------

    def _text(self, token: Token) -> None:
        if self._state.destination in ("skipped", "pict"):
            return
        data = token.data
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        self._bytes.append(data)

    def _flush(self) -> None:
        if self._bytes:
            font = self._state.font if self._state.font is not None else self._default_font
            encoding, _ = self._fonts.get(font, (self._encoding, ""))
            data, self._bytes = b"".join(self._bytes), []
            self._write(data.decode("latin-1" if encoding == "symbol" else encoding, "replace"))

    def _unicode(self, number: int) -> None:
        char = chr(number & 0xFFFF)
        self._skip = self._state.skipped_after_unicode
        if "\ud800" <= char <= "\udbff":
            self._high = char
            return
        if self._high and "\udc00" <= char <= "\udfff":
            char = (self._high + char).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._high = ""
        self._write(char)

    def _write(self, text: str) -> None:
        state = self._state
        match state.destination:
            case "fonttbl":
                self._font_name = _lengthened(self._font_name, text)
                self._fonts[self._font] = (
                    self._fonts.get(self._font, (self._encoding, ""))[0],
                    self._font_name.split(";")[0].strip(),
                )
                return
            case "stylesheet":
                self._style = replace(self._style, name=_lengthened(self._style.name, text))
                self._end_style()
                return
            case "ffl":
                self._choices = self._choices or [""]
                self._choices[-1] = _lengthened(self._choices[-1], text)
                return
            case "" | "footnote" | "shptxt" | "dptxbxtext" | "listtext" | "pntext":
                pass
            case other if other not in _HEADERS:
                return
        kind = "hidden_text" if state.hidden or state.tiny else "deleted_text" if state.struck or state.deleted else ""
        if kind and text.strip():
            if kind != self._left_out:
                self.builder.note(kind)
            self._left_out = kind
            return
        if text.strip():
            self._left_out = ""
        if state.font in self._fonts:
            text = write_symbols(text, self._fonts[state.font][1])
        if state.position:
            text = superscript(text) if state.position == "superscript" else subscript(text)
        if text.strip() and not state.bold:
            self._table.note_plain_text()
        self._sinks[-1].paragraph.append(text)

    # -- words -------------------------------------------------------------------------------------------------------

    def _word(self, word: str, number: int | None) -> None:
        destination = self._state.destination
        if destination.startswith("skipped"):
            return
        if word == "u" and number is not None:
            self._unicode(number)
        elif word in SIGNS:
            self._write(SIGNS[word])
        elif destination == "fonttbl":
            self._font_word(word, number)
        elif destination == "stylesheet":
            self._style_word(word, number)
        elif destination == "pict":
            width, height = self._picture
            self._picture = (
                number or 0 if word == "picwgoal" else width,
                number or 0 if word == "pichgoal" else height,
            )
        elif destination == "nesttableprops":
            if word == "nestrow":
                self._end_nested_row()
        elif destination == "formfield":
            self._form_word(word, number)
        elif word in _CHARACTER_WORDS:
            self._state = _CHARACTER_WORDS[word](self._state, number)
        elif not (self._paragraph_word(word, number) or self._document_word(word, number)):
            self._table.define(word, number)

    def _paragraph_word(self, word: str, number: int | None) -> bool:
        match word:
            case "pard":
                self._state = replace(self._state, style=None, level=None, in_table=False, nesting=0)
            case "s":
                self._state = replace(self._state, style=number)
            case "outlinelevel":
                self._state = replace(self._state, level=(number or 0) + 1 if (number or 0) < 9 else None)
            case "intbl":
                self._state = replace(self._state, in_table=True)
            case "itap":
                self._state = replace(self._state, nesting=number or 0, in_table=bool(number))
            case "par" | "sect":
                self._end_line()
            case "cell":
                self._end_cell()
            case "row":
                self._table.end_row()
            case "nestcell":
                self._nested = self._nested or [Row()]
                self._nested[-1].texts.append(self._taken())
            case "nestrow":
                self._end_nested_row()
            case _:
                return False
        return True

    def _document_word(self, word: str, number: int | None) -> bool:
        match word:
            case "ansicpg":
                self._encoding = _known(f"cp{number}") or self._encoding
            case "mac":
                self._encoding = "mac_roman"
            case "pc":
                self._encoding = "cp437"
            case "deff":
                self._default_font = number if number is not None else 0
            case "uc":
                self._state = replace(self._state, skipped_after_unicode=max(0, number if number is not None else 1))
            case "chftn":
                if self._state.destination != "footnote":
                    self._note_count += 1
                    self._note_label = f"[{self._note_count}] "
                    self._sinks[-1].paragraph.append(superscript(f"[{self._note_count}]"))
            case "chpgn" | "sectnum":
                self._sinks[-1].numbered = True
            case "trowd":
                self._table.new_definition()
            case _:
                return False
        return True

    # -- paragraphs and tables -----------------------------------------------------------------------------------------

    def _taken(self) -> str:
        """Return the text since the last paragraph, cell or line."""
        sink = self._sinks[-1]
        text = "".join(sink.paragraph)
        sink.paragraph = []
        self._left_out = ""
        return text

    def _end_line(self) -> None:
        """End a paragraph of the document, or a line of a cell, note, box or header."""
        numbered, self._sinks[-1].numbered = self._sinks[-1].numbered, False
        text = self._taken()
        if len(self._sinks) > 1:
            is_number = numbered and len(text.split()) <= _NUMBER_WORDS and not any(map(str.isdigit, text))
            self._sinks[-1].lines += [] if is_number else [text]
        elif self._state.in_table:
            self._sinks[-1].lines.append(text)
        else:
            self._end_table()
            self._paragraph(text)
            self._add_anchored()

    def _paragraph(self, text: str) -> None:
        level = self._state.level
        if level is None and self._state.style is not None:
            level = self._levels.get(self._state.style)
        if not text.strip():
            return
        if level is None:
            self.builder.paragraph(text)
            return
        self.headings.add(level, text)

    def _add_anchored(self) -> None:
        """Add the notes and boxes that the paragraph or the table before anchors."""
        for label, lines in self._notes:
            for index, line in enumerate(lines):
                self.builder.paragraph(label + line.strip() if index == 0 else line)
        for line in self._boxes:
            self.builder.paragraph(line)
        self._notes, self._boxes = [], []

    def _end_cell(self) -> None:
        text = self._taken()
        sink = self._sinks[-1]
        if len(self._sinks) > 1:
            sink.lines.append(text)
            return
        lines, sink.lines = [*sink.lines, text], []
        self._table.add_cell(clean_line("\n".join(lines)))

    def _end_nested_row(self) -> None:
        """End a row of a table within a cell, which becomes a line of the cell."""
        if self._nested:
            self._sinks[-1].lines.append(render_row(self._nested.pop().texts))

    def _end_table(self) -> None:
        if self._table.rows:
            self._table.add_to(self.builder)
            self._table = RtfTable()
            self._add_anchored()

    def end(self) -> None:
        """End the document."""
        self._flush()
        while len(self._sinks) > 1:
            self._close_sink()
        self._state = replace(self._state, in_table=False)
        self._end_line()
        if self._furniture and (self._pages or 2) > 1:
            self.builder.note("page_furniture", count=len(self._furniture))

    # -- fonts, styles, forms ------------------------------------------------------------------------------------------

    def _font_word(self, word: str, number: int | None) -> None:
        if word == "f" and number is not None:
            self._font, self._font_name = number, ""
        elif word == "fcharset" and number is not None:
            self._fonts[self._font] = CODE_PAGES.get(number, self._encoding), ""

    def _style_word(self, word: str, number: int | None) -> None:
        if word == "s" and number is not None:
            self._style = _Style(number)
        elif word == "outlinelevel" and number is not None and number < 9:
            self._style = replace(self._style, outline=number + 1)
        elif word in ("cs", "ts", "ds"):
            self._style = _Style(None)

    def _end_style(self) -> None:
        style, self._style = self._style, replace(self._style, name="") if ";" in self._style.name else self._style
        name = style.name.strip().lower()
        if not name.endswith(";") or style.number is None:
            return
        name = name.rstrip(";")
        if name == "title":
            self._levels[style.number] = 0
        elif name.startswith("heading ") and name[8:].isdecimal():
            self._levels[style.number] = int(name[8:])
        elif style.outline:
            self._levels[style.number] = style.outline
        self._style = _Style()

    def _form_word(self, word: str, number: int | None) -> None:
        names = {"fftype": 0, "ffres": 1, "ffdefres": 2}
        if word in names and number is not None:
            self._form[names[word]] = number

    def _form_value(self) -> None:
        """Write what a check box or a list shows."""
        kind, result, default = self._form
        chosen = default if result == 25 else result
        self._enter("")
        if kind == 1:
            self._write("☒" if chosen else "☐")
        elif kind == 2 and chosen < len(self._choices):
            self._write(self._choices[chosen])
        self._form, self._choices = [0, 25, 0], []


def _lengthened(name: str, text: str) -> str:
    return (name + text)[:_LONGEST_NAME]


def _known(encoding: str) -> str | None:
    try:
        return codecs.lookup("utf-8" if encoding == "cp65001" else encoding).name
    except LookupError:
        return None


def _raise(position: str) -> Callable[[_State, int | None], _State]:
    return lambda state, number: replace(state, position="" if number == 0 else position)


_CHARACTER_WORDS: dict[str, Callable[[_State, int | None], _State]] = {
    "v": lambda state, number: replace(state, hidden=number != 0),
    "strike": lambda state, number: replace(state, struck=number != 0),
    "striked": lambda state, number: replace(state, struck=number != 0),
    "deleted": lambda state, number: replace(state, deleted=number != 0),
    "super": _raise("superscript"),
    "up": _raise("superscript"),
    "sub": _raise("subscript"),
    "dn": _raise("subscript"),
    "nosupersub": lambda state, _: replace(state, position=""),
    "b": lambda state, number: replace(state, bold=number != 0),
    "fs": lambda state, number: replace(state, tiny=number is not None and number <= _TINY),
    "f": lambda state, number: replace(state, font=number),
    "plain": lambda state, _: replace(
        state, hidden=False, struck=False, deleted=False, tiny=False, bold=False, position="", font=None
    ),
}
"""Words that change how the following text is seen."""
