"""Two reviewers in processes of their own, killed while they decide: the quick part of `benchmarks/review.py`."""

from pathlib import Path

import pytest
from benchmarks.review import run


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_reviewers_are_killed(tmp_path: Path) -> None:
    outcome = run(tmp_path, items=60, kills=6, seed=1)
    assert (outcome.items, outcome.lost, outcome.doubled, outcome.problem) == (60, 0, 0, None)
    assert outcome.acknowledged > 50
