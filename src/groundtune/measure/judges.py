"""Turn an answer into the scores of a judge, a model that reads it. Never makes a number out of a failure.

The four metrics about retrieval follow Es et al. 2023, "RAGAS: Automated Evaluation of Retrieval Augmented
Generation" (arXiv 2309.15217), and the documentation of RAGAS (docs.ragas.io, available metrics); prompts are ours.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from groundtune.errors import JudgeError, ProviderError, UsageError
from groundtune.json_values import read_reply, schema_fault
from groundtune.measure import judge_prompts as prompts
from groundtune.measure.metrics import gold_texts, without_markers
from groundtune.protocols import Embedder, Generator
from groundtune.types import Answer, Example, Generation, Hit, Prompt, Task, Usage

METRICS = ("judge", "faithfulness", "answer_relevancy", "context_precision", "context_recall")
TRIES = 2
"""Replies of one question to the judge; after the first one that cannot be used it is told why."""
PASSAGES_AT_A_TIME = 10
"""Passages that one question to the judge holds for `context_precision`."""
_SHOWN = 200

Rated = tuple[float, str]
"""Score and reason."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge made of one answer."""

    scores: Mapping[str, float]
    """0 to 1 by metric; a metric that does not apply is absent."""
    reasons: Mapping[str, str]
    """Why, for each of the scores."""
    usage: Usage
    """Of all calls of the judge together; None where one of them is unknown. All 0 when no model was needed.

    What embedding took is not in it.
    """
    asked: bool
    """False when no model was needed: the scores follow from who abstained."""


class Judge:
    """A model that scores what no rule can. Safe to use for many answers at a time.

    metrics: of `judge`, `faithfulness`, `answer_relevancy` (needs `embedder`), `context_precision` and
    `context_recall`. instructions: what counts as right, in the words of the project; they go into `judge`.
    task: `write` makes `judge` a rating of quality. Raises UsageError for a metric that is not known, or that
    has no embedder.
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
        """The scores of one answer. metrics: these in the place of the judge's own.

        Raises JudgeError when the endpoint fails, or gives no usable reply twice in a row; then there is no score
        of any metric.
        """
        case = _Case(self._generator, question, answer, example)
        rated: dict[str, Rated] = {}
        for metric in self._metrics if metrics is None else self._known(metrics):
            if (found := await self._rate(metric, case)) is not None:
                rated[metric] = found
        return Judgement(
            scores={metric: score for metric, (score, _) in rated.items()},
            reasons={metric: reason for metric, (_, reason) in rated.items()},
            usage=total(case.usages),
            asked=bool(case.usages),
        )

    def _known(self, metrics: Sequence[str]) -> tuple[str, ...]:
        if unknown := [metric for metric in metrics if metric not in METRICS]:
            raise UsageError(f"no metric {', '.join(unknown)}", hint=f"a judge knows {', '.join(METRICS)}")
        if "answer_relevancy" in metrics and self._embedder is None:
            raise UsageError("answer_relevancy needs an embedder")
        return tuple(dict.fromkeys(metrics))

    async def _rate(self, metric: str, case: "_Case") -> Rated | None:
        if metric == "judge":
            return await _judge(case, self._instructions, self._task)
        if metric == "answer_relevancy" and self._embedder is not None:
            return await _answer_relevancy(case, self._embedder)
        return await _ABOUT_HITS[metric](case)


class _Case:
    """One answer before its judge, with what the calls took so far."""

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
        """What the answer says: its text without markers, or its label or object."""
        output = self.answer.output
        return without_markers(self.answer) if output is None else _text(output)

    async def ask(self, what: str, prompt: Prompt) -> Any:
        """The reply as a value of the prompt's schema. Raises JudgeError."""
        fault_of = schema_fault(prompt.schema or {})
        fault = reply = ""
        for attempt in range(TRIES):
            asked = prompts.again(prompt, reply, fault) if attempt else prompt
            reply = (await self._generate(what, asked)).text
            try:
                value = read_reply(reply)
            except ValueError as error:
                fault = str(error)
                continue
            if (wrong := fault_of(value)) is None:
                return value
            fault = wrong
        raise self.failed(what, f"{fault}; the reply was: {_excerpt(reply)}")

    def failed(self, what: str, why: str) -> JudgeError:
        return JudgeError(
            f"the judge {self._generator.name} gave no usable reply for {what}: {why}",
            hint="use a stronger model as judge, or one whose endpoint can hold it to a JSON Schema",
        )

    async def _generate(self, what: str, prompt: Prompt) -> Generation:
        try:
            generation = await self._generator.generate(prompt)
        except ProviderError as error:
            message = f"the judge failed at {what}: {error.message}"
            raise JudgeError(message, failure=error.kind, hint=error.hint) from error
        self.usages.append(generation.usage)
        return generation


