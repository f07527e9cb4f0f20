"""Put the checked citations of an answer on the wire: as `url_citation`, and whole in the field `groundtune`.

A passage has one address, `…/passages/ID`, since clients tell sources apart by their address. Checks nothing.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request

from groundtune.common.support import is_supported
from groundtune.display.answers import place
from groundtune.serve.api.markdown import as_markdown
from groundtune.types import Answer, Citation, Hit


@dataclass(frozen=True, slots=True)
class WireCitation:
    """A citation of a passage, and where its marker stands in the text."""

    citation: Citation
    url: str
    title: str
    start: int
    end: int

    def chat_annotation(self) -> dict[str, Any]:
        """Return the annotation of a chat completion."""
        return {"type": "url_citation", "url_citation": self._fields()}

    def response_annotation(self) -> dict[str, Any]:
        """Return the annotation of a response."""
        return {"type": "url_citation", **self._fields()}

    def _fields(self) -> dict[str, Any]:
        return {"url": self.url, "title": self.title, "start_index": self.start, "end_index": self.end}


def base_url(request: Request, public_url: str | None) -> str:
    """Return the address of this server as its clients see it, without a slash at the end."""
    return (public_url or str(request.base_url)).rstrip("/")


def passage_url(base: str, passage_id: str) -> str:
    """Return the address of the page that shows a passage in its document."""
    return f"{base}/passages/{quote(passage_id, safe=':')}"


def cited_passages(answer: Answer, base: str) -> list[WireCitation]:
    """Return the citations that a client shows, in order: one for each marker that names a passage.

    answer: with its text as Markdown, as the client gets it.

    A citation whose passage does not support it is none of them: a link would say that it does. It stands in
    `groundtune.citations` with its state. Without markers, as in a letter, the range is that of the sentence.
    """
    found: list[WireCitation] = []
    position = 0
    for citation in answer.citations:
        if citation.passage_id is None:
            continue
        sought = as_markdown(citation.sentence) if citation.marker is None else f"[{citation.marker}]"
        start = answer.text.find(sought, position)
        if start < 0:
            continue
        end = start + len(sought)
        position = start if citation.marker is None else end
        if is_supported(citation.support) is not False:
            url = passage_url(base, citation.passage_id)
            found.append(WireCitation(citation, url, title_of(citation), start, end))
    return found


def groundtune_field(answer: Answer, base: str) -> dict[str, Any]:
    """Return all that the protocol has no place for. `citations` is always there, empty when nothing was cited."""
    return {
        "id": answer.id,
        "status": answer.status,
        "approach": answer.approach,
        "route": list(answer.route),
        "degradation": answer.degradation,
        "held": answer.held,
        "split": answer.split,
        "confidence": answer.confidence,
        "output": answer.output,
        "citations": [_citation(citation, base) for citation in answer.citations],
        "passages": [hit_fields(hit, base) for hit in answer.hits] if answer.status == "abstained" else [],
        "cut": answer.cut,
        "warnings": list(answer.warnings),
        "usage": asdict(answer.usage),
        "time": answer.time,
    }


def hit_fields(hit: Hit, base: str) -> dict[str, Any]:
    """Return a retrieved passage with its address."""
    return {
        **asdict(hit.passage),
        "url": passage_url(base, hit.passage.id),
        "title": place(hit.passage.source, hit.passage.heading, hit.passage.page),
        "score": hit.score,
        "stages": dict(hit.stages),
        "also_in": list(hit.also_in),
    }


def source_events(answer: Answer, base: str) -> Iterator[dict[str, Any]]:
    """Yield an event for each cited passage, in the order of their numbers: the only form of which Open WebUI shows
    the text."""
    texts = {hit.passage.id: hit.passage.text for hit in answer.hits}
    cited = {each.url: each for each in cited_passages(answer, base)}
    for url, each in cited.items():
        text = texts.get(each.citation.passage_id or "", each.citation.quote)
        data = {
            "source": {"name": each.title, "id": url},
            "document": [as_markdown(text)],
            "metadata": [{"source": url, "name": each.title, "url": url}],
        }
        yield {"type": "source", "data": data}


def _citation(citation: Citation, base: str) -> dict[str, Any]:
    url = passage_url(base, citation.passage_id) if citation.passage_id else None
    return {**asdict(citation), "url": url, "title": title_of(citation) if citation.source else None}


def title_of(citation: Citation) -> str:
    return place(citation.source or "", citation.heading, citation.page)
