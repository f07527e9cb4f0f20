"""What the best approach for each question would reach."""

from groundtune.measure.best_of_each import BestOfEach, best_of_each
from groundtune.types import Failure, Result


def row(example: str, approach: str, score: float | None) -> Result:
    if score is None:
        return Result(example, approach, "error", error=Failure("server", "failed"))
    return Result(example, approach, "answered", scores={"correct": score})


def test_it_is_the_mean_of_the_highest_scores_of_the_questions_that_all_have() -> None:
    scores = {"a": (1.0, 0.0, 0.0, 1.0), "b": (0.0, 0.5, 0.0, None)}
    rows = [row(f"e{at}", name, score) for name, own in scores.items() for at, score in enumerate(own)]
    assert best_of_each(rows, primary="correct") == BestOfEach(0.5, "a", 1 / 3, 3)


def test_without_two_scored_approaches_there_is_nothing_to_choose() -> None:
    rows = [row("e0", "a", 1.0), row("e0", "b", None)]
    assert best_of_each(rows, primary="correct") is None
    assert best_of_each([row("e0", "a", 1.0), row("e1", "b", 1.0)], primary="correct") is None
