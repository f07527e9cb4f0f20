"""Build training rows from what the project's own retriever finds: gold and distractors, sometimes without gold.

For `hybrid`, a model is trained the way it is used: on retrieved passages, most of which do not contain the answer. The
recipe follows RAFT (Zhang et al. 2024, arXiv 2403.10131): some rows lack the gold passage, and there the model must
abstain.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

from groundtune.approaches.context import shown_passages
from groundtune.approaches.output_formats import OutputFormat, prompt_messages
from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.build.training_kinds.decontamination import Decontaminator
from groundtune.citations.checking import check_citations
from groundtune.common.conversations import searched_text
from groundtune.common.names import same_name
from groundtune.config import Config
from groundtune.errors import MissingError
from groundtune.languages.text import sentences
from groundtune.measure.metrics import contains_most_of_quote, contains_quote
from groundtune.models.hub import BUNDLED
from groundtune.tune.job import BaselineRanking, TrainingRow
from groundtune.types import Evidence, Example, Hit, Passage, Question, Scope

WITHOUT_GOLD = 0.2
"""Share of answerable rows whose gold passages are removed. RAFT found 0 to 40% best, depending on the data set."""
NEGATIVES_DEPTH = 20
"""Number of hits searched for hard negatives."""
CANDIDATES = 100
"""Passages per question that a tuned retriever ranks when measured, pooled over all questions."""
MAX_MEASURED = 500
"""Maximum number of questions to measure it on: more narrow the interval little, and every passage is embedded."""
BM25_DIGITS = 6
"""Decimal places of BM25 scores in a row."""


async def grounded_rows(
    config: Config,
    resources: Resources,
    output_format: OutputFormat,
    examples: Sequence[Example],
    *,
    seed: int,
    decontaminator: Decontaminator | None = None,
) -> list[TrainingRow]:
    """Build chats over retrieved passages, with verified citations in the reply if the format has them.

    With citations, an example whose gold passage is not retrieved becomes a row without gold, and examples that have an
    answer but no evidence, or whose answer is in no sentence of the gold passage, are left out. Without citations, the
    reply is the gold output, and examples of whose evidence a part is not retrieved are left out: they would teach the
    model to invent it. Passages that leak a test example are replaced by the next-ranked ones; examples whose gold is
    in no other passage are left out.
    """
    index = _index(resources)
    decontaminator = decontaminator or Decontaminator()
    rng = random.Random(seed)
    rows = []
    for example in examples:
        hits, skipped = await _gather_clean(index, example, decontaminator, most=config.answers.max_passages)
        if output_format.cites:
            gold = [hit for hit in hits if any(_holds(hit, proof) for proof in example.evidence)]
            reply = _cited_reply(example, hits, language=config.language) if gold else None
            gold_was_skipped = not gold and any(_holds(hit, proof) for hit in skipped for proof in example.evidence)
            if example.output is not None and (not example.evidence or gold_was_skipped or (gold and reply is None)):
                continue  # no citable evidence: the row would teach the model to abstain
            if reply is not None and rng.random() < WITHOUT_GOLD:
                reply, hits = None, [hit for hit in hits if hit not in gold]
        else:
            if not all(any(_holds(hit, proof) for hit in hits) for proof in example.evidence):
                continue
            reply = None if example.output is None else output_format.gold_reply(example.output)
        messages = prompt_messages(
            output_format,
            example.input,
            history=example.history,
            hits=hits,
            question_at=config.context.question,
        )
        target = output_format.gold_reply(None) if reply is None else reply
        turns = [asdict(message) for message in messages] + [{"role": "assistant", "content": target}]
        sources = tuple(dict.fromkeys(hit.passage.source for hit in hits))
        history = tuple(map(asdict, example.history))
        row = TrainingRow(example.id, example.input, target, tuple(turns), sources=sources, history=history)
        rows.append(row if reply is None else replace(row, reasoning=example.reasoning))
    return rows


async def retrieval_rows(
    resources: Resources,
    examples: Sequence[Example],
    *,
    negatives: int,
    part: Literal["embedder", "reranker"] = "embedder",
    measured: bool = False,
    decontaminator: Decontaminator | None = None,
) -> list[TrainingRow]:
    """Pair questions with the passages that contain their evidence and with the best-ranked passages that do not.

    Negatives never leak a test example. Texts are what the part reads: the embedded text for an embedder, heading
    path and text for a reranker. measured: include the candidates of the current retriever, the baseline for a tuned
    one (first MAX_MEASURED questions only).
    """
    index = _index(resources)
    texts_written: set[str] = set()
    rows: list[TrainingRow] = []
    for example in examples:
        gold = {passage.id: passage for proof in example.evidence for passage in await _passages_with(index, proof)}
        if not gold:
            continue
        question = _question(index, example)
        hits = await index.retriever.search(question, k=NEGATIVES_DEPTH)
        without_evidence = [hit.passage for hit in hits if not any(_holds(hit, proof) for proof in example.evidence)]
        distractors = [
            passage
            for passage in without_evidence
            if decontaminator is None or not decontaminator.leaks_test_example(passage)
        ][:negatives]
        ranked: list[Passage] = []
        if measured and len(rows) < MAX_MEASURED:
            ranked = [hit.passage for hit in await index.retriever.search(question, k=CANDIDATES, stage="fused")]
        texts = await _texts(index, [*gold.values(), *distractors, *ranked], part)
        shares = await index.retriever.lexical_shares(question)
        ranking = BaselineRanking(
            found=tuple(passage.id for passage in ranked),
            texts={key: text for key, text in texts.items() if key not in texts_written},
            lexical={key: round(share, BM25_DIGITS) for key, share in shares.by_id.items()},
            floor=round(shares.floor, BM25_DIGITS),
            groups=tuple(sorted(example.groups)),
        )
        texts_written.update(texts)
        rows.append(
            TrainingRow(
                example.id,
                question.text,
                None,
                positives=tuple(dict.fromkeys(texts[passage_id] for passage_id in gold)),
                negatives=tuple(dict.fromkeys(texts[passage.id] for passage in distractors)),
                ranking=ranking,
                sources=tuple(
                    dict.fromkeys(
                        [*(proof.source for proof in example.evidence), *(passage.source for passage in distractors)]
                    )
                ),
            )
        )
    return rows


def ranking_settings(config: Config, resources: Resources) -> dict[str, Any]:
    """Return the current ranking settings, the baseline for a tuned retriever."""
    local_models = {"bundled": BUNDLED, "local": config.embedder.model}
    return {
        "embedder": local_models.get(config.embedder.kind),
        "dense_weight": _index(resources).retriever.dense_weight,
        "dense_weight_fixed": config.retrieval.dense_weight is not None,
        "rerank_candidates": config.retrieval.rerank_candidates,
    }


async def _gather_clean(
    index: OpenIndex, example: Example, decontaminator: Decontaminator, *, most: int
) -> tuple[list[Hit], list[Hit]]:
    """Return the hits that `RetrievedContext` would gather, and those skipped because they leak a test example."""
    question = _question(index, example)
    k = most
    while True:
        hits = await index.retriever.search(question, k=k)
        skipped = [hit for hit in hits if decontaminator.leaks_test_example(hit.passage)]
        if len(hits) - len(skipped) >= most or len(hits) < k or k >= CANDIDATES:
            break
        k *= 2
    clean = [hit for hit in hits if hit not in skipped][:most]
    joined = await shown_passages(clean, index.document)
    leaking_joined = [hit for hit in joined if decontaminator.leaks_test_example(hit.passage)]
    return [hit for hit in joined if hit not in leaking_joined], skipped + leaking_joined


async def _texts(index: OpenIndex, passages: Sequence[Passage], part: str) -> dict[str, str]:
    """Return texts by passage id, as the part reads them."""
    headed = {passage.id: passage.headed for passage in passages}
    if part == "reranker":
        return headed
    embedded = await index.store.embedded_texts(headed)
    return {key: embedded.get(key, text) for key, text in headed.items()}


async def _passages_with(index: OpenIndex, proof: Evidence) -> list[Passage]:
    document = await index.document_by_source(proof.source)
    if document is None:
        return []
    passages = await index.passages(document.id)
    return [
        passage
        for passage in passages
        if contains_quote(passage.text, proof.quote) or contains_most_of_quote(passage.text, proof.quote)
    ]


def _holds(hit: Hit, proof: Evidence) -> bool:
    """Whether the passage contains the quote, from any document: a copy of the gold passage is not a distractor."""
    return contains_quote(hit.passage.text, proof.quote) or _proves(hit, proof)


def _proves(hit: Hit, proof: Evidence) -> bool:
    text = hit.passage.text
    return same_name(hit.passage.source, proof.source) and (
        contains_quote(text, proof.quote) or contains_most_of_quote(text, proof.quote)
    )


def _cited_reply(example: Example, hits: Sequence[Hit], *, language: str) -> str | None:
    """Return the gold sentence that contains the quote, with its citation; None if no citation of it is exact."""
    for number, hit in enumerate(hits, start=1):
        for proof in example.evidence:
            if not _proves(hit, proof):
                continue
            spans = [hit.passage.text[start:end] for start, end in sentences(hit.passage.text, language=language)]
            matching = [span for span in spans if contains_quote(span, proof.quote)] or [proof.quote]
            reply = f"{matching[0].strip().rstrip('.')} [{number}]."
            _, citations = check_citations(reply, list(hits), language=language)
            if citations and all(citation.support == "exact" for citation in citations):
                return reply
    return None


def _question(index: OpenIndex, example: Example) -> Question:
    """Return what is searched for an example."""
    return Question(searched_text(example, index.history), scope=Scope(groups=example.groups))


def _index(resources: Resources) -> OpenIndex:
    if resources.index is None:
        raise MissingError("this project has no index yet", hint="groundtune ingest")
    return resources.index
