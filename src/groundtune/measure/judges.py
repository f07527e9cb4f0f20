"""Score answers with an LLM as judge. Never turns a failure into a number.

The four RAG metrics follow Es et al. 2023, "RAGAS: Automated Evaluation of Retrieval Augmented Generation" (arXiv
2309.15217), and the RAGAS documentation (docs.ragas.io, available metrics); the prompts are groundtune's own.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.common.answers import total_usage
from groundtune.common.json_schema import parse_reply, schema_checker
from groundtune.common.text import one_line
from groundtune.display.limits import how_to_raise
from groundtune.errors import JudgeError, ProviderError, UsageError
from groundtune.measure import judge_prompts as prompts
from groundtune.measure.metrics import gold_texts, without_markers
from groundtune.protocols import Embedder, Generator
from groundtune.types import Answer, Example, Generation, Hit, Prompt, Task, Usage

METRICS = ("judge", "faithfulness", "answer_relevancy", "context_precision", "context_recall")
MAX_ATTEMPTS = 2
"""Attempts per judge call; a retry includes why the previous reply was unusable."""
PASSAGES_PER_CALL = 10
"""Passages per judge call for `context_precision`."""
_SHOWN = 200

Rating = tuple[float, str]
"""Score and reason."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's scores for one answer."""

    scores: Mapping[str, float]
    """Scores by metric, 0 to 1; a metric that does not apply is absent."""
    reasons: Mapping[str, str]
    """Reason for each score."""
    usage: Usage
    """Total over all calls of the judge; None where any is unknown. All 0 when no model was needed.

    Excludes embedding calls.
    """
    used_model: bool
    """Whether the model was called; False if the scores follow from the abstention alone."""


