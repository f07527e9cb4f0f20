"""Each cause has advice that fits the approach, and says how much it can repair at most."""

from typing import Any

import pytest

from groundtune.decide.diagnosis import UNCITED, WRONG, Diagnosis, diagnose, largest_causes
from groundtune.measure.retrieval_quality import CAUSES as RETRIEVAL_CAUSES
from groundtune.measure.tables import CAUSES, Cause, CauseShare, Failures
from groundtune.types import ApproachSummary, Interval

SHARE = Interval(0.25, 0.1, 0.4, 20)


def failures(
    *causes: Cause, passages: bool | None = True, confident: bool = False, missed: str | None = None
) -> Failures:
    shares = tuple(CauseShare(cause, 5, SHARE, ("a", "b", "c")) for cause in causes)
    return Failures(20, shares, passages, confident, missed)


def diagnosis(approach: str, found: Failures, task: Any = "answer", cut: str = "max_output_tokens") -> Diagnosis:
    summary = ApproachSummary(approach, 20, 0.5, 0.3, 0.7, 20, 0, 0, None, None, None, None, cut={cut: 3, "window": 1})
    (only,) = diagnose({approach: found}, [summary], task=task)
    return only


def advice(approach: str, cause: Cause, task: Any = "answer", **parts: Any) -> str:
    return diagnosis(approach, failures(cause, **parts), task).causes[0].advice


@pytest.mark.parametrize("task", ["answer", "classify", "extract", "write"])
@pytest.mark.parametrize("passages", [True, False, None])
@pytest.mark.parametrize("confident", [True, False])
def test_every_cause_has_advice(task: Any, passages: bool | None, confident: bool) -> None:
    for approach in ("rag", "prompt", "tuned", "hybrid", "quote-hybrid", "nearest", "mine"):
        found = diagnosis(approach, failures(*CAUSES, passages=passages, confident=confident), task)
        assert (found.n, found.failures) == (20, 5 * len(CAUSES))
        assert all(each.advice for each in found.causes)
        gains = {each.cause: each.gain_at_most for each in found.causes}
        assert gains == dict.fromkeys(CAUSES, 0.25) | {"right but uncited": 0.0}


def test_it_says_what_will_not_help() -> None:
    assert advice("rag", "evidence not retrieved").startswith("no tuning of the generator will help")
    assert advice("prompt", "format wrong", "extract").startswith("more documents will not help")
    assert advice("rag", "used but the answer wrong").startswith("better retrieval will not help")


def test_the_advice_fits_the_approach() -> None:
    assert advice("tuned", "answer wrong", passages=False).endswith("compare hybrid")
    assert advice("prompt", "abstained wrongly", passages=False).endswith("compare rag")
    assert "train split" in advice("fewshot", "answer wrong", "classify", passages=False)
    assert "schema" in advice("prompt", "format wrong", "extract")
    assert "wordings" in advice("constrained", "format wrong", "extract")
    assert "[models.default]" in advice("quote-hybrid", "used but the answer wrong")
    assert "threshold" in advice("rag", "abstained wrongly", confident=True)
    assert "max_output_tokens" in advice("rag", "cut off")
    assert "--fresh" in advice("rag", "unknown", passages=None)
    assert '"evidence"' in advice("rag", "unknown")
    assert "strict = true" in advice("rag", "should have abstained")


@pytest.mark.parametrize(
    ("missed", "wanted"),
    [
        (None, "shows why"),
        *zip(RETRIEVAL_CAUSES, ("lists them", "documents.access", "max_tokens", "--sweep"), strict=True),
    ],
)
def test_what_to_try_for_retrieval_depends_on_why_evidence_is_missing(missed: str | None, wanted: str) -> None:
    text = advice("rag", "evidence not retrieved", missed=missed)
    assert text.startswith("no tuning of the generator will help")
    assert wanted in text


def test_the_best_approach_comes_first() -> None:
    found = {name: failures("error") for name in ("unknown", "worse", "best")}
    summaries = [
        ApproachSummary(name, 20, mean, 0.0, 1.0, 20, 0, 0, None, None, None, None)
        for name, mean in (("worse", 0.2), ("unknown", None), ("best", 0.9))
    ]
    assert [each.approach for each in diagnose(found, summaries)] == ["best", "worse", "unknown"]


def test_approaches_with_the_same_advice_share_a_line() -> None:
    missed, wrong = failures("evidence not retrieved", "error"), failures("answer wrong", passages=False)
    ((heading, lines),) = largest_causes(
        diagnose({"rag": missed, "prompt": wrong, "rag:large": missed, "best": failures()}, [])
    )
    assert heading == WRONG
    assert [where for where, _ in lines] == [
        "evidence not retrieved: rag 25% [10%, 40%] of 20, such as a, b and c; "
        "rag:large 25% [10%, 40%] of 20, such as a, b and c",
        "answer wrong: prompt 25% [10%, 40%] of 20, such as a, b and c",
    ]
    assert lines[1][1] == "it is given no passages: compare rag"


def test_right_answers_that_are_uncited_hide_no_failure() -> None:
    often = CauseShare("right but uncited", 9, Interval(0.45, 0.3, 0.6, 20), ("d",))
    both = Failures(20, (often, *failures("answer wrong").causes), takes_passages=True, states_confidence=False)
    only = Failures(20, (often,), takes_passages=True, states_confidence=False)
    found = diagnose({"rag": both, "rag:large": only}, [])
    assert [each.cause for each in found[0].causes] == ["answer wrong", "right but uncited"]
    headings = {heading: [where for where, _ in lines] for heading, lines in largest_causes(found)}
    assert headings == {
        WRONG: ["answer wrong: rag 25% [10%, 40%] of 20, such as a, b and c"],
        UNCITED: ["right but uncited: rag 45% [30%, 60%] of 20, such as d; rag:large 45% [30%, 60%] of 20, such as d"],
    }
