"""Training rows out of what the project's own retriever really finds: gold and distractors, and sometimes no gold.

For `hybrid` a model is trained as it will be asked: over passages of which most do not answer. The recipe follows
RAFT (Zhang et al. 2024, arXiv 2403.10131): some rows lack the gold passage, and there the model must abstain.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from groundtune import build
from groundtune.approaches import cite, prompts
from groundtune.approaches.evidence import join_neighbours
from groundtune.approaches.forms import Form
from groundtune.config import Config
from groundtune.errors import MissingError
from groundtune.lineup import Material
from groundtune.measure.metrics import covers, holds
from groundtune.opened import OpenIndex
from groundtune.text import sentences
from groundtune.tune.job import Ranking, Row
from groundtune.types import Evidence, Example, Hit, Passage, Question, Scope
from groundtune.workflows.withheld import Withheld

WITHOUT_GOLD = 0.2
"""Share of the answerable rows whose gold passages are taken out. RAFT found 0 to 40 % best, by data set."""
MINED = 20
"""Hits among which hard negatives are looked for."""
CANDIDATES = 100
"""Passages a question that a tuned retriever ranks where it is measured; those of all questions together."""
MEASURED = 500
"""Questions at most that it is measured on: more would narrow the interval little, and every passage is embedded."""
DIGITS = 6
"""Of what BM25 says, in a row."""


async def grounded_rows(
    config: Config,
    material: Material,
    form: Form,
    examples: Sequence[Example],
    *,
    seed: int,
    withheld: Withheld | None = None,
) -> list[Row]:
    """Chats over retrieved passages, the reply with checked citations; one row an example.

    An example whose gold passage is not found is a row without gold. One that has an answer but no evidence, or whose
    answer no sentence of the gold passage carries, is left out. Passages that give a test example away are passed over
    for the next ones; an example whose gold stands in nothing else is left out.
    """
    index = _index(material)
    withheld = withheld or Withheld()
    chance = random.Random(seed)
    rows = []
    for example in examples:
        hits, passed = await _gathered(index, example, withheld, most=config.answers.max_passages)
        gold = [hit for hit in hits if any(_holds(hit, proof) for proof in example.evidence)]
        reply = _cited(example, hits) if gold else None
        hidden = not gold and any(_holds(hit, proof) for hit in passed for proof in example.evidence)
        if example.output is not None and (not example.evidence or hidden or (gold and reply is None)):
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


async def retrieval_rows(
    material: Material,
    examples: Sequence[Example],
    *,
    negatives: int,
    part: Literal["embedder", "reranker"] = "embedder",
    measured: bool = False,
    withheld: Withheld | None = None,
) -> list[Row]:
    """Questions with the passages that hold their evidence, and the best-ranked passages that do not; among these none
    that gives a test example away.

    Texts are those that the part reads: an embedder what was embedded, a reranker the heading path and the text.
    measured: with the candidates of our own retriever, against which a tuned one is measured (the first MEASURED
    questions).
    """
    index = _index(material)
    known: set[str] = set()
    rows: list[Row] = []
    for example in examples:
        right = {one.id: one for proof in example.evidence for one in await _passages(index, proof)}
        if not right:
            continue
        question = Question(example.input, scope=Scope(groups=example.groups))
        hits = await index.retriever.search(question, k=MINED)
        strange = [hit.passage for hit in hits if not any(_holds(hit, proof) for proof in example.evidence)]
        wrong = [one for one in strange if withheld is None or not withheld.gives_away(one)][:negatives]
        ranked: list[Passage] = []
        if measured and len(rows) < MEASURED:
            ranked = [hit.passage for hit in await index.retriever.search(question, k=CANDIDATES, stage="fused")]
        texts = await _texts(index, [*right.values(), *wrong, *ranked], part)
        shares = await index.retriever.shares(question)
        ranking = Ranking(
            found=tuple(one.id for one in ranked),
            texts={key: text for key, text in texts.items() if key not in known},
            lexical={key: round(share, DIGITS) for key, share in shares.found.items()},
            floor=round(shares.floor, DIGITS),
            groups=tuple(sorted(example.groups)),
        )
        known.update(texts)
        rows.append(
            Row(
                example.id,
                example.input,
                None,
                positives=tuple(dict.fromkeys(texts[one] for one in right)),
                negatives=tuple(dict.fromkeys(texts[one.id] for one in wrong)),
                ranking=ranking,
                sources=tuple(
                    dict.fromkeys([*(proof.source for proof in example.evidence), *(one.source for one in wrong)])
                ),
            )
        )
    return rows


def served(config: Config, material: Material) -> dict[str, Any]:
    """How the project ranks today: what a tuned retriever is held against."""
    own = {"bundled": build.BUNDLED, "local": config.embedder.model}
    return {
        "embedder": own.get(config.embedder.kind),
        "dense_weight": _index(material).retriever.dense_weight,
        "dense_weight_fixed": config.retrieval.dense_weight is not None,
        "rerank_candidates": config.retrieval.rerank_candidates,
    }


async def _gathered(
    index: OpenIndex, example: Example, withheld: Withheld, *, most: int
) -> tuple[list[Hit], list[Hit]]:
    """What `Retrieved` gathers, and what was passed over on the way because it gives a test example away."""
    question = Question(example.input, scope=Scope(groups=example.groups))
    wanted = most
    while True:
        found = await index.retriever.search(question, k=wanted)
        passed = [hit for hit in found if withheld.gives_away(hit.passage)]
        if len(found) - len(passed) >= most or len(found) < wanted or wanted >= CANDIDATES:
            break
        wanted *= 2
    clean = [hit for hit in found if hit not in passed][:most]
    joined = await join_neighbours(clean, index.document)
    across = [hit for hit in joined if withheld.gives_away(hit.passage)]
    return [hit for hit in joined if hit not in across], passed + across


async def _texts(index: OpenIndex, passages: Sequence[Passage], part: str) -> dict[str, str]:
    """By id, as the part reads them."""
    headed = {one.id: one.headed for one in passages}
    if part == "reranker":
        return headed
    found = await index.store.embedded(headed)
    return {key: found.get(key, text) for key, text in headed.items()}


async def _passages(index: OpenIndex, proof: Evidence) -> list[Passage]:
    document = await index.lookup(proof.source)
    if document is None:
        return []
    passages = await index.passages_of(document.id)
    return [one for one in passages if holds(one.text, proof.quote) or covers(one.text, proof.quote)]


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
