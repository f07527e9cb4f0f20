"""Parse reStructuredText with docutils, and what Sphinx adds to it, by way of HTML. Never reads another file."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

from groundtune.ingest.loaders import html
from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:\|[^|\n]*\| )?([A-Za-z][\w:.+-]*)::", re.MULTILINE)
_ROLE = re.compile(r":([A-Za-z][\w:.+-]*):`")
_INCLUDE = re.compile(r"^[ \t]*\.\. (?:include|literalinclude)::[ \t]*(\S+)", re.MULTILINE)
_FOOTNOTE_LABEL = re.compile(r'(<span class="label">(?:(?!</span></span>).)*</span></span>)\s*<p>', re.DOTALL)
_TARGET = re.compile(r"\s*<[^<>]*>\s*\Z", re.DOTALL)
_UNSHOWN = frozenset("toctree index currentmodule module only tabularcolumns highlight include literalinclude".split())
_AS_CODE = frozenset("code-block sourcecode prompt command-output doctest testcode testoutput graphviz mermaid".split())
_CONTAINERS = frozenset("tabs tab-set grid grid-item grid-item-card card container hlist centered".split())
_VERSIONS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
    "versionremoved": "Removed in version",
}
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "doctitle_xform": False,
    "initial_header_level": 1,
    "smart_quotes": False,
    "_disable_config": True,
}


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    text = decode(data)
    builder = TextBuilder()
    for name in _INCLUDE.findall(text):
        builder.note("not_included", place=name)
    _register(text)
    parts = publish_parts(text, source_path=path.name, writer="html5", settings_overrides=_SETTINGS)
    title = html.add_blocks(builder, _FOOTNOTE_LABEL.sub(r"<p>\1 ", parts["body"]))
    return [builder.build(title=title)]


def _register(text: str) -> None:
    """Make the directives and roles of the text known that docutils does not know, or reads more strictly."""
    for name in {*_DIRECTIVE.findall(text)}:
        if name in _AS_CODE:
            directives.register_directive(name, _Code)
        elif name.lower() not in en.directives or name in _UNSHOWN:
            directives.register_directive(name, _Box)
    for name in {*_ROLE.findall(text)}:
        if name.lower() not in en.roles:
            roles.register_local_role(name, _role)


class _AnyOptions(dict[str, Callable[[str], str]]):
    """Options of a directive, whatever their names."""

    def __missing__(self, name: str) -> Callable[[str], str]:
        return _unchanged


def _unchanged(value: str | None) -> str:
    return value or ""


class _Box(Directive):  # type: ignore[misc]  # docutils has no types
    """A directive as a title and what stands in it."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = _AnyOptions(name=_unchanged)

    def run(self) -> Sequence[Any]:
        if self.name in _UNSHOWN:
            return []
        title = " ".join(" ".join(self.arguments).split())
        title = " ".join(filter(None, (_VERSIONS.get(self.name, ""), title)))
        if not title and self.name not in _CONTAINERS:
            title = self.name.rpartition(":")[2].replace("-", " ").capitalize()
        box = nodes.container()
        if title:
            text, messages = self.state.inline_text(title, self.lineno)
            box += [nodes.paragraph(title, "", *text), *messages]
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class _Code(_Box):
    """Code, with its caption."""

    def run(self) -> Sequence[Any]:
        code = "\n".join(self.content)
        caption = self.options.get("caption")
        return [*([nodes.paragraph(caption, caption)] if caption else []), nodes.literal_block(code, code)]


def _role(
    name: str, raw: str, text: str, line: int, inliner: Any, options: Any = None, content: Any = None
) -> tuple[list[Any], list[Any]]:
    """Return the text of a role of Sphinx without its target: `the guide <guide>` is `the guide`."""
    shown = _TARGET.sub("", nodes.unescape(text)) or text.strip("<>")
    return [nodes.inline(raw, shown.lstrip("~!"))], []
