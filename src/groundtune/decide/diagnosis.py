"""Say what to try first where an approach fails, and how much it could repair. Counts nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from groundtune.approaches.families import family_of
from groundtune.decide.wording import join_names
from groundtune.display.limits import how_to_raise
from groundtune.measure.tables import Cause, Failures
from groundtune.types import ApproachSummary, Interval, Task

_TRY_WORDINGS = 'try other wordings: [compare] prompts = ["full", "short", "example"]'
_LARGER_MODEL = "try a larger model: one more table [models.NAME]"
_EVALUATE = "groundtune evaluate shows why retrieval misses the evidence"
_SEARCH = {
    "not ingested": "the quotes are in no document of the index; groundtune evaluate lists them",
    "no access": "whoever asks may not read these documents; correct [[documents.access]], or groups of the examples",
    "split across passages": "the quotes are cut apart; try longer passages, max_tokens under [passages]",
    "ranked too low": "groundtune evaluate --sweep looks for settings that rank the evidence higher",
}
"""What to try first by the reason for which evidence is missing from the prompt."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A cause of failures of an approach, and what to do about it."""

    cause: Cause
    count: int
    share: Interval
    """Share of all rows of the approach."""
    gain_at_most: float
    """How far the share of right answers rises if this is repaired everywhere; 0 for answers that are right already."""
    examples: tuple[str, ...]
    """Ids of the first three."""
    advice: str
    """The one thing to try first, and what will not help."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where an approach fails. The causes exclude each other, and their counts add up to the failures."""

    approach: str
    n: int
    """All rows of the approach, errors included."""
    failures: int
    causes: tuple[Remedy, ...]
    """Those that occur: whose repair could gain most first, then the most frequent."""


def diagnose(
    failures: Mapping[str, Failures], summaries: Sequence[ApproachSummary], *, task: Task = "answer"
) -> tuple[Diagnosis, ...]:
    """Return the diagnosis of each approach, best first. summaries: also say at which limits replies were cut off."""
    limits = {summary.name: next(iter(summary.cut), "") for summary in summaries}
    means = {summary.name: -1.0 if summary.mean is None else summary.mean for summary in summaries}
    best_first = sorted(failures.items(), key=lambda item: -means.get(item[0], -1.0))
    return tuple(
        Diagnosis(name, found.n, found.count, tuple(_remedies(name, found, task, limits.get(name, ""))))
        for name, found in best_first
    )


def _remedies(name: str, found: Failures, task: Task, limit: str) -> list[Remedy]:
    remedies = [
        Remedy(
            each.cause,
            each.count,
            each.share,
            0.0 if each.cause == "right but uncited" else each.share.mean,
            each.examples,
            _advice(each.cause, name, found, task, limit),
        )
        for each in found.causes
    ]
    return sorted(remedies, key=lambda remedy: (-remedy.gain_at_most, -remedy.count))


def _advice(cause: Cause, approach: str, found: Failures, task: Task, limit: str) -> str:
    """Return the one thing to try first. limit: the one at which most of its replies were cut off."""
    match cause:
        case "cut off":
            return how_to_raise(limit)
        case "format wrong":
            return f"more documents will not help: {_form(approach, task)}"
        case "error":
            return "groundtune compare asks these once more; the first error says what is wrong"
        case "should have abstained":
            if found.states_confidence:
                return "add examples without an answer to the validation split: compare fits the threshold on them"
            if found.takes_passages and task == "answer":
                return "set strict = true under [answers]: it abstains where no passage supports the answer"
            return _TRY_WORDINGS
        case "unknown":
            if found.takes_passages is None:
                return "groundtune compare --fresh notes what was in each prompt; this run does not say it"
            return 'add "evidence" to these examples: without it nothing tells retrieval from generation'
        case "evidence not retrieved":
            return f"no tuning of the generator will help: {_SEARCH.get(found.missed or '', _EVALUATE)}"
        case "abstained wrongly":
            if found.states_confidence:
                return "it had what it needs: lower threshold under [answers]"
            return f"it had what it needs: {_TRY_WORDINGS}" if found.takes_passages else _knowledge(approach, task)
        case "retrieved but not used":
            return "better retrieval will not help: show fewer passages, max_passages under [answers]"
        case "used but the answer wrong":
            quotes = approach.startswith("quote")
            model = "let a model write the answer: add [models.default]" if quotes else _LARGER_MODEL
            return f"better retrieval will not help: {model}"
        case "answer wrong":
            in_prompt = f"the evidence was in its prompt: {_LARGER_MODEL}"
            return in_prompt if found.takes_passages else _knowledge(approach, task)
        case "right but uncited":
            return f"no answer becomes more right by it: {_TRY_WORDINGS}"


def _form(approach: str, task: Task) -> str:
    """Return how replies get the form of the task."""
    if task == "extract" and "constrained" not in approach:
        return "hold the reply to the schema, as constrained and fewshot-constrained do"
    if task == "classify" and family_of(approach) == "prompt":
        return "show it examples (fewshot), or train a classifier, which knows no other labels"
    return _TRY_WORDINGS


def _knowledge(approach: str, task: Task) -> str:
    """Return where an approach without passages could get what it does not know."""
    if task in ("classify", "extract"):
        return "add examples like these to the train split, to show or to train on"
    return f"it is given no passages: compare {'hybrid' if family_of(approach) == 'fine-tune' else 'rag'}"


WRONG = "Where they fail most; repairing it makes at most this share of the answers right"
UNCITED = "Right, but not by the passages that they cite"


def largest_causes(diagnoses: Sequence[Diagnosis]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield a heading with lines: the cause whose repair could gain most, of each approach, and the advice.

    Right answers that are uncited come under a heading of their own. Approaches with the same cause and advice share a
    line.
    """
    wrong = [(each, each.causes[0]) for each in diagnoses if each.causes and each.causes[0].gain_at_most > 0]
    if wrong:
        yield WRONG, list(_lines(wrong))
    uncited = [(each, cause) for each in diagnoses for cause in each.causes if cause.cause == "right but uncited"]
    if uncited:
        yield UNCITED, list(_lines(uncited))


def _lines(causes: Sequence[tuple[Diagnosis, Remedy]]) -> Iterator[tuple[str, str]]:
    alike: dict[tuple[Cause, str], list[str]] = {}
    for diagnosis, found in causes:
        alike.setdefault((found.cause, found.advice), []).append(_figures(diagnosis, found))
    for (cause, advice), approaches in alike.items():
        yield f"{cause}: {'; '.join(approaches)}", advice


def _figures(diagnosis: Diagnosis, largest: Remedy) -> str:
    share = largest.share
    interval = f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}] of {diagnosis.n:,}"
    return f"{diagnosis.approach} {interval}, such as {join_names(largest.examples)}"