async def _judge(case: _Case, instructions: str | None, task: Task) -> Rated:
    """Whether the answer is right against the gold answer: 0 or 1. Who abstained is judged without a model.

    Of task write: the share of the criteria (facts, form, and instructions where there are any) that hold.
    """
    if case.gold is None or not case.answered:
        if case.gold is not None:
            return 0.0, "Abstained, though there is a right answer."
        if case.answered:
            return 0.0, "Answered, though abstaining is right."
        return 1.0, "Abstained, which is right."
    if task != "write":
        reply = await case.ask("judge", prompts.right(case.question, case.text, case.gold, instructions))
        return float(reply["right"]), reply["reason"]
    reply = await case.ask("judge", prompts.quality(case.question, case.text, case.gold, instructions))
    criteria = [name for name in prompts.CRITERIA if name in reply]
    missed = [name for name in criteria if not reply[name]]
    reason = f"Not met: {', '.join(missed)}. {reply['reason']}" if missed else reply["reason"]
    return 1 - len(missed) / len(criteria), reason


async def _faithfulness(case: _Case) -> Rated | None:
    """Claims of the answer that follow from the hits, over all its claims (RAGAS faithfulness).

    Absent without hits, when abstained, and when the answer claims nothing.
    """
    if not case.answered or not case.answer.hits:
        return None
    return await _supported(case, "faithfulness", case.text)


async def _context_recall(case: _Case) -> Rated | None:
    """Claims of the gold answer that follow from the hits, over all its claims (RAGAS context recall).

    Looks at retrieval alone, so it applies to abstentions too; absent without hits, without a gold answer, and when
    that claims nothing. Of several gold answers the first one counts.
    """
    if case.gold is None or not case.answer.hits:
        return None
    gold = _text(case.gold) if isinstance(case.gold, Mapping) else gold_texts(case.gold)[0]
    return await _supported(case, "context_recall", gold)


async def _supported(case: _Case, metric: str, text: str) -> Rated | None:
    """Share of the text's claims that follow from the hits."""
    reply = await case.ask(metric, prompts.claims(case.question, text))
    claims = [claim for claim in reply["claims"] if claim.strip()]
    if not claims:
        return None
    verdicts = await case.ask(metric, prompts.supported(case.question, claims, case.answer.hits))
    held = [verdicts[str(number)]["supported"] for number in range(1, len(claims) + 1)]
    lost = [f'"{claim}"' for claim, good in zip(claims, held, strict=True) if not good]
    reason = f"{sum(held)} of {len(held)} claims follow from the passages"
    return sum(held) / len(held), f"{reason}; not: {', '.join(lost)}." if lost else f"{reason}."


async def _answer_relevancy(case: _Case, embedder: Embedder) -> Rated | None:
    """Mean cosine of the question with three questions made from the answer (RAGAS answer relevancy), 0 to 1.

    0 when the answer is noncommittal; a mean below 0 counts as 0. Says nothing about truth. Absent when abstained.
    The three questions come out of one call, where RAGAS makes three.
    """
    if not case.answered:
        return None
    reply = await case.ask("answer_relevancy", prompts.questions(case.text))
    if reply["noncommittal"]:
        return 0.0, "The answer is noncommittal."
    made = [reply[name].strip() for name in prompts.QUESTIONS]
    if not all(made):
        raise case.failed("answer_relevancy", f"an empty question: {_excerpt(_text(reply))}")
    try:
        vectors = await embedder.embed_queries([case.question, *made])
    except ProviderError as error:
        message = f"answer_relevancy: no vectors: {error.message}"
        raise JudgeError(message, failure=error.kind, hint=error.hint) from error
    mean = float((vectors[1:] @ vectors[0]).mean())
    return min(max(mean, 0.0), 1.0), f"The answer would fit: {' / '.join(made)}"


async def _context_precision(case: _Case) -> Rated | None:
    """Mean of precision@k over the ranks k of the useful hits (RAGAS context precision); 0 when none is useful.

    Useful = helps to arrive at the gold answer. Looks at retrieval alone, so it applies to abstentions too; absent
    without hits and without a gold answer.
    """
    hits = case.answer.hits
    if case.gold is None or not hits:
        return None
    parts = [hits[start : start + PASSAGES_AT_A_TIME] for start in range(0, len(hits), PASSAGES_AT_A_TIME)]
    useful = [verdict for part in parts for verdict in await _useful(case, part)]
    ranks = [rank for rank, good in enumerate(useful, start=1) if good]
    reason = f"{len(ranks)} of {len(hits)} passages are useful"
    if not ranks:
        return 0.0, f"{reason}."
    precisions = [found / rank for found, rank in enumerate(ranks, start=1)]
    return sum(precisions) / len(ranks), f"{reason}: number {', '.join(map(str, ranks))}."


async def _useful(case: _Case, hits: Sequence[Hit]) -> list[bool]:
    reply = await case.ask("context_precision", prompts.useful(case.question, case.gold, hits))
    return [reply[str(number)]["useful"] for number in range(1, len(hits) + 1)]


def total(usages: Sequence[Usage]) -> Usage:
    """The sum; a part that is unknown in one of them is unknown. Of none all is 0."""

    def add(name: str) -> Any:
        values = [getattr(usage, name) for usage in usages]
        return None if None in values else sum(values)

    return Usage(**{one.name: add(one.name) for one in fields(Usage)})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


_ABOUT_HITS: Mapping[str, Callable[[_Case], Awaitable[Rated | None]]] = {
    "faithfulness": _faithfulness,
    "context_precision": _context_precision,
    "context_recall": _context_recall,
}
