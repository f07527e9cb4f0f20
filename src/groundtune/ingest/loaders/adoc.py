"""Read AsciiDoc as it is rendered: by way of HTML. Reads the structure, not every macro; never reads another file."""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from groundtune.ingest.loaders import html
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:[ \t]+(.*))?")
_HEADING = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+\1)?")
_FENCE = re.compile(r"(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|--|`{3,})[ \t]*(\w*)")
_ITEM = re.compile(r"[ \t]*(\*{1,5}|-|\.{1,5}|\d+\.|[a-zA-Z]\.|<\d+>|<\.>)[ \t]+(\S.*)")
_TERM = re.compile(r"[ \t]*(\S.*?)(:{2,4}|;;)(?:[ \t]+(.*))?")
_BOX = re.compile(r"(NOTE|TIP|IMPORTANT|WARNING|CAUTION):[ \t]+(.*)")
_STYLE = re.compile(r"\[([^\]]*)\]")
_TITLE = re.compile(r"\.([^\s.].*)")
_INCLUDE = re.compile(r"include::([^\[]+)\[.*\]")
_CONDITION = re.compile(r"(?:ifdef|ifndef|ifeval|endif)::.*")
_IMAGE = re.compile(r"image::?([^\[\s]+)\[([^\]]*)\]")
_EMBEDDED = re.compile(r"(?:video|audio)::\S+\[.*\]")
_UNSHOWN = re.compile(r"\[\[.*\]\]|toc::\[\]|<<<|'''|page_break::\[\]|//(?!/).*")
_TABLE = re.compile(r"([|,:!])={3,}[ \t]*")
_CELL = re.compile(r"(?:(\d+)?(?:\.(\d+))?([+*])?(?:[<^>.]*[adehlmsv]?))\|")
_CODE_FENCES = "-.`+"

_INLINE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), written)
    for pattern, written in (
        (r"\[(?:\.|role=)?(?:line-through|strike)\]#(.+?)#", r"<del>\1</del>"),
        (r"(?:footnote|footnoteref):(?:[\w-]*)\[(.+?)\]", r" (\1)"),
        (r"(?:link|mailto|xref):[^\[\s]*\[([^\]]*)\]", r"\1"),
        (r"(?:https?|ftp|irc)://[^\s\[\]<>]+\[([^\]]+?)(?:,[^\]]*)?\]", r"\1"),
        (r"&lt;&lt;[^,&]+,\s*(.+?)&gt;&gt;", r"\1"),
        (r"&lt;&lt;([^&]+?)&gt;&gt;", r"\1"),
        (r"(?:kbd|btn|icon|pass|stem|latexmath|asciimath):[\w-]*\[([^\]]*)\]", r"\1"),
        (r"menu:([^\[]+)\[([^\]]*)\]", r"\1 &gt; \2"),
        (r"\[\[[\w:.-]+\]\]|(?:indexterm|anchor):[\w-]*\[[^\]]*\]|\(\(\([^)]*\)\)\)", ""),
        (r"\(\(([^()]+)\)\)", r"\1"),
        (r"(?:\[[^\]]*\])?##(.+?)##", r"\1"),
        (r"(?:\[[^\]]*\])?(?<!\w)#(\S|\S.*?\S)#(?!\w)", r"\1"),
        (r"\*\*(.+?)\*\*", r"\1"),
        (r"(?<![\w*])\*(\S|\S.*?\S)\*(?![\w*])", r"\1"),
        (r"__(.+?)__", r"\1"),
        (r"(?<![\w_])_(\S|\S.*?\S)_(?![\w_])", r"\1"),
        (r"``(.+?)``", r"\1"),
        (r"(?<![\w`])`(\S|\S.*?\S)`(?![\w`])", r"\1"),
        (r"\^(\S+?)\^", r"<sup>\1</sup>"),
        (r"~(\S+?)~", r"<sub>\1</sub>"),
        (r"\+{1,3}(\S|\S.*?\S)\+{1,3}", r"\1"),
        (r"[ \t]\+\n", "<br>"),
    )
)


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    title = html.add_blocks(builder, "".join(_Reader(builder, decode(data).split("\n")).blocks()))
    return [builder.build(title=title)]


