"""A served answer as its record and the documents tell it now, and who may see it. Reads no file."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.common.files import digest_text
from groundtune.records.audit_log import AuditEntry
from groundtune.types import EVERYONE, Citation, Document, Message, Passage, Status


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """An answer of the server with the passages that it was made from."""

    id: str
    time: str
    question: str
    history: tuple[Message, ...]
    text: str
    status: Status
    output: Any
    """Label or object; None for text."""
    approach: str | None
    """None for a reviewer who must not know it."""
    confidence: float | None
    degradation: str | None
    cut: str | None
    citations: tuple[Citation, ...]
    """Without their sentences; with a quote where the document still is as it was."""
    passages: tuple[Passage, ...]
    """Those that still stand in their document as they were."""
    changed: int
    """How many of its passages do not."""
    document_groups: tuple[tuple[str, ...], ...]
    """Groups of each restricted document that its passages are in."""
    asker: str
    asker_groups: tuple[str, ...]

    @property
    def training_groups(self) -> tuple[str, ...] | None:
        """Groups of which a user of a model trained on it needs one; None when more than one would be needed.

        They follow from its documents; where these changed or there are none, from the groups of the asker.
        """
        known = bool(self.passages) and not self.changed
        needed = self.document_groups if known else tuple((group,) for group in self.asker_groups)
        if not needed:
            return ()
        shared = set(needed[0]).intersection(*needed[1:])
        return tuple(sorted(shared)) or None


def served_answer(entry: AuditEntry, documents: Mapping[str, Document | None]) -> ServedAnswer:
    """Return the answer of a record that has its texts. documents: by source, None for those that are gone."""
    record, texts = entry.record, entry.texts
    passages = [
        found
        for passage in record["passages"]
        if (found := _passage(passage, documents.get(passage.get("source", ""))))
    ]
    cited = {citation["source"] for citation in record["citations"] if citation["source"]}
    sources = cited | {passage["source"] for passage in record["passages"] if "source" in passage}
    groups = (document.groups for source in sorted(sources) if (document := documents.get(source)))
    return ServedAnswer(
        id=record["id"],
        time=record["time"],
        question=texts["question"],
        history=turns_before(texts),
        text=texts["answer"],
        status=record["status"],
        output=json.loads(texts["output"]) if "output" in texts else None,
        approach=record["approach"],
        confidence=record["confidence"],
        degradation=record["degradation"],
        cut=record["cut"],
        citations=tuple(_citation(citation, passages, documents) for citation in record["citations"]),
        passages=tuple(passages),
        changed=len(record["passages"]) - len(passages),
        document_groups=tuple(each for each in groups if EVERYONE not in each),
        asker=record["caller"],
        asker_groups=tuple(record["groups"]),
    )


def turns_before(texts: Mapping[str, str]) -> tuple[Message, ...]:
    """Return the conversation before a question, by the texts of its record."""
    return tuple(Message(role, content) for role, content in json.loads(texts.get("history", "[]")))


def may_see(
    groups: Collection[str],
    *,
    asker: Collection[str],
    documents: Collection[Collection[str]] = (),
    restricting: Collection[str] | None,
) -> bool:
    """Whether somebody with these groups may read all that the asker could, and each document as it is now.

    asker: groups of the asker. documents: groups of each restricted document. restricting: the groups that documents
    are restricted to; None: unknown, so that each group counts.
    """
    counting = {group for group in asker if restricting is None or group in restricting}
    return counting <= set(groups) and all(set(one) & set(groups) for one in documents)


def sources_of(entry: AuditEntry) -> set[str]:
    """Return the sources of the passages and citations of a record."""
    places = [*entry.record["passages"], *entry.record["citations"]]
    return {place["source"] for place in places if place.get("source")}


def _passage(place: Mapping[str, Any], document: Document | None) -> Passage | None:
    """Return a passage where its words still stand at its place."""
    if document is None:
        return None
    start, end = place["start"], place["end"]
    text = document.text[start:end]
    if digest_text(text) != place["text"]:
        return None
    return Passage(place["id"], document.id, document.source, 0, start, end, text, page=document.page_at(start))


def _citation(
    fields: Mapping[str, Any], passages: Sequence[Passage], documents: Mapping[str, Document | None]
) -> Citation:
    """Return a citation, with its quote where it lies in a passage that is as it was."""
    document = documents.get(fields["source"] or "")
    start, end = fields["start"], fields["end"]
    lies_in = any(
        passage.source == fields["source"] and start is not None and passage.start <= start and end <= passage.end
        for passage in passages
    )
    quote = document.text[start:end] if document and lies_in else ""
    page = document.page_at(start) if document and lies_in else None
    return Citation(**{**fields, "sentence": "", "quote": quote, "page": page})