class Judge:
    """An LLM judge for metrics that cannot be computed by rule. Safe for concurrent use.

    metrics: any of `judge`, `faithfulness`, `answer_relevancy` (needs `embedder`), `context_precision` and
    `context_recall`. instructions: the project's definition of a correct answer, used by `judge`.
    task: `write` makes `judge` a rating of quality. Raises UsageError for an unknown metric or a missing embedder.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        metrics: Sequence[str],
        instructions: str | None = None,
        embedder: Embedder | None = None,
        task: Task = "answer",
    ) -> None:
        self.name = generator.name
        self._generator = generator
        self._instructions = instructions
        self._embedder = embedder
        self._task = task
        self._metrics = self._known(metrics)

    async def judge(
        self, question: str, answer: Answer, example: Example, *, metrics: Sequence[str] | None = None
    ) -> Judgement:
        """Score one answer. metrics: replaces the judge's own metrics.

        Raises JudgeError when the endpoint fails, cuts a reply off, or returns two unusable replies in a row; then no
        metric has a score.
        """
        case = _Case(self._generator, question, answer, example)
        ratings: dict[str, Rating] = {}
        for metric in self._metrics if metrics is None else self._known(metrics):
            if (rating := await self._rate(metric, case)) is not None:
                ratings[metric] = rating
        return Judgement(
            scores={metric: score for metric, (score, _) in ratings.items()},
            reasons={metric: reason for metric, (_, reason) in ratings.items()},
            usage=total_usage(case.usages),
            used_model=bool(case.usages),
        )

    def _known(self, metrics: Sequence[str]) -> tuple[str, ...]:
        if unknown := [metric for metric in metrics if metric not in METRICS]:
            raise UsageError(f"unknown metric {', '.join(unknown)}", hint=f"use any of {', '.join(METRICS)}")
        if "answer_relevancy" in metrics and self._embedder is None:
            raise UsageError("answer_relevancy needs an embedder")
        return tuple(dict.fromkeys(metrics))

    async def _rate(self, metric: str, case: "_Case") -> Rating | None:
        if metric == "judge":
            return await _judge(case, self._instructions, self._task)
        if metric == "answer_relevancy" and self._embedder is not None:
            return await _answer_relevancy(case, self._embedder)
        return await _ABOUT_HITS[metric](case)


class _Case:
    """One answer being judged, with the usage of the calls so far."""

    def __init__(self, generator: Generator, question: str, answer: Answer, example: Example) -> None:
        self.question = question
        self.answer = answer
        self.gold = example.output
        self.usages: list[Usage] = []
        self._generator = generator

    @property
    def answered(self) -> bool:
        return self.answer.status == "answered"

    @property
    def text(self) -> str:
        """The answer as text: without citation markers, or its label or object."""
        output = self.answer.output
        return without_markers(self.answer) if output is None else _text(output)

    async def ask(self, metric: str, prompt: Prompt) -> Any:
        """Return the reply as a value of the prompt's schema. Raises JudgeError."""
        fault_of = schema_checker(prompt.schema or {})
        fault = reply = ""
        for attempt in range(MAX_ATTEMPTS):
            attempt_prompt = prompts.retry(prompt, reply, fault) if attempt else prompt
            generation = await self._generate(metric, attempt_prompt)
            reply = generation.text
            try:
                value = parse_reply(reply, lambda value: fault_of(value) is None)
            except ValueError as error:
                fault = str(error)
            else:
                if (violation := fault_of(value)) is None:
                    return value
                fault = violation
            if generation.cut:  # another reply would be cut as well, and paid for
                raise self._cut(metric, reply, generation.cut)
        raise self.failed(metric, f"{fault}; the reply was: {one_line(reply, most=_SHOWN)}")

    def failed(self, metric: str, why: str) -> JudgeError:
        return JudgeError(
            f"the judge {self._generator.name} gave no usable reply for {metric}: {why}",
            hint="use a stronger judge model, or an endpoint that enforces a JSON Schema",
        )

    def _cut(self, metric: str, reply: str, limit: str) -> JudgeError:
        advice = how_to_raise(limit)
        return JudgeError(
            f"the reply of the judge {self._generator.name} for {metric} was cut off at {limit} ({advice}): "
            f"{one_line(reply, most=_SHOWN)}",
            hint=advice,
        )

    async def _generate(self, metric: str, prompt: Prompt) -> Generation:
        try:
            generation = await self._generator.generate(prompt)
        except ProviderError as error:
            message = f"the judge failed for {metric}: {error.message}"
            if error.cut:
                message = f"{message} ({how_to_raise(error.cut)})"
            raise JudgeError(message, failure=error.kind, hint=error.hint) from error
        self.usages.append(generation.usage)
        return generation


async def _judge(case: _Case, instructions: str | None, task: Task) -> Rating:
    """Rate correctness against the gold answer: 0 or 1. Abstentions are judged without a model.

    For task write: the share of the criteria met (facts, form, and instructions if there are any).
    """
    if case.gold is None or not case.answered:
        if case.gold is not None:
            return 0.0, "Abstained although there is a correct answer."
        if case.answered:
            return 0.0, "Answered although abstaining is correct."
        return 1.0, "Abstained, which is correct."
    if task != "write":
        reply = await case.ask("judge", prompts.correctness(case.question, case.text, case.gold, instructions))
        return float(reply["right"]), reply["reason"]
    reply = await case.ask("judge", prompts.quality(case.question, case.text, case.gold, instructions))
    criteria = [name for name in prompts.CRITERIA if name in reply]
    missed = [name for name in criteria if not reply[name]]
    reason = f"Not met: {', '.join(missed)}. {reply['reason']}" if missed else reply["reason"]
    return 1 - len(missed) / len(criteria), reason


async def _faithfulness(case: _Case) -> Rating | None:
    """Share of the answer's claims that the hits support (RAGAS faithfulness).

    Absent without hits, when abstained, and when the answer makes no claim.
    """
    if not case.answered or not case.answer.hits:
        return None
    return await _supported(case, "faithfulness", case.text)