class _Reader:
    """Turns lines into blocks of HTML."""

    def __init__(self, builder: TextBuilder, lines: list[str], attributes: dict[str, str] | None = None) -> None:
        self._builder = builder
        self._lines = lines
        self._at = 0
        self._attributes: dict[str, str] = {} if attributes is None else attributes
        self._title = ""
        self._style = ""

    def blocks(self) -> Iterator[str]:
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            self._at += 1
            if not line.strip() or self._is_steering(line):
                continue
            if (fence := _FENCE.fullmatch(line)) or (fence := _TABLE.fullmatch(line)):
                yield from self._titled(self._delimited(line, fence[1][0]))
            elif heading := _HEADING.fullmatch(line):
                lines = [*self._header()] if len(heading[1]) == 1 else []
                yield f"<h{len(heading[1])}>{self._inline(heading[2])}</h{len(heading[1])}>"
                yield from (f"<p>{self._inline(line)}</p>" for line in lines)
            elif image := _IMAGE.fullmatch(line):
                alternative = image[2].split(",")[0].strip('"')
                yield from self._titled(f'<p><img alt="{escape(alternative)}"></p>' if alternative else "<p><img></p>")
            elif box := _BOX.fullmatch(line):
                yield f"<p>{box[1].capitalize()}</p><p>{self._inline(self._paragraph(box[2]))}</p>"
            elif _ITEM.fullmatch(line) or _TERM.fullmatch(line):
                self._at -= 1
                yield from self._titled("")
                yield from self._items()
            elif line[0] in " \t" and not self._style:
                yield from self._titled(f"<pre>{escape(self._paragraph(line))}</pre>")
            else:
                yield from self._titled(self._plain(line))

    def _header(self) -> Iterator[str]:
        """Yield the lines below the title of the document that name its author and revision."""
        while self._at < len(self._lines) and (line := self._lines[self._at].rstrip()):
            self._at += 1
            if not self._is_steering(line):
                yield line

    def _is_steering(self, line: str) -> bool:
        """Take in a line that is not shown itself."""
        if attribute := _ATTRIBUTE.fullmatch(line):
            self._attributes[attribute[1].lower()] = attribute[2] or ""
        elif include := _INCLUDE.fullmatch(line):
            self._builder.note("not_included", place=include[1])
        elif _EMBEDDED.fullmatch(line):
            self._builder.note("embedded_content")
        elif style := _STYLE.fullmatch(line):
            self._style = style[1]
        elif title := _TITLE.fullmatch(line):
            self._title = title[1]
        else:
            return bool(_UNSHOWN.fullmatch(line) or _CONDITION.fullmatch(line))
        return True

    def _titled(self, block: str) -> Iterator[str]:
        if self._title:
            yield f"<p>{self._inline(self._title)}</p>"
        self._title = self._style = ""
        yield block

    def _delimited(self, fence: str, sign: str) -> str:
        style, title = self._style, self._title
        end = next((at for at in range(self._at, len(self._lines)) if self._lines[at].rstrip() == fence), None)
        lines = self._lines[self._at : end]
        self._at = len(self._lines) if end is None else end + 1
        if fence.endswith("===") and sign in "|,:!":
            return self._table(lines, style, "," if sign == "," else ":" if sign == ":" else "|")
        if sign == "/":
            return ""
        if (sign in _CODE_FENCES and fence != "--") or style.split(",")[0] in ("source", "listing"):
            return f"<pre>{escape(chr(10).join(lines))}</pre>"
        inner = "".join(_Reader(self._builder, lines, self._attributes).blocks())
        if style.startswith("%collapsible") and title:
            self._title = ""
            return f"<details><summary>{self._inline(title)}</summary>{inner}</details>"
        name = style.split(",")[0]
        return f"<p>{name.capitalize()}</p>{inner}" if name.isupper() and not title else f"<div>{inner}</div>"

    def _plain(self, line: str) -> str:
        style = self._style.split(",")[0]
        text = self._paragraph(line)
        if style in ("source", "listing", "literal"):
            return f"<pre>{escape(text)}</pre>"
        if style.isupper() and style.isalpha():
            return f"<p>{style.capitalize()}</p><p>{self._inline(text)}</p>"
        return f"<p>{self._inline(text)}</p>"

    def _paragraph(self, line: str) -> str:
        """Return the line with those that belong to the same paragraph."""
        lines = [line]
        while self._at < len(self._lines):
            following = self._lines[self._at].rstrip()
            if not following.strip() or _FENCE.fullmatch(following) or _TABLE.fullmatch(following):
                break
            self._at += 1
            if not _UNSHOWN.fullmatch(following) and not _CONDITION.fullmatch(following):
                lines.append(following)
        return "\n".join(lines)

    def _items(self) -> Iterator[str]:
        """Yield the items of a list and of those within it; deeper ones by their marks."""
        marks: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            item, term = _ITEM.fullmatch(line), _TERM.fullmatch(line)
            if not item and not term:
                if line.strip() and line != "+":
                    break
                following = self._lines[self._at + 1].rstrip() if self._at + 1 < len(self._lines) else ""
                if line == "+":
                    self._at += 1
                    yield from self._attached()
                elif _ITEM.fullmatch(following) or _TERM.fullmatch(following):
                    self._at += 1
                else:
                    break
                continue
            self._at += 1
            mark = re.sub(r"\d+|[a-zA-Z]", "1", item[1]) if item else term[2] if term else ""
            while mark in marks and marks[-1] != mark:
                yield _closing(marks.pop())
            if mark not in marks:
                marks.append(mark)
                yield _opening(mark)
            if item:
                yield f"<li>{self._inline(self._item_text(item[2]))}"
            elif term:
                definition = self._item_text(term[3] or "")
                yield f"<dt>{self._inline(term[1])}</dt>" + (
                    f"<dd>{self._inline(definition)}" if definition else "<dd>"
                )
        yield from (_closing(mark) for mark in reversed(marks))

    def _item_text(self, text: str) -> str:
        lines = [text] if text else []
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip()
            ends = not line.strip() or line == "+" or _FENCE.fullmatch(line) or _TABLE.fullmatch(line)
            if ends or _ITEM.fullmatch(line) or _TERM.fullmatch(line):
                break
            lines.append(line.strip())
            self._at += 1
        return "\n".join(lines)

    def _attached(self) -> Iterator[str]:
        """Yield the one block that a `+` attaches to the item before it."""
        while self._at < len(self._lines) and self._is_steering(self._lines[self._at].rstrip()):
            self._at += 1
        if self._at == len(self._lines):
            return
        line = self._lines[self._at].rstrip()
        self._at += 1
        if (fence := _FENCE.fullmatch(line)) or (fence := _TABLE.fullmatch(line)):
            yield from self._titled(self._delimited(line, fence[1][0]))
        else:
            yield from self._titled(f"<p>{self._inline(self._item_text(line))}</p>")

    def _table(self, lines: list[str], style: str, separator: str) -> str:
        rows = self._delimited_rows(lines, separator) if separator != "|" else self._rows(lines, style)
        if not rows:
            return ""
        first = next(at for at, line in enumerate(lines) if line.strip())
        has_header = "header" in style or (len(lines) > first + 1 and not lines[first + 1].strip())
        head, body = (rows[:1], rows[1:]) if has_header and "noheader" not in style else ([], rows)
        written = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in row)}</tr>" for row in head]
        written += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body]
        return f"<table>{''.join(written)}</table>"

    def _delimited_rows(self, lines: list[str], separator: str) -> list[list[str]]:
        return [[self._inline(cell.strip()) for cell in line.split(separator)] for line in lines if line.strip()]

    def _rows(self, lines: list[str], style: str) -> list[list[str]]:
        cells: list[str] = []
        first_row = 0
        for line in lines:
            pieces = _CELL.split(line)
            if pieces[0].strip() and cells:
                cells[-1] += f"\n{pieces[0].strip()}"
            for at in range(1, len(pieces), 4):
                times = int(pieces[at] or 1) if pieces[at + 2] == "*" else 1
                wide = int(pieces[at] or 1) if pieces[at + 2] == "+" else 1
                cells += [pieces[at + 3].strip()] * times + [""] * (wide - 1)
            if cells and not first_row:
                first_row = len(cells)
        columns = _columns(style) or first_row
        return [[*map(self._inline, cells[at : at + columns])] for at in range(0, len(cells), columns or 1)]

    def _inline(self, text: str) -> str:
        text = re.sub(r"\{([\w-]+)\}", lambda found: self._attributes.get(found[1].lower(), found[0]), text)
        for image in _IMAGE.findall(text):
            text = text.replace(f"image:{image[0]}[{image[1]}]", image[1].split(",")[0])
        text = escape(text, quote=False)
        for pattern, written in _INLINE:
            text = pattern.sub(written, text)
        return text


def _columns(style: str) -> int:
    """Return the number of columns that the style of a table states, 0 if it does not."""
    stated = re.search(r"cols=\"?([^\"\]]+)\"?", style)
    if not stated:
        return 0
    count = 0
    for column in re.split(r"[,;]", stated[1]):
        times = re.match(r"\s*(\d+)\*", column)
        count += int(times[1]) if times else 1
    return count


def _opening(mark: str) -> str:
    return "<dl>" if mark[0] in ":;" else "<ol>" if mark[0] in ".1<" else "<ul>"


def _closing(mark: str) -> str:
    return "</dl>" if mark[0] in ":;" else "</ol>" if mark[0] in ".1<" else "</ul>"
