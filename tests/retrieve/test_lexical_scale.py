import math

import pytest

from groundtune.retrieve.lexical_scale import RARE_WORDS, scale_bm25


def test_scores_are_divided_by_what_a_few_rare_words_score() -> None:
    assert scale_bm25([9.0, 5.0], 1_000) == [score / (RARE_WORDS * math.log(1_001)) for score in (9.0, 5.0)]
    assert scale_bm25([], 1_000) == []


def test_a_score_above_that_counts_as_one() -> None:
    assert scale_bm25([1e6, 1.0], 10) == [1.0, pytest.approx(1 / (RARE_WORDS * math.log(11)))]


@pytest.mark.parametrize("collection", [0, 1, 10**9])
def test_any_size_of_collection_will_do(collection: int) -> None:
    assert all(0 < score <= 1 for score in scale_bm25([9.0, 0.1], collection))
