"""Parse Markdown into headings, paragraphs, rows and code. Keeps visible words, drops the markup. Never runs HTML."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.languages.segmentation import unwrap

_MARKED = re.compile(r"[\\`*_~\[\]<&!]|\n")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:?")
_WIKI_LINK = re.compile(r"\[\[(?:[^\]|]*\|)?([^\]|]+)\]\]")
_MAX_NESTING = 10_000
"""The parser silently drops deeper nesting; at this value Python's recursion limit comes first and raises."""
_MAX_INLINE_NESTING = 20
SOFT_BREAK = "\v"
"""Stands for a line break of the source, which is a space to the reader."""
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    title, metadata = add_blocks(builder, decode(data))
    return [builder.build(title=title, metadata=metadata)]


def add_blocks(builder: TextBuilder, text: str) -> tuple[str | None, dict[str, str]]:
    """Add the blocks of a Markdown text. Return the title (front matter, else first level-1 heading) and metadata."""
    walk = _MarkdownWalk(builder)
    walk.read(text)
    return walk.front.pop("title", None) or walk.title, walk.front


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).use(front_matter_plugin)
    parser.options["maxNesting"] = _MAX_NESTING
    parser.core.ruler.disable(["inline", "text_join"])  # `_MarkdownWalk.visible` does this, only where there is markup
    return parser


class _MarkdownWalk:
    """One pass over the block tokens of one text."""

    def __init__(self, builder: TextBuilder) -> None:
        self.builder = builder
        self.title: str | None = None
        self.front: dict[str, str] = {}
        self._parser = _parser()
        self._env: dict[str, Any] = {}
        self._number: list[int | None] = []
        self._mark = ""
        self._header: list[str] = []
        self._cells: list[str] = []
        self._rows = 0

    def read(self, text: str) -> None:
        tokens = self._parser.parse(text, self._env)
        self._parser.options["maxNesting"] = _MAX_INLINE_NESTING
        context = ""
        for token in tokens:
            kind = token.type
            if kind == "inline":
                self._inline(context, token.content)
            elif kind in ("heading_open", "th_open", "td_open", "paragraph_open"):
                context = kind if kind != "heading_open" else token.tag
            elif kind in ("fence", "code_block"):
                self.builder.code(token.content)
            elif kind == "html_block":
                self._html(token.content)
            elif kind == "front_matter":
                self._front_matter(token.content)
            else:
                self._structure(token)

    def _structure(self, token: Token) -> None:
        match token.type:
            case "ordered_list_open":
                self._number.append(int(token.attrGet("start") or 1) - 1)
            case "bullet_list_open":
                self._number.append(None)
            case "ordered_list_close" | "bullet_list_close":
                self._number.pop()
            case "list_item_open":
                self._next_item()
            case "table_open":
                self._header, self._rows = [], 0
            case "thead_close":
                self._header, self._cells = self._cells, []
            case "tr_open":
                self._cells = []
            case "tr_close" if self._header:
                self.builder.row(self._cells, self._header)
                self._cells = []
                self._rows += 1
            case "table_close":
                if not self._rows:
                    self.builder.row(self._header)
                self._header = []

    def _next_item(self) -> None:
        number = self._number[-1]
        if number is None:
            self._mark = ""
        else:
            self._number[-1] = number + 1
            self._mark = f"{number + 1}. "

    def _inline(self, context: str, content: str) -> None:
        text = self.visible(content)
        if context in ("th_open", "td_open"):
            self._cells.append(text)
        elif context.startswith("h"):
            level = int(context[1])
            if level == 1 and self.title is None:
                self.title = text
            self.builder.heading(level, text)
        else:
            self.builder.paragraph(self._mark + text)
            self._mark = ""

    def visible(self, content: str) -> str:
        """Return the visible text of inline Markdown."""
        if not _MARKED.search(content):
            return content
        if "[^" in content:
            content = _FOOTNOTE.sub("", content)
        if "[[" in content:
            content = _WIKI_LINK.sub(r"\1", content)
        tokens: list[Token] = []
        self._parser.inline.parse(content, self._parser, self._env, tokens)
        return unwrap("".join(_pieces(tokens)), SOFT_BREAK)

    def _html(self, content: str) -> None:
        if content.lstrip().startswith("<!--") and content.rstrip().endswith("-->") and content.count("<!--") == 1:
            return
        from groundtune.ingest.loaders import html

        html.add_blocks(self.builder, content)

    def _front_matter(self, content: str) -> None:
        try:
            values = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError):
            values = None
        if not isinstance(values, Mapping):
            self.builder.paragraph(content)  # not front matter after all: keep it in the text
            return
        for key, value in values.items():
            text = _scalar(value)
            if text:
                self.front["title" if str(key).lower() == "title" else str(key)] = text


def _pieces(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        match token.type:
            case "text" | "code_inline" | "text_special":
                yield token.content
            case "softbreak":
                yield SOFT_BREAK
            case "hardbreak":
                yield "\n"
            case "image":
                yield from _pieces(token.children or [])
            case "html_inline" if _BREAK.match(token.content):
                yield "\n"


def _scalar(value: object) -> str | None:
    if isinstance(value, list):
        parts = [_scalar(item) for item in value if not isinstance(item, list)]
        return ", ".join(part for part in parts if part) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value).strip() or None if isinstance(value, str | int | float) else None
