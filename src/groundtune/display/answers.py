"""Lay out answers, passages and verdicts for people. Judges nothing: support and scores were computed before."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from groundtune.display.blocks import Block, Fold, Line, Table, excerpt
from groundtune.display.limits import how_to_raise

if TYPE_CHECKING:
    from groundtune.types import Answer, Artifact, Citation, Hit, Usage, Verdict

QUOTE = 200
"""Characters of a quote that are shown."""
PASSAGE = 300
"""Characters of a passage that are shown."""
SUPPORT = {
    "exact": "exact",
    "close": "close",
    "missing": "NOT SUPPORTED by the cited passage",
    "uncited": "NOT CITED",
    "unchecked": "not checked",
}
"""What a person reads for a state of support; a state of another checker is shown by its name."""
UNCITED_ANSWER = "no sentence of this answer is cited"


def answer_view(answer: "Answer") -> list[Block]:
    """Return the text and its citations or, for an abstention, the nearest passages."""
    blocks: list[Block] = [Line(answer.text, "strong" if answer.status == "abstained" else "plain")]
    if answer.status == "abstained":
        blocks += _nearest(answer.hits)
    elif answer.citations:
        blocks += [Line(""), *map(_citation, answer.citations)]
    blocks += [Line(doubt, "strong") for doubt in answer_doubts(answer)]
    if details := answer_details(answer):
        blocks.append(Line(details, "dim"))
    return blocks


def answer_doubts(answer: "Answer") -> list[str]:
    """Return what makes an answer doubtful: a failure, that it cites nothing, that it was cut off, and its warnings."""
    cites = not answer.citations or any(citation.marker or citation.source for citation in answer.citations)
    cut = [f"the answer was cut off at {answer.cut}: {how_to_raise(answer.cut)}"] if answer.cut else []
    degraded = [answer.degradation] if answer.degradation else []
    return [*degraded, *([] if cites else [UNCITED_ANSWER]), *cut, *answer.warnings]


def trace_view(answer: "Answer") -> list[Block]:
    """Return how an answer came about: query, passages with the score of every stage, timings, tokens, prompt."""
    trace, usage = answer.trace, answer.usage
    hits = trace.prompt.hits if trace.prompt else answer.hits
    rows: list[list[Any]] = [
        ["answer", f"{answer.id}, {answer.time}"],
        ["approach", " > ".join(answer.route or (answer.approach,))],
        ["model", trace.model],
        ["searched for", trace.query],
        ["seconds", ", ".join(f"{step} {seconds:.3f}" for step, seconds in answer.steps.items()) or usage.seconds],
        ["tokens", _tokens(usage)],
        ["USD", None if usage.usd is None else f"{usage.usd:.6g}"],
        *([["cached", "yes; tokens and USD are those of the original call"]] if answer.cached else []),
        *(["note", note] for note in (*answer_doubts(answer), *trace.notes)),
    ]
    blocks: list[Block] = [Table(["trace", ""], rows)]
    if hits:
        stages = [stage for stage in ("bm25", "dense", "fused", "reranked") if any(stage in hit.stages for hit in hits)]
        scores = [
            [f"[{number}]", passage_place(hit), *(_score(hit.stages.get(stage)) for stage in stages)]
            for number, hit in enumerate(hits, start=1)
        ]
        blocks += [Line(""), Table(["", "passage", *stages], scores)]
    for message in trace.prompt.messages if trace.prompt else ():
        blocks += [Line(""), Line(f"{message.role}:", "strong"), Line(message.content, indent=1)]
    if trace.reply is not None:
        blocks += [Line(""), Line("reply, with the numbers of the prompt:", "strong"), Line(trace.reply, indent=1)]
    if answer.reasoning:
        blocks += [Line(""), Line("reasoning:", "strong"), Line(answer.reasoning, indent=1)]
    return blocks


def _tokens(usage: "Usage") -> str | None:
    counts = (
        ("in", usage.input_tokens),
        ("cached", usage.cached_tokens),
        ("out", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
    )
    return ", ".join(f"{count:,} {name}" for name, count in counts if count is not None) or None


def _score(score: float | None) -> float | None:
    return None if score is None else round(score, 3)


def hits_view(hits: Sequence["Hit"]) -> list[Block]:
    """Return the place, the score and the beginning of each passage, best first."""
    if not hits:
        return [Line("Nothing found.")]
    return [
        block
        for number, hit in enumerate(hits, start=1)
        for block in (
            Line(f"{number}. {passage_place(hit)}  ({hit.score:.3f})", "strong"),
            Line(excerpt(hit.passage.text, PASSAGE), indent=1),
        )
    ]


def verdict_view(verdict: "Verdict") -> list[Block]:
    """Return the recommendation, its reasons and what would change it."""
    return [
        Line(verdict.sentence, "strong"),
        *(Line(reason, indent=1) for reason in verdict.reasons),
        *(Line(f"ruled out: {name}: {'; '.join(why)}", indent=1) for name, why in verdict.ruled_out.items()),
        *(Line(f"would change the verdict: {flip.sentence}", indent=1) for flip in verdict.flips),
        *(Line(f"caveat: {caveat}", indent=1) for caveat in verdict.caveats),
    ]


def artifact_view(artifact: "Artifact") -> list[Block]:
    """Return the model, what it cost and how good it is on the validation split."""
    cost = "unknown cost" if artifact.usd is None else f"${artifact.usd:,.2f}"
    base = f" on {artifact.base}" if artifact.base else ""
    metrics = [[name, value] for name, value in artifact.metrics.items() if not name.startswith("train")]
    blocks: list[Block] = [Line(f"{artifact.id}: {artifact.kind}{base}, {artifact.seconds:.0f} s, {cost}", "strong")]
    if artifact.unusable:
        blocks.append(Line(f"not usable: {artifact.unusable}"))
    return [*blocks, Table(["on the validation split", ""], metrics)] if metrics else blocks


def _nearest(hits: "Iterable[Hit]") -> list[Block]:
    passages = [
        block
        for hit in hits
        for block in (Line(passage_place(hit), indent=1), Line(excerpt(hit.passage.text, QUOTE), "dim", indent=2))
    ]
    return [Line(""), Line("Nearest passages:"), *passages] if passages else []


def _citation(citation: "Citation") -> Block:
    title = citation_title(citation)
    if not citation.quote:
        return Line(title, "strong" if citation.support in ("missing", "uncited") else "plain")
    quote = Line(f'source text: "{excerpt(citation.quote, QUOTE)}"', "dim", indent=1)
    return Fold(title, [quote], open=citation.support == "close")


def citation_title(citation: "Citation") -> str:
    """Return `[1] exact: policies/returns.md > Returns, page 2`, or `NOT CITED: "the sentence"`.

    Without a marker, as beside a written text: `exact: policies/returns.md > Returns: "the sentence"`.
    """
    support = SUPPORT.get(citation.support, citation.support)
    if citation.source is None and citation.marker is None:
        return f'{support}: "{excerpt(citation.sentence, QUOTE)}"'
    where = "the model was given no passage of this number"
    if citation.source is not None:
        where = place(citation.source, citation.heading, citation.page) + _also_in(citation.also_in)
    added = " (marker added by groundtune)" if citation.added else ""
    newer = f"; an older version, see {citation.newer}" if citation.newer else ""
    if citation.marker is None:
        return f'{support}: {where}{newer}: "{excerpt(citation.sentence, QUOTE)}"'
    return f"[{citation.marker}] {support}{added}: {where}{newer}"


def answer_details(answer: "Answer") -> str:
    """Return the approach, its confidence, the seconds and the cost, as far as they are known."""
    usage = answer.usage
    parts = [
        answer.approach,
        f"confidence {answer.confidence:.2f}" if answer.confidence is not None else "",
        f"{usage.seconds:.2f} s" if usage.seconds is not None else "",
        f"{usage.usd:.5f} USD" if usage.usd else "",
    ]
    return ", ".join(part for part in parts if part)


def passage_place(hit: "Hit") -> str:
    """Return where a hit is: `policies/returns.md > Returns > Refunds, page 2`."""
    passage = hit.passage
    return place(passage.source, passage.heading, passage.page) + _also_in(hit.also_in)


def _also_in(sources: Sequence[str]) -> str:
    return f" (also in {', '.join(sources)})" if sources else ""


def place(source: str, heading: str = "", page: int | None = None) -> str:
    """Return source, heading and page in one line."""
    return " > ".join(part for part in (source, heading) if part) + (f", page {page}" if page else "")