async def _context_recall(case: _Case) -> Rating | None:
    """Share of the gold answer's claims that the hits support (RAGAS context recall).

    Measures retrieval alone, so it applies to abstentions too; absent without hits, without a gold answer, and when
    the gold answer makes no claim. Uses the first of several gold answers.
    """
    if case.gold is None or not case.answer.hits:
        return None
    gold = _text(case.gold) if isinstance(case.gold, Mapping) else gold_texts(case.gold)[0]
    return await _supported(case, "context_recall", gold)


async def _supported(case: _Case, metric: str, text: str) -> Rating | None:
    """Share of the text's claims that the hits support."""
    reply = await case.ask(metric, prompts.claims(case.question, text))
    claims = [claim for claim in reply["claims"] if claim.strip()]
    if not claims:
        return None
    verdicts = await case.ask(metric, prompts.claim_support(case.question, claims, case.answer.hits))
    supported = [verdicts[str(number)]["supported"] for number in range(1, len(claims) + 1)]
    unsupported = [f'"{claim}"' for claim, is_supported in zip(claims, supported, strict=True) if not is_supported]
    reason = f"{sum(supported)} of {len(supported)} claims are supported by the passages"
    score = sum(supported) / len(supported)
    return score, f"{reason}; unsupported: {', '.join(unsupported)}." if unsupported else f"{reason}."


async def _answer_relevancy(case: _Case, embedder: Embedder) -> Rating | None:
    """Mean cosine similarity of the question and three questions generated from the answer (RAGAS answer relevancy).

    From 0 to 1: 0 when the answer is noncommittal; a negative mean counts as 0. Says nothing about correctness. Absent
    when abstained. One call generates all three questions; RAGAS uses three calls.
    """
    if not case.answered:
        return None
    reply = await case.ask("answer_relevancy", prompts.questions(case.text))
    if reply["noncommittal"]:
        return 0.0, "The answer is noncommittal."
    questions = [reply[name].strip() for name in prompts.QUESTION_KEYS]
    if not all(questions):
        raise case.failed("answer_relevancy", f"an empty question: {one_line(_text(reply), most=_SHOWN)}")
    try:
        vectors = await embedder.embed_queries([case.question, *questions])
    except ProviderError as error:
        message = f"embedding failed for answer_relevancy: {error.message}"
        raise JudgeError(message, failure=error.kind, hint=error.hint) from error
    mean = float((vectors[1:] @ vectors[0]).mean())
    return min(max(mean, 0.0), 1.0), f"The answer would fit these questions: {' / '.join(questions)}"


async def _context_precision(case: _Case) -> Rating | None:
    """Mean of precision@k over the ranks k of the useful hits (RAGAS context precision); 0 when none is useful.

    A hit is useful when it helps to arrive at the gold answer. Measures retrieval alone, so it applies to abstentions
    too; absent without hits or without a gold answer.
    """
    hits = case.answer.hits
    if case.gold is None or not hits:
        return None
    batches = [hits[start : start + PASSAGES_PER_CALL] for start in range(0, len(hits), PASSAGES_PER_CALL)]
    useful = [verdict for batch in batches for verdict in await _useful(case, batch)]
    ranks = [rank for rank, is_useful in enumerate(useful, start=1) if is_useful]
    reason = f"{len(ranks)} of {len(hits)} passages are useful"
    if not ranks:
        return 0.0, f"{reason}."
    precisions = [count / rank for count, rank in enumerate(ranks, start=1)]
    return sum(precisions) / len(ranks), f"{reason}: ranks {', '.join(map(str, ranks))}."


async def _useful(case: _Case, hits: Sequence[Hit]) -> list[bool]:
    reply = await case.ask("context_precision", prompts.passage_usefulness(case.question, case.gold, hits))
    return [reply[str(number)]["useful"] for number in range(1, len(hits) + 1)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_ABOUT_HITS: Mapping[str, Callable[[_Case], Awaitable[Rating | None]]] = {
    "faithfulness": _faithfulness,
    "context_precision": _context_precision,
    "context_recall": _context_recall,
}
