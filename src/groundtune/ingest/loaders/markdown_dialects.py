"""Read what documentation sites add to Markdown as they render it: MkDocs, Sphinx, Docusaurus, GitHub and others.

Boxes and their titles, tabs, directives, roles, attributes, comments. A file that would be included is noted, not read.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.container import container_plugin

_MARK = re.compile(r"[\\`*_~\[\]<&!{$]")
_ICON_MARK = re.compile(r":\w+-")
_MAX_INLINE_NESTING = 20
_TAB = re.compile(r'^([ \t]*)===[!+]*[ \t]+"(.*)"[ \t]*$', re.MULTILINE)
_TITLE_ALONE = re.compile(r'^([ \t]*(?:!!!|\?\?\?\+?))[ \t]+"', re.MULTILINE)
_ALERT = re.compile(r"\[!(\w+)\][+-]?[ \t]*([^\n]*)(?:\n|\Z)")
_BEFORE_PARSING = re.compile(
    r"""\{(?P<role>[a-zA-Z][\w:.+-]*)\}(?P<quote>`+)(?P<text>.+?)(?P=quote)
    |(?P<code>(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))
    |\{/\*.*?\*/\}
    |\[\[(?:[^\]|]*\|)?(?P<wiki>[^\]|]+)\]\]""",
    re.VERBOSE | re.DOTALL,
)
"""A role of Sphinx, code (which stays as it is), a comment of JSX, a link of a wiki."""
_ROLE_TARGET = re.compile(r"\s*<[^<>]*>\s*\Z")
_ATTRIBUTES = re.compile(r"\s*\{:?\s*(?:[#.][\w:-]+|[\w-]+=(?:\"[^\"]*\"|'[^']*'|[\w-]+))(?:\s+[^{}\n]+)?\s*\}")
_HIGHLIGHT = re.compile(r"(?<![\w=])==(?=\S)([^=\n]+)(?<=\S)==(?![\w=])")
_ICON = re.compile(r":(?:material|octicons|fontawesome|simple|lucide)-[\w-]+:")
_INCLUDE = re.compile(
    r"""-*8<-*\s+(?P<snippet>\S.*)|\{[{%]<?\s*(?:include|include_relative|include-markdown|includecode|readfile|snippet
    |embed|content-ref)\b\s*(?P<tag>.*?)\s*>?[}%]\}|\{!\s*(?P<bang>.*?)\s*!\}""",
    re.VERBOSE,
)
_TEMPLATE_TAG = re.compile(r"(?:\{%.*?%\}|\{\{<.*?>\}\}|\{\{%.*?%\}\}|\[TOC\]|\[\[_?TOC_?\]\])(?:\s+|\Z)")
_IMPORT = re.compile(r"import\s+(?:[^;'\"]+\s+from\s+)?['\"][^'\"]+['\"];?|export\s+(?:const|default)\s.*")
_ABBREVIATION = re.compile(r"\*\[[^\]]+\]:.*")
_COMPONENT = re.compile(r"</?[A-Z][\w.]*(?:\s[^\n]*)?/?>")
_OPTION = re.compile(r":[\w-]+:(?:\s.*)?")
_COMPONENTS = "TabItem|Tab|CodeGroupItem|Step|Accordion|AccordionItem"
_LABELLED = re.compile(rf"<(?:{_COMPONENTS})\b[^>]*?(?:label|title|name)=(['\"])(.*?)\1[^>]*>", re.IGNORECASE)
_LABELLED_END = re.compile(rf"</(?:{_COMPONENTS})\s*>", re.IGNORECASE)
_CODE_TITLE = re.compile(r"\b(?:title|filename|caption|linktitle)=(['\"])(.*?)\1")
_DIRECTIVE = re.compile(r"\{([\w:.+-]+)\}\s*(.*)")
_CONTAINER = re.compile(r"\{?\.?([\w:.-]+)\}?\s*(.*)", re.DOTALL)
_QUOTED_TITLE = re.compile(r"(?:title|header)=(['\"])(.*?)\1|\[(.*)\]")
_OPENED = frozenset("details dropdown tab tab-item tabitem collapse toggle".split())
_UNTITLED = frozenset(
    "tab-set tabs code-group row columns column col grid grid-item card-group div center figure".split()
)
_UNSHOWN = frozenset("toctree contents index tableofcontents only meta comment".split())
_INCLUDES = frozenset("include literalinclude".split())
_AS_CODE = frozenset(
    "code code-block code-cell sourcecode mermaid math graphviz plantuml eval-rst raw csv-table".split()
)
_PICTURES = frozenset("image figure figure-md".split())


def prepare(text: str) -> str:
    """Return the text with the tabs of MkDocs, and its boxes that have a title alone, as boxes that have a kind."""
    if '=== "' in text or '===+ "' in text or '===! "' in text:
        text = _TAB.sub(r'\1??? tab "\2"', text)
    return _TITLE_ALONE.sub(r'\1 tab "', text) if '!!! "' in text or '??? "' in text or '???+ "' in text else text


def install(parser: MarkdownIt) -> None:
    """Add the syntax of documentation sites to a parser of Markdown."""
    parser.use(admon_plugin)
    parser.use(container_plugin, "box", validate=lambda params, *_: _CONTAINER.match(params.strip()))
    parser.core.ruler.at("inline", _parse_inline)
    boxes = _Boxes(parser)
    rules: dict[str, Any] = parser.renderer.rules  # type: ignore[attr-defined]  # of RendererHTML
    rules.update(
        admonition_open=boxes.admonition,
        admonition_close=boxes.admonition,
        admonition_title_open=boxes.admonition_title,
        admonition_title_close=boxes.admonition_title,
        container_box_open=boxes.box,
        container_box_close=boxes.box,
        fence=boxes.fence,
    )


def as_html(content: str) -> str:
    """Return a block of HTML in which components with a label, such as `<TabItem>`, are elements of HTML."""
    if "=" in content and _LABELLED.search(content):
        content = _LABELLED.sub(lambda found: f"<details><summary>{escape(found[2])}</summary>", content)
    return _LABELLED_END.sub("</details>", content) if "</" in content else content


# --- paragraphs ---


def _parse_inline(state: StateCore) -> None:
    """Parse the text of each block; one without markup is taken as it stands."""
    nesting = state.md.options["maxNesting"]
    state.md.options["maxNesting"] = _MAX_INLINE_NESTING
    for at, token in enumerate(state.tokens):
        if token.type != "inline":
            continue
        content = token.content
        is_marked = _is_marked(content)
        if is_marked or content[0:1] in ":-ie":
            content = _as_rendered(content, state, at)
            is_marked = _is_marked(content)
        if is_marked or not content:
            token.content, token.children = content, []
            if content:
                state.md.inline.parse(content, state.md, state.env, token.children)
                _clean(token.children)
        else:
            token.type, token.content = "text", content
    state.md.options["maxNesting"] = nesting


def _is_marked(content: str) -> bool:
    """Whether a text may show something else than what it says."""
    return bool(_MARK.search(content) or "==" in content or "  \n" in content or _ICON_MARK.search(content))


def _as_rendered(content: str, state: StateCore, at: int) -> str:
    before = state.tokens[at - 2].type if at > 1 else ""
    if before == "blockquote_open" and (alert := _ALERT.match(content)):
        content = f"{alert[2] or alert[1].title()}  \n{content[alert.end() :]}"
    if before == "container_box_open":
        content = _without_options(content)
    if "{" in content or "[[" in content:
        content = _BEFORE_PARSING.sub(_before_parsing, content)
    if any(mark in content for mark in ("{%", "{{", "{!", "8<", "import ", "export ", "*[", "<", "TOC")):
        content = _without_tags(content, state)
    return content


def _without_tags(content: str, state: StateCore) -> str:
    """Return the lines that are shown: not those that only steer the program that renders them."""
    lines = []
    for line in content.split("\n"):
        bare = line.strip()
        if include := _INCLUDE.fullmatch(bare):
            _note_include(state.env, include["snippet"] or include["tag"] or include["bang"] or "")
        elif not any(pattern.fullmatch(bare) for pattern in (_TEMPLATE_TAG, _IMPORT, _ABBREVIATION, _COMPONENT)):
            lines.append(line)
    return "\n".join(lines)


def _note_include(env: Any, name: str) -> None:
    env["builder"].note("not_included", place=name.strip(" \"'") or None)


def _without_options(content: str) -> str:
    """Return the text of a directive without the options at its head, such as `:class: wide`."""
    lines = content.split("\n")
    while lines and (_OPTION.fullmatch(lines[0].strip()) or lines[0].strip() == "---"):
        lines.pop(0)
    return "\n".join(lines)


def _before_parsing(found: re.Match[str]) -> str:
    if not found["role"]:
        return found["code"] or found["wiki"] or ""
    name, text = found["role"].rpartition(":")[2].lower(), found["text"].strip()
    if name in ("sub", "subscript", "sup", "superscript"):
        return f"<{name[:3]}>{text}</{name[:3]}>"
    if name == "math":
        return f"${text}$"
    return _ROLE_TARGET.sub("", text) or text.strip("<>")


def _clean(children: list[Token]) -> None:
    for token in children:
        if token.type != "text":
            continue
        if "{" in token.content:
            token.content = _ATTRIBUTES.sub("", token.content)
        if "==" in token.content:
            token.content = _HIGHLIGHT.sub(r"\1", token.content)
        if ":" in token.content:
            token.content = _ICON.sub("", token.content)


# --- boxes ---


class _Boxes:
    """Renders boxes with their titles; one that a click opens as `<details>`."""

    def __init__(self, parser: MarkdownIt) -> None:
        self._parser = parser

    def admonition(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        tag = "details" if tokens[at].markup.startswith("?") else "div"
        return f"<{tag}>" if tokens[at].nesting == 1 else f"</{tag}>"

    def admonition_title(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        opening = at if tokens[at].nesting == 1 else at - 2
        tag = "summary" if tokens[opening].markup.startswith("?") else "p"
        return f"<{tag}>" if tokens[at].nesting == 1 else f"</{tag}>"

    def box(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Render `:::note Title`, `:::{note} Title` and their kin."""
        token = tokens[at]
        if token.nesting == -1:
            return "</div></details>" if token.meta.get("opened") else "</div>"
        name, title = _named(token.info)
        if name in _OPENED and title:
            closing = next(other for other in tokens[at + 1 :] if other.level == token.level and other.nesting == -1)
            closing.meta["opened"] = True
        return self._opened(name, title, env)

    def fence(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Render a block of code, or the directive of Sphinx that is written like one."""
        token = tokens[at]
        directive = _DIRECTIVE.fullmatch(token.info.strip())
        if not directive:
            named = _CODE_TITLE.search(token.info)
            return (f"<p>{escape(named[2])}</p>" if named else "") + f"<pre><code>{escape(token.content)}</code></pre>"
        name, title = directive[1].lower(), directive[2].strip()
        content = _without_options(token.content)
        if name in _INCLUDES:
            _note_include(env, title)
        if name in _UNSHOWN or name in _INCLUDES:
            return ""
        if name in _AS_CODE:
            return f"<pre><code>{escape(content)}</code></pre>"
        if name in _PICTURES:
            alternative = next((line[5:].strip() for line in token.content.split("\n") if line.startswith(":alt:")), "")
            return f'<p><img alt="{escape(alternative)}"></p>' + self._within(content, env)
        closing = "</div></details>" if name in _OPENED and title else "</div>"
        return self._opened(name, title, env) + self._within(content, env) + closing

    def _within(self, content: str, env: Any) -> str:
        return str(self._parser.render(content, _nested(env)))

    def _opened(self, name: str, title: str, env: Any) -> str:
        shown = title or ("" if name in _UNTITLED or ":" in name else name.replace("-", " ").capitalize())
        inline = self._parser.renderInline(shown, _nested(env))
        if name in _OPENED and title:
            return f"<details><summary>{inline}</summary><div>"
        return f"<div><p>{inline}</p>" if shown else "<div>"


def _nested(env: Any) -> dict[str, Any]:
    """Return what a text within another shares with it."""
    return {"builder": env["builder"], "references": env.get("references", {})}


def _named(info: str) -> tuple[str, str]:
    """Return name and title of a box."""
    found = _CONTAINER.match(info.strip())
    name, title = (found[1].lower(), found[2].strip()) if found else ("", "")
    name = name.removeprefix("callout-")
    if quoted := _QUOTED_TITLE.search(title):
        return name, quoted[2] or quoted[3] or ""
    return name, "" if title.startswith("{") else title.strip('"')
