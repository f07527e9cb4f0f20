"""Parse Markdown as it is rendered: to HTML, and from there into headings, paragraphs, rows and code."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from groundtune.ingest.loaders import html, markdown_dialects, markdown_tables
from groundtune.ingest.loaders.markdown_renderer import PlainRenderer
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)")
_INLINE_TAGS = frozenset(
    "a abbr b big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup tt u var".split()
)
_ALONE = frozenset("br img input wbr".split())
_RAW = re.compile(r"<(script|style|textarea|title|select|xmp|noscript|template|plaintext|iframe|noembed)\b", re.I)
_MAX_NESTING = 10_000
"""The parser silently drops deeper nesting; at this value Python's recursion limit comes first and raises."""
_SIGNS = {
    "table": ("|",),
    "math_block": ("$$",),
    "admonition": ("!!!", "???"),
    "container_box": (":::",),
    "fence": ("```", "~~~"),
    "blockquote": (">",),
    "reference": ("]:",),
    "deflist": ("\n:", " :", "\t:", ">:", "~"),
    "html_block": ("<",),
    "closed_html": ("<",),
    "footnote_def": ("[^",),
    "footnote_tail": ("[^", "^["),
    "github-tasklists": ("[ ]", "[x]", "[X]"),
    "text_join": ("\\", "&"),
}
"""Rules of the parser, and what a text has that needs them."""
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)\n\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    title, metadata = add_blocks(builder, decode(data))
    return [builder.build(title=title, metadata=metadata)]


def add_blocks(builder: TextBuilder, text: str) -> tuple[str | None, dict[str, str]]:
    """Add the blocks of a Markdown text. Return the title (front matter, else first level-1 heading) and metadata."""
    metadata: dict[str, str] = {}
    if toml := _TOML.match(text):
        metadata, text = _toml_fields(toml[1]), text[toml.end() :]
    text = markdown_dialects.prepare(text)
    parser = _parser(tuple(rule for rule, signs in _SIGNS.items() if not any(sign in text for sign in signs)))
    env: dict[str, Any] = {"builder": builder}
    tokens = parser.parse(text, env)
    if tokens and tokens[0].type == "front_matter":
        fields = _yaml_fields(tokens.pop(0).content)
        if isinstance(fields, str):
            builder.paragraph(fields)  # not front matter after all: keep it in the text
        else:
            metadata = fields
    title = html.add_blocks(builder, parser.renderer.render(tokens, parser.options, env))
    return metadata.pop("title", None) or title, metadata


@lru_cache(maxsize=64)
def _parser(unused: tuple[str, ...]) -> MarkdownIt:
    """Return a parser. unused: rules that it need not try at each line."""
    parser = MarkdownIt("commonmark", {"html": True}, renderer_cls=PlainRenderer).enable(["table", "strikethrough"])
    parser.use(front_matter_plugin).use(footnote_plugin).use(deflist_plugin).use(tasklists_plugin)
    parser.use(dollarmath_plugin, allow_digits=False, double_inline=True, renderer=_formula)
    markdown_dialects.install(parser)
    markdown_tables.install(parser)
    parser.core.ruler.push("closed_html", _close_html)
    parser.options["maxNesting"] = _MAX_NESTING
    return parser.disable(unused)


def _close_html(state: StateCore) -> None:
    """Let no tag of HTML reach beyond its block."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = _balanced(token.children or [])
        elif token.type == "html_block":
            token.content = markdown_dialects.as_html(_without_open_raw(token.content))


def _balanced(children: list[Token]) -> list[Token]:
    """Return inline tokens without HTML that is never closed, so that no tag reaches beyond its paragraph."""
    tags = [_TAG.match(token.content) if token.type == "html_inline" else None for token in children]
    if not any(tags):
        return children
    closed: set[int] = set()
    open_tags: dict[str, list[int]] = {}
    for at, tag in enumerate(tags):
        if tag is None or tag[2].lower() not in _INLINE_TAGS:
            continue
        places = open_tags.setdefault(tag[2].lower(), [])
        if not tag[1]:
            places.append(at)
        elif places:
            closed |= {places.pop(), at}
    return [
        token
        for at, (token, tag) in enumerate(zip(children, tags, strict=True))
        if tag is None or at in closed or tag[2].lower() in _ALONE
    ]


def _without_open_raw(content: str) -> str:
    """Return a block of HTML without tags that would swallow the text behind it, such as a lone `<select>`."""
    for name in {found[1].lower() for found in _RAW.finditer(content)}:
        if not re.search(rf"</{name}\s*>", content, re.IGNORECASE):
            content = re.sub(rf"<{name}\b[^>]*>", "", content, flags=re.IGNORECASE)
    return content


def _formula(content: str, options: Mapping[str, Any]) -> str:
    sign = "$$" if options.get("display_mode") else "$"
    return escape(f"{sign}{content.strip()}{sign}")


def _toml_fields(content: str) -> dict[str, str]:
    try:
        return _fields(tomllib.loads(content))
    except tomllib.TOMLDecodeError:
        return {}


def _yaml_fields(content: str) -> dict[str, str] | str:
    """Return the fields of front matter, or the content if it is something else."""
    try:
        values = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError):
        return content
    return _fields(values) if isinstance(values, Mapping) else content


def _fields(values: Mapping[Any, object]) -> dict[str, str]:
    texts = {"title" if str(key).lower() == "title" else str(key): _scalar(value) for key, value in values.items()}
    return {key: text for key, text in texts.items() if text}


def _scalar(value: object) -> str | None:
    if isinstance(value, list):
        parts = [_scalar(item) for item in value if not isinstance(item, list)]
        return ", ".join(part for part in parts if part) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value).strip() or None if isinstance(value, str | int | float) else None
