"""Rows with known faults get their cause; whatever the rows are, each failure is counted once."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.measure.failures import cause_of, failures_by_approach
from groundtune.measure.tables import CAUSES
from groundtune.types import Citation, EvidenceUse, Failure, Grounding, Result

EXACT = Citation(1, "It is 30 days.", "exact", "d:0")
UNCITED = Citation(None, "It is 30 days.", "uncited")
RIGHT, WRONG = {"correct": 1.0, "abstention": 1.0}, {"correct": 0.0, "abstention": 1.0}


def grounded(*evidence: tuple[int | None, bool], passages: int | None = 6) -> Grounding:
    return Grounding(passages, evidence=tuple(EvidenceUse(rank, cited) for rank, cited in evidence))


def row(status: Any = "answered", scores: dict[str, float] = WRONG, **parts: Any) -> Result:
    parts.setdefault("grounding", grounded((2, True)))
    parts.setdefault("citations", (EXACT,))
    return Result(parts.pop("example", "e0"), parts.pop("approach", "rag"), status, "x", scores=scores, **parts)


def failed(kind: str, **parts: Any) -> Result:
    return row("error", {}, error=Failure(kind, "no"), grounding=None, citations=(), **parts)


ABSTAINED_WRONGLY = {"correct": 0.0, "abstention": 0.0}
CASES: list[tuple[Result, str | None]] = [
    (row(scores=RIGHT), None),
    (row("abstained", RIGHT, citations=(), grounding=None), None),
    (row(scores={}), None),
    (row(cut="max_output_tokens"), "cut off"),
    (failed("unreadable", cut="max_output_tokens"), "cut off"),
    (row(scores=RIGHT, cut="max_output_tokens"), None),
    (failed("unreadable"), "format wrong"),
    (row(scores=WRONG | {"valid": 0.0}), "format wrong"),
    (row("abstained", ABSTAINED_WRONGLY | {"valid": 0.0}), "abstained wrongly"),
    (failed("timeout"), "error"),
    (row("error", RIGHT, error=Failure("judge", "no verdict")), "error"),
    (row(scores=ABSTAINED_WRONGLY, grounding=grounded()), "should have abstained"),
    (row(scores=ABSTAINED_WRONGLY, grounding=None), "should have abstained"),
    (row(grounding=None), "unknown"),
    (row(grounding=grounded()), "unknown"),
    (row("abstained", ABSTAINED_WRONGLY, grounding=grounded()), "unknown"),
    (row(grounding=grounded((None, False))), "evidence not retrieved"),
    (row(grounding=grounded((1, True), (None, False))), "evidence not retrieved"),
    (row(grounding=grounded((None, False), passages=0)), "evidence not retrieved"),
    (row("abstained", ABSTAINED_WRONGLY, grounding=grounded((None, False))), "evidence not retrieved"),
    (row("abstained", ABSTAINED_WRONGLY), "abstained wrongly"),
    (row("abstained", ABSTAINED_WRONGLY, grounding=grounded((None, False), passages=None)), "abstained wrongly"),
    (row(grounding=grounded((3, False))), "retrieved but not used"),
    (row(grounding=grounded((3, False), (1, True))), "used but the answer wrong"),
    (row(grounding=grounded(passages=None)), "answer wrong"),
    (row(grounding=grounded((None, False), passages=None)), "answer wrong"),
    (row(scores=RIGHT, citations=(UNCITED,), grounding=grounded((1, False))), "right but uncited"),
    (row(scores=RIGHT, citations=(), grounding=grounded()), "right but uncited"),
    (row(scores=RIGHT, citations=(replace(EXACT, support="missing"),)), None),
    (row(scores=RIGHT, citations=(UNCITED,), grounding=grounded(passages=None)), None),
    (row(scores=RIGHT, citations=(UNCITED,), grounding=None), None),
]


@pytest.mark.parametrize(("result", "cause"), CASES)
def test_each_fault_has_its_cause(result: Result, cause: str | None) -> None:
    assert cause_of(result) == cause


@pytest.mark.parametrize(
    ("scores", "primary", "cause"),
    [
        ({"correct": 0.0, "judge": 1.0}, "judge", None),
        ({"correct": 1.0, "judge": 0.0}, "judge", "answer wrong"),
        ({"correct": 0.0, "judge": 1.0}, "correct", "answer wrong"),
        ({"chrf": 0.2, "abstention": 1.0}, "chrf", None),
        ({"chrf": 0.2, "abstention": 1.0, "facts": 0.5}, "chrf", "answer wrong"),
        ({"chrf": 0.2, "abstention": 1.0, "facts": 1.0, "checks": 0.5}, "chrf", "format wrong"),
        ({"chrf": 0.2, "abstention": 1.0, "facts": 1.0, "checks": 1.0}, "chrf", None),
        ({"chrf": 0.2, "abstention": 0.0}, "chrf", "should have abstained"),
    ],
)
def test_what_is_right_is_decided_by_the_scores_of_the_task(
    scores: dict[str, float], primary: str, cause: str | None
) -> None:
    assert cause_of(row(scores=scores), task="write", primary=primary) == cause


def test_where_nothing_is_cited_nothing_says_whether_evidence_was_used() -> None:
    assert cause_of(row(), task="classify") == "answer wrong"
    assert cause_of(row(grounding=grounded((None, False))), task="extract") == "evidence not retrieved"
    assert cause_of(row(scores=RIGHT, citations=()), task="classify") is None


groundings = st.none() | st.builds(
    Grounding,
    st.none() | st.integers(0, 9),
    evidence=st.lists(st.builds(EvidenceUse, st.none() | st.integers(1, 9), st.booleans()), max_size=3).map(tuple),
)
scores = st.dictionaries(
    st.sampled_from(["correct", "abstention", "valid", "facts", "checks", "judge"]), st.sampled_from([0.0, 0.4, 1.0])
)
rows = st.builds(
    Result,
    example=st.integers(0, 30).map(str),
    approach=st.sampled_from(["rag", "prompt", "tuned", "quote-hybrid"]),
    status=st.sampled_from(["answered", "abstained"]),
    output=st.just("x"),
    citations=st.sampled_from([(), (EXACT,), (UNCITED,)]),
    scores=scores,
    error=st.none() | st.builds(Failure, st.sampled_from(["unreadable", "timeout", "judge"]), st.just("no")),
    confidence=st.none() | st.floats(0, 1),
    cut=st.none() | st.sampled_from(["max_output_tokens", "window", "repetition"]),
    grounding=groundings,
).map(lambda result: replace(result, status="error") if result.error else result)


@given(
    st.lists(rows, max_size=40, unique_by=lambda result: (result.approach, result.example)),
    st.sampled_from(["answer", "classify", "extract", "write"]),
    st.sampled_from(["correct", "judge"]),
    st.sampled_from([None, {"1": "a", "2": "a", "3": "a"}]),
)
def test_the_counts_add_up(results: list[Result], task: Any, primary: str, clusters: dict[str, str] | None) -> None:
    found = failures_by_approach(results, task=task, primary=primary, clusters=clusters)
    assert sum(each.n for each in found.values()) == len(results)
    for name, each in found.items():
        own = [result for result in results if result.approach == name]
        causes = [cause for result in own if (cause := cause_of(result, task=task, primary=primary))]
        assert {share.cause: share.count for share in each.causes} == Counter(causes)
        assert each.count == len(causes) <= each.n == len(own)
        assert [share.count for share in each.causes] == sorted((s.count for s in each.causes), reverse=True)
        ids = [example for share in each.causes for example in share.examples]
        assert len(ids) == len(set(ids)), "each failure has one cause"
        for share in each.causes:
            assert share.cause in CAUSES
            assert len(share.examples) == min(3, share.count)
            assert 0 <= share.share.low <= share.share.mean <= share.share.high <= 1
            assert (share.share.n, round(share.share.mean * each.n)) == (each.n, share.count)


def test_groups_of_examples_widen_the_intervals() -> None:
    results = [row(example=str(at), scores=WRONG if at < 20 else RIGHT) for at in range(60)]
    (alone,) = failures_by_approach(results)["rag"].causes
    clusters = {str(at): f"document {at // 20}" for at in range(60)}
    (grouped,) = failures_by_approach(results, clusters=clusters)["rag"].causes
    assert alone.share.mean == grouped.share.mean
    assert grouped.share.high - grouped.share.low > 1.5 * (alone.share.high - alone.share.low)
