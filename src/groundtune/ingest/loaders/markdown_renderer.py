"""Render tokens of Markdown as HTML that is read at once: without what only a person who reads HTML needs."""

from collections.abc import Sequence
from typing import Any

from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict


class PlainRenderer(RendererHTML):
    """Renders blocks without line breaks between them."""

    def render(self, tokens: Sequence[Token], options: OptionsDict, env: Any) -> str:
        out: list[str] = []
        for at, token in enumerate(tokens):
            if token.type in ("inline", "text"):
                plain = token.type == "text"
                shown = escapeHtml(token.content) if plain else self.renderInline(token.children or (), options, env)
                out.append(f"<{token.tag}>{shown}</{token.tag}>" if token.tag else shown)
            elif token.type in self.rules:
                out.append(self.rules[token.type](tokens, at, options, env))
            elif not token.hidden:
                slash = "/" if token.nesting == -1 else ""
                attributes = self.renderAttrs(token) if token.attrs else ""
                out.append(f"<{slash}{token.tag}{attributes}>")
        return "".join(out)
