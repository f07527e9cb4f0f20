"""Count the failures of each approach by their cause, from the rows of the matrix. Guesses none."""

from collections import Counter
from collections.abc import Mapping, Sequence

from groundtune.common.support import is_cited
from groundtune.measure.approach_summaries import Clusters, ScoreColumns, column_means, group_by_approach
from groundtune.measure.tables import CAUSES, Cause, CauseShare, Failures
from groundtune.types import Interval, Result, Task

MAX_EXAMPLES = 3


def failures_by_approach(
    results: Sequence[Result],
    *,
    task: Task = "answer",
    primary: str = "correct",
    clusters: Clusters | None = None,
    anytime: bool = False,
) -> dict[str, Failures]:
    """Return the failures of each approach, in order of first occurrence.

    primary: the score that decides. anytime: as in `approach_summaries`.
    """
    approaches = group_by_approach(results)
    causes = {
        name: {example: cause for example, row in rows.items() if (cause := cause_of(row, task=task, primary=primary))}
        for name, rows in approaches.items()
    }
    columns: ScoreColumns = {
        (name, cause): {example: float(causes[name].get(example) == cause) for example in rows}
        for name, rows in approaches.items()
        for cause in CAUSES
        if cause in causes[name].values()
    }
    shares = column_means(columns, clusters or {}, anytime=anytime)
    return {
        name: _failures(list(rows.values()), causes[name], shares.get(name, {})) for name, rows in approaches.items()
    }


def _failures(rows: Sequence[Result], causes: Mapping[str, Cause], shares: Mapping[str, Interval]) -> Failures:
    """causes: of the rows that fail, by example."""
    counts = Counter(causes.values())
    groundings = [row.grounding for row in rows if row.error is None]
    noted = [grounding for grounding in groundings if grounding is not None]
    missed = Counter(piece.missed for grounding in noted for piece in grounding.evidence if piece.missed)
    return Failures(
        n=len(rows),
        causes=tuple(
            CauseShare(
                cause,
                counts[cause],
                shares[cause],
                tuple(example for example, other in causes.items() if other == cause)[:MAX_EXAMPLES],
            )
            for cause in sorted(counts, key=lambda cause: (-counts[cause], CAUSES.index(cause)))
        ),
        takes_passages=any(each.passages is not None for each in noted) if len(noted) == len(groundings) else None,
        states_confidence=any(row.confidence is not None for row in rows),
        missed=max(missed, key=lambda reason: missed[reason], default=None),
    )


def cause_of(row: Result, *, task: Task = "answer", primary: str = "correct") -> Cause | None:
    """Return why a row fails; None for one that does not, or of which nothing says whether it is right.

    The first that applies:

    - cut off: the reply ended at a limit, and is wrong or an error.
    - format wrong: the reply cannot be read, is not one of the labels, misses the schema, or fails a check.
    - error: there is no answer, or the judge failed.
    - should have abstained: an answer where the right one is to abstain.
    - unknown: passages were in the prompt, but the example names no evidence; or the row is of an older version.
    - evidence not retrieved: a piece of the evidence is not in the prompt.
    - abstained wrongly: with all evidence in the prompt, or by an approach that is given no passages.
    - retrieved but not used: a wrong answer that cites no passage with evidence.
    - used but the answer wrong: a wrong answer that cites one, also where the check says that it does not support it.
    - answer wrong: by an approach that is given no passages, or in a task in which nothing is cited.
    - right but uncited: a right answer that cites no passage with evidence, and that no cited passage supports.
    """
    right = _is_right(row, primary)
    if row.error is None and right is not False:
        return "right but uncited" if right and _lacks_citations(row, task) else None
    if row.cut is not None and not right:
        return "cut off"
    if _is_misshapen(row):
        return "format wrong"
    if row.error is not None:
        return "error"
    if row.status == "answered" and row.scores.get("abstention") == 0:
        return "should have abstained"
    return _cause_of_wrong_answer(row, task)


def _cause_of_wrong_answer(row: Result, task: Task) -> Cause:
    """Return why a row gives no right answer where there is one."""
    grounding = row.grounding
    if grounding is None:
        return "unknown"
    if grounding.passages is not None:
        if not grounding.evidence:
            return "unknown"
        if any(piece.rank is None for piece in grounding.evidence):
            return "evidence not retrieved"
    if row.status == "abstained":
        return "abstained wrongly"
    if grounding.passages is None or task != "answer":
        return "answer wrong"
    return "used but the answer wrong" if any(p.cited for p in grounding.evidence) else "retrieved but not used"


def _is_right(row: Result, primary: str) -> bool | None:
    """Whether a row is right: by a judge that decides, else by `correct`, else by facts and the choice to abstain."""
    scores = row.scores
    if primary == "judge" and "judge" in scores:
        return scores["judge"] >= 0.5
    if "correct" in scores:
        return scores["correct"] >= 1
    if scores.get("abstention") == 0:
        return False
    known = [scores[name] for name in ("facts", "checks") if name in scores]
    return min(known) >= 1 if known else None


def _is_misshapen(row: Result) -> bool:
    if row.error is not None:
        return row.error.kind == "unreadable"
    return row.status == "answered" and (row.scores.get("valid", 1) < 1 or row.scores.get("checks", 1) < 1)


def _lacks_citations(row: Result, task: Task) -> bool:
    """Whether an answer could rest on passages, but cites none with evidence and is supported by none that it cites."""
    grounding = row.grounding
    if task != "answer" or row.status != "answered" or grounding is None or grounding.passages is None:
        return False
    return is_cited(row.citations) is False and not any(piece.cited for piece in grounding.evidence)
