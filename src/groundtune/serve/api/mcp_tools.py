"""Offer search, fetch and ask to MCP clients, with the groups of whoever calls. Knows no transport.

`search` and `fetch` have the form that clients with data-only apps expect.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel

from groundtune.display.answers import place
from groundtune.serve.api.markdown import as_markdown
from groundtune.serve.api.models import approach_of
from groundtune.serve.api.wire_citations import hit_fields, passage_url, title_of
from groundtune.serve.doors.callers import Caller
from groundtune.serve.errors import error_reply
from groundtune.serve.serving import Asked, Serving
from groundtune.types import Hit

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)

CallerOf = Callable[[Any], tuple[Caller, str]]
"""Returns who called, and the address of the server as the caller sees it, from the request of a transport."""


class Found(BaseModel):
    """A passage that was found."""

    id: str
    title: str
    url: str


class SearchResult(BaseModel):
    """The passages that fit a query, best first."""

    results: list[Found]


class FetchResult(BaseModel):
    """One passage."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, str]


class CitedSentence(BaseModel):
    """How a sentence of the answer was checked."""

    marker: int | None
    sentence: str
    support: str
    title: str | None
    url: str | None
    quote: str


class AskResult(BaseModel):
    """An answer with its checked citations."""

    answer: str
    status: str
    approach: str
    citations: list[CitedSentence]
    nearest: list[Found]
    """The nearest passages, when the documents do not hold the answer."""


def make_mcp_server(serving: Serving, caller_of: CallerOf) -> MCPServer:
    """Return the server of a project's tools. caller_of: tells the caller from the request of the transport."""
    server = MCPServer(
        "groundtune",
        log_level="WARNING",
        instructions=f"Questions about the documents of {serving.live.project.config.name}, answered with citations.",
    )

    @server.tool(annotations=READS)
    async def search(query: str, context: Context) -> SearchResult:
        """Find the passages of the documents that fit a query, best first. Read one with fetch."""
        async with _told():
            caller, base = caller_of(context.request_context.request)
            async with serving.vector_turn(caller, [query]) as project:
                hits = await project.asearch(query, groups=caller.groups)
            return SearchResult(results=[_found(hit, base) for hit in hits])

    @server.tool(annotations=READS)
    async def fetch(id: str, context: Context) -> FetchResult:  # noqa: A002 (the name that clients send)
        """Read a passage by the id that search returned."""
        async with _told():
            caller, base = caller_of(context.request_context.request)
            async with serving.turn() as project:
                found = await project.apassage(id, groups=caller.groups)
            if found is None:
                raise ToolError("there is no such passage, or you may not read it")
            passage, document = found
            return FetchResult(
                id=passage.id,
                title=place(passage.source, passage.heading, passage.page),
                text=passage.text,
                url=passage_url(base, passage.id),
                metadata={**document.metadata, "source": passage.source, "heading": passage.heading},
            )

    @server.tool(annotations=READS)
    async def ask(question: str, context: Context, model: str | None = None) -> AskResult:
        """Answer a question from the documents. Every sentence is checked against the passage that it cites.

        model: an approach of the project, such as rag; without it the project's choice answers.
        """
        async with _told():
            caller, base = caller_of(context.request_context.request)
            async with serving.live.lease() as project:
                approach = None if model is None else await approach_of(project, model)
            answer = await serving.answer(Asked(question, approach), caller)
            citations = [
                CitedSentence(
                    marker=citation.marker,
                    sentence=citation.sentence,
                    support=citation.support,
                    title=title_of(citation) if citation.source else None,
                    url=passage_url(base, citation.passage_id) if citation.passage_id else None,
                    quote=citation.quote,
                )
                for citation in answer.citations
            ]
            nearest = [_found(hit, base) for hit in answer.hits] if answer.status == "abstained" else []
            return AskResult(
                answer=as_markdown(answer.text),
                status=answer.status,
                approach=answer.approach,
                citations=citations,
                nearest=nearest,
            )

    return server


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Tell the client an error as HTTP clients are told; what nobody foresaw stays in the log."""
    try:
        yield
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(error_reply(error).message) from error


def _found(hit: Hit, base: str) -> Found:
    fields = hit_fields(hit, base)
    return Found(id=hit.passage.id, title=fields["title"], url=fields["url"])
