"""Summaries and differences: which rows count, and which examples are compared."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.measure.approach_summaries import (
    approach_summaries,
    cluster_examples,
    differences,
    group_by_approach,
    row_score,
    tag_table,
)
from groundtune.measure.results import RESULTS
from groundtune.measure.runner import fill_matrix
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.significance import holm, paired_difference
from groundtune.types import (
    Answer,
    ApproachSummary,
    Citation,
    Difference,
    Evidence,
    Example,
    Failure,
    Question,
    Result,
    Status,
    Usage,
)


def row(example: str, approach: str = "a", correct: float | None = 1.0, **more: Any) -> Result:
    scores = {} if correct is None else {"correct": correct}
    return Result(example, approach, **{"status": "answered", "output": "x", "scores": scores, **more})


def error(example: str, approach: str = "a", kind: str = "server", **more: Any) -> Result:
    return Result(example, approach, "error", error=Failure(kind, "message"), **more)


def rows(approach: str, *values: float | None, start: int = 0) -> list[Result]:
    return [row(f"e{at}", approach, value) for at, value in enumerate(values, start=start)]


def only(results: Sequence[Result], primary: str = "correct", **more: Any) -> ApproachSummary:
    (summary,) = approach_summaries(results, primary=primary, **more)
    return summary


def pairs(results: Sequence[Result], **more: Any) -> dict[tuple[str, str], Difference]:
    return {(difference.a, difference.b): difference for difference in differences(results, primary="correct", **more)}


def cited(*support: Any) -> tuple[Citation, ...]:
    return tuple(Citation(number, "Yes.", level) for number, level in enumerate(support, start=1))


# -- rows --------------------------------------------------------------------------------------------------------


def test_approaches_come_in_the_order_of_their_first_row_and_the_last_row_of_a_cell_counts() -> None:
    results = [*rows("b", 0, 1), *rows("a", 1, 1), row("e0", "b", 1.0)]
    assert list(group_by_approach(results)) == ["b", "a"]
    assert group_by_approach(results)["b"]["e0"].scores == {"correct": 1.0}
    assert [summary.name for summary in approach_summaries(results, primary="correct")] == ["b", "a"]
    assert approach_summaries([], primary="correct") == differences([], primary="correct") == []


def test_an_error_is_in_no_mean_and_never_a_zero() -> None:
    usage = Usage(seconds=60.0, usd=9.0)
    summary = only([*rows("a", 1, 1, 0, 1), error("e4", usage=usage), error("e5", kind="timeout"), error("e6")])
    assert (summary.n, summary.mean) == (4, 0.75)
    assert (summary.answered, summary.abstained, summary.errors) == (4, 0, 3)
    assert summary.failures == {"server": 2, "timeout": 1}
    assert list(summary.failures) == ["server", "timeout"]
    assert summary.metrics["correct"].n == 4
    assert (summary.p95_seconds, summary.usd_per_1k) == (None, None), "an error's own time and price are in no figure"
    assert summary.low is not None
    assert summary.high is not None
    assert summary.low < 0.75 < summary.high


@pytest.mark.parametrize("kind", ["crash", "server", "missing_error"])
def test_scores_of_other_error_rows_are_ignored(kind: str) -> None:
    failed = error("e1", kind=kind, scores={"correct": 0.0}, output="x")
    assert row_score(failed, "correct") is None
    assert (only([row("e0"), failed]).mean, only([row("e0"), failed]).n) == (1.0, 1)


@pytest.mark.parametrize("kind", ["judge", "scoring"])
def test_a_row_whose_judge_or_scorer_failed_keeps_its_other_scores(kind: str) -> None:
    failed = error("e1", kind=kind, scores={"correct": 0.0}, output="x", usage=Usage(seconds=3.0, usd=0.002))
    good = row("e0", scores={"correct": 1.0, "judge": 1.0}, usage=Usage(seconds=1.0, usd=0.001))
    summary = only([good, failed])
    assert (row_score(failed, "correct"), row_score(failed, "judge")) == (0.0, None)
    assert (summary.n, summary.mean, summary.metrics["judge"].n) == (2, 0.5, 1)
    assert (summary.errors, summary.failures) == (1, {kind: 1})
    assert (summary.p50_seconds, summary.usd_per_1k) == (2.0, pytest.approx(1.5))
    (pair,) = differences([good, failed, *rows("b", 1, 1)], primary="correct")
    assert pair.n == 2


def test_an_abstention_whose_judge_failed_is_an_abstention() -> None:
    """`context_recall` is asked of abstentions too; score_tables.py reads the score `abstention` for this."""
    failed = error("e1", kind="judge", scores={"correct": 1.0, "abstention": 1.0})
    summary = only([row("e0", citations=cited("exact")), row("e2", status="abstained"), failed])
    assert summary.cited == 1.0
    assert summary.answered + summary.abstained + summary.errors == 3


def test_an_approach_with_errors_only_has_no_mean() -> None:
    summary = only([error("e0"), error("e1")])
    assert (summary.n, summary.mean, summary.low, summary.high, summary.cited) == (0, None, None, None, None)
    assert (summary.p50_seconds, summary.p95_seconds, summary.usd_per_1k, summary.metrics) == (None, None, None, {})


def test_every_metric_is_over_the_rows_that_have_it() -> None:
    results = [
        row("e0", scores={"correct": 1.0, "valid": 1.0}),
        row("e1", scores={"correct": 0.0}, status="abstained"),
        row("e2", scores={"f1": 0.25}),
    ]
    summary = only(results)
    assert {name: (value.mean, value.n) for name, value in summary.metrics.items()} == {
        "correct": (0.5, 2),
        "valid": (1.0, 1),
        "f1": (0.25, 1),
    }
    assert (summary.answered, summary.abstained, summary.n) == (2, 1, 2)
    assert only(results, primary="f1").mean == 0.25
    assert only(results, primary="nothing").mean is None


def test_custom_check_scores_may_exceed_0_to_1() -> None:
    summary = only([row("e0", scores={"check:words": 250.0}), row("e1", scores={"check:words": -3.0})], "check:words")
    assert summary.mean == pytest.approx(123.5)


# -- price, speed, citations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "expected"),
    [((0.001, 0.003), 2.0), ((0.0, 0.0), 0.0), ((0.001, None), None), ((None, None), None)],
)
def test_one_unknown_price_makes_the_price_unknown(prices: tuple[float | None, ...], expected: float | None) -> None:
    results = [row(f"e{at}", usage=Usage(usd=price)) for at, price in enumerate(prices)]
    assert only(results).usd_per_1k == (None if expected is None else pytest.approx(expected))


def test_abstentions_cost_and_take_time_too() -> None:
    results = [
        row("e0", usage=Usage(seconds=1.0, usd=0.001)),
        row("e1", status="abstained", usage=Usage(None, None, None, 3.0, 0.003)),
    ]
    summary = only(results)
    assert (summary.usd_per_1k, summary.p50_seconds) == (pytest.approx(2.0), 2.0)


def test_latency_percentiles_ignore_unknown_seconds() -> None:
    seconds = [float(number) for number in range(1, 101)]
    results = [row(f"e{at}", usage=Usage(seconds=value)) for at, value in enumerate(seconds)]
    summary = only([*results, row("unknown"), error("late", kind="timeout", usage=Usage(seconds=600.0))])
    assert summary.p50_seconds == pytest.approx(50.5)
    assert summary.p95_seconds == pytest.approx(float(np.percentile(seconds, 95)))
    assert only([row("e0", usage=Usage(seconds=2.0))]).p95_seconds == 2.0


def test_cited_is_the_share_of_answers_with_a_citation_that_holds() -> None:
    results = [
        row("e0", citations=cited("missing", "exact")),
        row("e1", citations=cited("close")),
        row("e2", citations=cited("missing")),
        row("e3"),
        row("e4", status="abstained"),
        error("e5"),
    ]
    assert only(results).cited == 0.5
    assert only([row("e0", status="abstained"), error("e1")]).cited is None


def test_an_answer_is_cited_if_passages_support_half_of_what_counts_in_it() -> None:
    def sentences(*support: str) -> tuple[Citation, ...]:
        return tuple(Citation(None if level == "uncited" else 1, f"{at}.", level) for at, level in enumerate(support))

    results = [
        row("e0", citations=sentences("exact", "uncited")),
        row("e1", citations=sentences("exact", "uncited", "uncited", "unchecked")),
        row("e2", citations=sentences("unchecked", "half true")),  # counts neither way
        row("e3", citations=sentences("close", "unchecked")),
    ]
    summary = only(results)
    assert summary.cited == pytest.approx(2 / 3)
    assert summary.unchecked == pytest.approx(4 / 10)
    assert only(results[2:3]).cited is None
    assert only([row("e0")]).unchecked is None


# -- clusters ----------------------------------------------------------------------------------------------------


def example(name: str, *, group: str | None = None, source: str | None = None, tags: Sequence[str] = ()) -> Example:
    evidence = (Evidence(source, "quote"), Evidence("other.md", "quote")) if source else ()
    return Example(name, "input", "gold", evidence, tags=tuple(tags), group=group)


def test_examples_cluster_by_group_else_by_the_document_of_their_first_evidence() -> None:
    examples = [
        example("a", group="customer 1", source="x.md"),
        example("b", group="customer 1"),
        example("c", source="x.md"),
        example("d", source="x.md"),
        example("e"),
        example("f"),
        example("g", group="x.md"),
    ]
    clusters = cluster_examples(examples)
    members = {frozenset(name for name in clusters if clusters[name] == label) for label in clusters.values()}
    assert members == {frozenset(names) for names in ("ab", "cd", "e", "f", "g")}


def test_there_are_no_clusters_if_all_examples_are_independent() -> None:
    assert (
        cluster_examples([])
        == cluster_examples([example("a", source="x.md"), example("b", group="g"), example("c")])
        == {}
    )


def alternating(approach: str, groups: int, each: int) -> list[Result]:
    """Results that are equal within each group, so that there are as many observations as groups."""
    return [row(f"{group}-{at}", approach, float(group % 2)) for group in range(groups) for at in range(each)]


def test_a_cluster_counts_as_one_observation() -> None:
    results = alternating("a", groups=10, each=20)
    clusters = {result.example: result.example.split("-")[0] for result in results}
    alone, together = only(results), only(results, clusters=clusters)
    assert (alone.mean, together.mean, together.n) == (0.5, 0.5, 200)
    assert alone.low is not None
    assert together.low is not None
    assert together.low < alone.low - 0.1
    expected = bootstrap_mean([result.scores["correct"] for result in results], clusters=list(clusters.values()))
    assert together.metrics["correct"] == expected


def test_an_example_without_a_cluster_stands_alone() -> None:
    results = [*rows("a", 1, 0, 1, 0), *rows("b", 0, 0, 1, 1)]
    assert only(results[:4], clusters={"other": "x"}) == only(results[:4])
    assert pairs(results, clusters={"other": "x"})["a", "b"].low == pairs(results)["a", "b"].low


def test_differences_respect_clusters() -> None:
    results = [*alternating("a", 10, 20), *(row(f"{g}-{at}", "b", 0.0) for g in range(10) for at in range(20))]
    clusters = {result.example: result.example.split("-")[0] for result in results}
    alone, together = pairs(results)["a", "b"], pairs(results, clusters=clusters)["a", "b"]
    assert alone.difference == together.difference == 0.5
    assert alone.p < 1e-9
    assert together.p > 0.01, "five groups of ten differ"
    assert together.high - together.low > alone.high - alone.low


# -- differences -------------------------------------------------------------------------------------------------


def test_the_better_approach_is_a_in_any_order() -> None:
    worse, better = rows("worse", 0, 0, 1, 0), rows("better", 1, 1, 1, 0)
    for results in ([*worse, *better], [*better, *worse]):
        (difference,) = differences(results, primary="correct")
        assert (difference.a, difference.b, difference.difference, difference.n) == ("better", "worse", 0.5, 4)
    (tie,) = differences([*rows("x", 1, 0), *rows("y", 0, 1)], primary="correct")
    assert (tie.a, tie.difference, tie.p) == ("x", 0.0, 1.0)


def test_pairs_are_compared_on_examples_that_both_scored() -> None:
    first = [*rows("a", 1, 1, 1, 0), error("e4", "a")]
    second = [*rows("b", 0, 1, start=2), row("e4", "b", 1.0), row("e9", "b", 0.0)]
    (difference,) = differences([*first, *second], primary="correct")
    expected = paired_difference([1, 0], [0, 1])
    assert (difference.n, difference.difference, difference.p) == (2, 0.0, expected.p)
    assert (difference.low, difference.high) == (expected.low, expected.high)


def test_pairing_does_not_depend_on_row_order() -> None:
    first, second = rows("a", 1, 0, 1, 0, 1, 1), rows("b", 1, 0, 1, 0, 1, 1)
    (difference,) = differences([*first, *second[::-1]], primary="correct")
    assert (difference.difference, difference.p, difference.needed) == (0.0, 1.0, None)


def test_without_a_common_example_there_is_no_pair() -> None:
    results = [*rows("a", 1, 0), *rows("b", 1, 0, start=2), *rows("c", 1, 0, 1, 0)]
    assert {frozenset(names) for names in pairs(results)} == {frozenset("ac"), frozenset("bc")}
    assert differences([*rows("a", 1), error("e0", "b")], primary="correct") == []


def test_p_is_adjusted_over_all_pairs() -> None:
    values: Mapping[str, list[float]] = {
        "a": [1.0] * 40,
        "b": [1.0] * 30 + [0.0] * 10,
        "c": [1.0] * 28 + [0.0] * 12,
        "d": [0.0] * 40,
    }
    results = [result for name, scores in values.items() for result in rows(name, *scores)]
    compared = differences(results, primary="correct")
    assert len(compared) == 6
    assert [pair.p_adjusted for pair in compared] == holm([pair.p for pair in compared])
    assert all(pair.p_adjusted >= pair.p for pair in compared)
    by_name = {(pair.a, pair.b): pair for pair in compared}
    assert by_name["a", "b"].p == pytest.approx(2 / 2**10)
    assert by_name["b", "c"].p_adjusted == by_name["b", "c"].p == 0.5, "the largest p is not adjusted"
    assert by_name["a", "d"].p_adjusted == pytest.approx(6 * by_name["a", "d"].p)


def test_the_same_rows_give_the_same_figures() -> None:
    values = [*np.random.default_rng(3).random(40)]
    results = [*rows("a", *values), *rows("b", *values[::-1])]
    assert differences(results, primary="correct") == differences(results, primary="correct")
    assert approach_summaries(results, primary="correct") == approach_summaries(results, primary="correct")


# -- tags --------------------------------------------------------------------------------------------------------


def test_the_table_of_tags_has_the_most_frequent_first_and_leaves_errors_out() -> None:
    examples = [
        example("e0", tags=["long", "angry"]),
        example("e1", tags=["long"]),
        example("e2"),
        example("e3", tags=["b"]),
    ]
    results = [*rows("a", 1, 0, 1), error("e0", "b"), row("e1", "b", 1.0)]
    table = tag_table(results, examples, primary="correct")
    assert [(tag, n, {name: (mean.mean, mean.n) for name, mean in means.items()}) for tag, n, means in table] == [
        ("long", 2, {"a": (0.5, 2), "b": (1.0, 1)}),
        ("angry", 1, {"a": (1.0, 1)}),
        ("b", 1, {}),
    ]


TAGGED = """
import json
from groundtune.measure.approach_summaries import tag_table
from groundtune.types import Example, Result
examples = [Example(f"e{at}", "x", "y", tags=("t",)) for at in range(60)]
rows = [Result(f"e{at}", "a", "answered", scores={"f1": (at * 37 % 60) ** 2 / 3600}) for at in range(60)]
((_, _, means),) = tag_table(rows, examples, primary="f1")
print(json.dumps([means["a"].low, means["a"].high]))
"""


def test_the_table_of_tags_is_the_same_in_every_process() -> None:
    """Otherwise report.json of the same run would change each time it is written."""

    def limits(seed: str) -> list[float]:
        process = subprocess.run(
            [sys.executable, "-c", TAGGED], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        interval: list[float] = json.loads(process.stdout)
        return interval

    assert limits("1") == limits("2")


def test_intervals_of_tags_respect_clusters() -> None:
    results = alternating("a", groups=10, each=20)
    examples = [example(result.example, group=result.example.split("-")[0], tags=["t"]) for result in results]
    ((_, _, means),) = tag_table(results, examples, primary="correct")
    assert means["a"] == only(results, clusters=cluster_examples(examples)).metrics["correct"]


# -- with the runner ---------------------------------------------------------------------------------------------


class Answers:
    """Approach with correct answers of fixed price and time."""

    name = "a"

    def __init__(self, status: Status = "answered") -> None:
        self.status: Status = status

    async def answer(self, question: Question) -> Answer:
        return Answer("gold", self.status, usage=Usage(seconds=0.5, usd=0.002))


async def test_summaries_of_a_run_match_its_answers(tmp_path: Path) -> None:
    examples = [Example(f"e{at}", f"question {at}", "gold") for at in range(4)]
    results = await fill_matrix([Answers()], examples, folder=tmp_path)
    summary = only(results)
    assert (summary.mean, summary.n, summary.usd_per_1k, summary.p95_seconds) == (1.0, 4, pytest.approx(2.0), 0.5)
    assert len((tmp_path / RESULTS).read_bytes().splitlines()) == 4


def test_replies_that_were_cut_off_are_counted_by_their_limit() -> None:
    cut = [row("e0", cut="max_output_tokens"), row("e1", cut="max_output_tokens"), row("e2", cut="window"), row("e3")]
    assert only(cut).cut == {"max_output_tokens": 2, "window": 1}
    assert only([row("e0")]).cut == {}


def test_batches_are_seen_in_the_share_of_each_answer() -> None:
    def summary_of(*usages: Usage) -> ApproachSummary:
        return only([row(f"q{n}", usage=usage) for n, usage in enumerate(usages)])

    batched = summary_of(Usage(seconds=8.0, machine_seconds=1.0), Usage(seconds=8.0, machine_seconds=2.0))
    assert (batched.answers_per_batch, batched.machine_seconds) == (6.0, 1.5)
    alone = summary_of(Usage(seconds=1.0, machine_seconds=1.0), Usage(seconds=1.1, machine_seconds=1.0))
    assert (alone.answers_per_batch, alone.machine_seconds) == (None, 1.0)
    elsewhere = summary_of(Usage(seconds=1.0), Usage(seconds=1.1))
    assert (elsewhere.answers_per_batch, elsewhere.machine_seconds) == (None, None)
