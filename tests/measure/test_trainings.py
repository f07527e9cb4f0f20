"""Several trainings of one approach are measured as one approach, whose interval holds for new trainings too."""

from groundtune.measure.approach_summaries import approach_summaries, differences, tag_table
from groundtune.measure.trainings import pool_trainings
from groundtune.types import Example, Result
from tests.measure.test_approach_summaries import error, row, rows

FURTHER = {"tuned": ["tuned@b", "tuned@c"]}
A, B, C = [1.0] * 8 + [0.0] * 2, [1.0] * 7 + [0.0] * 3, [1.0] * 9 + [0.0]


def matrix() -> list[Result]:
    return [*rows("rag", *A), *rows("tuned@c", *C), *rows("tuned", *A), *rows("tuned@b", *B)]


def test_they_become_one_approach_with_mean_scores() -> None:
    pooled, spread = pool_trainings(matrix(), FURTHER)
    assert [result.approach for result in pooled] == ["rag"] * 10 + ["tuned"] * 10
    assert [result.scores["correct"] for result in pooled[10:]] == [1.0] * 7 + [2 / 3, 1 / 3, 0.0]
    assert [round(mean, 9) for mean in spread.means("tuned", "correct")] == [0.8, 0.7, 0.9]
    assert spread.means("rag", "correct") == []
    assert spread.means("tuned", "correct", ["e8"]) == [0.0, 0.0, 1.0]


def test_the_spread_widens_intervals_and_differences() -> None:
    pooled, spread = pool_trainings(matrix(), FURTHER)
    alone = {summary.name: summary for summary in approach_summaries(pooled, primary="correct")}
    wide = {summary.name: summary for summary in approach_summaries(pooled, primary="correct", spread=spread)}
    assert wide["rag"] == alone["rag"]
    assert wide["tuned"].mean == alone["tuned"].mean
    assert wide["tuned"].low is not None
    assert alone["tuned"].low is not None
    assert wide["tuned"].low < alone["tuned"].low
    better = [*pooled, *rows("best", *[1.0] * 10)]
    narrow = {(pair.a, pair.b): pair for pair in differences(better, primary="correct")}
    pairs = {(pair.a, pair.b): pair for pair in differences(better, primary="correct", spread=spread)}
    assert pairs["best", "tuned"].low < narrow["best", "tuned"].low
    assert pairs["best", "tuned"].p > narrow["best", "tuned"].p
    assert pairs["best", "rag"] == narrow["best", "rag"] or pairs["best", "rag"].p == narrow["best", "rag"].p
    examples = [Example(f"e{n}", "q", tags=("all",)) for n in range(10)]
    ((_, _, means),) = tag_table(pooled, examples, primary="correct", spread=spread)
    assert means["tuned"].low == wide["tuned"].low


def test_a_cell_counts_once_all_trainings_have_answered_it() -> None:
    results = [
        row("e0", "tuned"),
        error("e0", "tuned@b"),
        row("e0", "tuned@c"),
        row("e1", "tuned"),
        row("e1", "tuned@b"),
    ]
    pooled, spread = pool_trainings(results, FURTHER)
    assert [(result.approach, result.error is None, result.scores) for result in pooled] == [
        ("tuned", False, {}),
        ("tuned", True, {}),
    ]
    assert spread.scores == {}
    pooled, _ = pool_trainings([*results, row("e0", "tuned@b", 0.0)], FURTHER)  # a retry replaces the error
    assert pooled[0].scores == {"correct": 2 / 3}


def test_without_further_trainings_nothing_changes() -> None:
    results = matrix()
    pooled, spread = pool_trainings(results, {"tuned": []})
    assert (pooled, spread.scores) == (results, {})


def test_a_training_that_was_asked_for_by_name_keeps_its_rows() -> None:
    pooled, spread = pool_trainings(matrix(), {**FURTHER, "tuned@b": []})
    assert {result.approach for result in pooled} == {"rag", "tuned", "tuned@b"}
    assert len(spread.means("tuned", "correct")) == 3
