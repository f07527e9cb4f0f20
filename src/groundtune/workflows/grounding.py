"""Training rows out of what the project's own retriever really finds: gold and distractors, and sometimes no gold.

For `hybrid` a model is trained as it will be asked: over passages of which most do not answer. The recipe follows
RAFT (Zhang et al. 2024, arXiv 2403.10131): some rows lack the gold passage, and there the model must abstain.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict

from groundtune.approaches import cite, prompts
from groundtune.approaches.evidence import Retrieved
from groundtune.approaches.forms import Form
from groundtune.config import Config
from groundtune.errors import MissingError
from groundtune.lineup import Material
from groundtune.measure.metrics import covers, holds
from groundtune.opened import OpenIndex
from groundtune.text import sentences
from groundtune.tune.job import Row
from groundtune.types import Evidence, Example, Hit, Question, Scope

WITHOUT_GOLD = 0.2
"""Share of the answerable rows whose gold passages are taken out. RAFT found 0 to 40 % best, by data set."""
MINED = 20
"""Hits among which hard negatives are looked for."""


async def grounded_rows(
    config: Config, material: Material, form: Form, examples: Sequence[Example], *, seed: int
) -> list[Row]:
    """Chats over retrieved passages, the reply with checked citations; one row an example.

    An example whose gold passage is not found is a row without gold. One that has an answer but no evidence, or whose
    answer no sentence of the gold passage carries, is left out.
    """
    index = _index(material)
    gather = Retrieved(index.retriever, index.document, passages=config.answers.max_passages)
    chance = random.Random(seed)
    rows = []
    for example in examples:
        question = Question(example.input, scope=Scope(groups=example.groups))
        hits = await gather.gather(question)
        gold = [hit for hit in hits if any(_holds(hit, proof) for proof in example.evidence)]
        reply = _cited(example, hits) if gold else None
        if example.output is not None and (not example.evidence or (gold and reply is None)):
            continue  # nothing that could be cited, or nothing that may be: it would teach to hold back
        if reply is not None and chance.random() < WITHOUT_GOLD:
            reply, hits = None, [hit for hit in hits if hit not in gold]
        messages = prompts.messages(
            rules=form.rules(grounded=bool(hits)),
            kind=form.kind,
            text=example.input,
            hits=hits,
            question_at=config.context.question,
        )
        said = form.reply(None) if reply is None else reply
        turns = [asdict(message) for message in messages] + [{"role": "assistant", "content": said}]
        sources = tuple(dict.fromkeys(hit.passage.source for hit in hits))
        rows.append(Row(example.id, example.input, said, tuple(turns), sources=sources))
    return rows


async def retrieval_rows(material: Material, examples: Sequence[Example], *, negatives: int) -> list[Row]:
    """Questions with the passages that hold their evidence, and the best-ranked passages that do not."""
    index = _index(material)
    rows = []
    for example in examples:
        if not example.evidence:
            continue
        question = Question(example.input, scope=Scope(groups=example.groups))
        hits = await index.retriever.search(question, k=MINED)
        right = [text for proof in example.evidence for text in await _passages(index, proof)]
        wrong = [hit.passage.text for hit in hits if not any(_holds(hit, proof) for proof in example.evidence)]
        if right:
            texts = tuple(dict.fromkeys(right))
            used = [hit.passage.source for hit in hits if hit.passage.text in wrong[:negatives]]
            rows.append(
                Row(
                    example.id,
                    example.input,
                    None,
                    positives=texts,
                    negatives=tuple(wrong[:negatives]),
                    sources=tuple(dict.fromkeys([*(proof.source for proof in example.evidence), *used])),
                )
            )
    return rows


async def _passages(index: OpenIndex, proof: Evidence) -> list[str]:
    document = await index.lookup(proof.source)
    if document is None:
        return []
    passages = await index.passages_of(document.id)
    return [one.text for one in passages if holds(one.text, proof.quote) or covers(one.text, proof.quote)]


def _holds(hit: Hit, proof: Evidence) -> bool:
    """Whether the quote stands in the passage, whichever document it is of: a copy of the gold is no distractor."""
    return holds(hit.passage.text, proof.quote) or _proves(hit, proof)


def _proves(hit: Hit, proof: Evidence) -> bool:
    text = hit.passage.text
    return hit.passage.source == proof.source and (holds(text, proof.quote) or covers(text, proof.quote))


def _cited(example: Example, hits: Sequence[Hit]) -> str | None:
    """The sentence of a gold passage that holds the quote, with its number; None when no citation of it is exact."""
    for number, hit in enumerate(hits, start=1):
        for proof in example.evidence:
            if not _proves(hit, proof):
                continue
            spans = [hit.passage.text[start:end] for start, end in sentences(hit.passage.text)]
            found = [one for one in spans if holds(one, proof.quote)] or [proof.quote]
            reply = f"{found[0].strip().rstrip('.')} [{number}]."
            _, citations = cite.check(reply, list(hits))
            if citations and all(citation.support == "exact" for citation in citations):
                return reply
    return None


def _index(material: Material) -> OpenIndex:
    if material.index is None:
        raise MissingError("this project has no index yet", hint="groundtune ingest")
    return material.index
