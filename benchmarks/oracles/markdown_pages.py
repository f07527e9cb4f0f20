"""Render Markdown with mistune, which groundtune does not use, into the page that a reader sees."""

import re
from pathlib import Path

import mistune

_PLUGINS = ["table", "footnotes", "strikethrough", "task_lists", "def_list", "superscript", "subscript"]
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def page_of(path: Path) -> str:
    """Return the rendered page of a Markdown file, without its front matter."""
    text = _FRONT_MATTER.sub("", path.read_text("utf-8"))
    return f"<meta charset=utf-8>{mistune.create_markdown(escape=False, plugins=_PLUGINS)(text)}"
