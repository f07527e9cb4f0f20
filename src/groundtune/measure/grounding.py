"""Note which passages an answer was given, and whether the evidence of its example was among them. Judges nothing."""

from collections.abc import Container, Sequence
from itertools import zip_longest

from groundtune.common.names import same_name
from groundtune.measure.metrics import contains_most_of_quote, contains_quote
from groundtune.measure.retrieval_quality import LocatedEvidence
from groundtune.types import Answer, Evidence, EvidenceUse, Example, Grounding, Hit

MAX_IDS = 50
"""Ids of passages that are noted; an approach that reads the whole corpus has thousands."""


def grounding_of(answer: Answer, example: Example, located: Sequence[LocatedEvidence] = ()) -> Grounding:
    """Return what the answer could rest on.

    A passage holds a piece of evidence as `locate` decides: it has the whole quote or, if no passage of its document
    has, most of it. located: the evidence of the example in the index; empty where there is no index, and then the
    passages of the prompt are all that is known of the document.
    """
    prompt = answer.trace.prompt
    hits = prompt.hits if prompt else answer.hits
    if not hits and answer.trace.query is None:
        return Grounding(None, evidence=tuple(EvidenceUse(None, cited=False) for _ in example.evidence))
    cited = {citation.passage_id for citation in answer.citations}
    pieces = zip_longest(example.evidence, located)
    return Grounding(
        len(hits),
        tuple(hit.passage.id for hit in hits[:MAX_IDS]),
        tuple(_use(hits, piece, place, cited) for piece, place in pieces),
    )


def _use(
    hits: Sequence[Hit], evidence: Evidence, located: LocatedEvidence | None, cited: Container[str | None]
) -> EvidenceUse:
    ranks = _holding(hits, evidence, whole=located is not None and located.whole)
    if not ranks:
        return EvidenceUse(None, cited=False, missed=located.cause if located else None)
    return EvidenceUse(ranks[0], cited=any(hits[rank - 1].passage.id in cited for rank in ranks))


def _holding(hits: Sequence[Hit], evidence: Evidence, *, whole: bool) -> list[int]:
    """Return the ranks of the passages that hold a piece of evidence. whole: a passage in the index has all of it."""
    same = {
        rank: hit.passage.text
        for rank, hit in enumerate(hits, start=1)
        if any(same_name(source, evidence.source) for source in (hit.passage.source, *hit.also_in))
    }
    complete = [rank for rank, text in same.items() if contains_quote(text, evidence.quote)]
    if complete or whole:
        return complete
    return [rank for rank, text in same.items() if contains_most_of_quote(text, evidence.quote)]
