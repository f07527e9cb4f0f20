import math

import numpy as np
import pytest

from groundtune.retrieve.fusion import RARE_WORDS, fuse
from groundtune.types import Candidate, Vectors

QUESTION = np.array([1.0, 0.0], dtype=np.float32)


def at(cosine: float) -> Vectors:
    return np.array([cosine, math.sqrt(1 - cosine**2)], dtype=np.float32)


def candidate(name: str, score: float, cosine: float) -> Candidate:
    return Candidate(name, score, at(cosine), 0)


def ids(weight: float, lexical: list[Candidate], dense: list[Candidate], *, complete: bool = True) -> list[str]:
    ranked = fuse(lexical, dense, QUESTION, dense_weight=weight, collection=1000, complete=complete)
    return [item.candidate.id for item in ranked]


LEXICAL = [candidate("a", 9.0, 0.1), candidate("b", 5.0, 0.5), candidate("c", 1.0, 0.3)]
DENSE = [candidate("d", 0.9, 0.9), candidate("b", 0.5, 0.5), candidate("e", 0.4, 0.4)]


def test_at_the_ends_one_stage_decides_alone() -> None:
    assert ids(1.0, LEXICAL, DENSE) == ["d", "b", "e", "c", "a"]
    assert ids(0.0, LEXICAL, DENSE)[:3] == ["a", "b", "c"]


def test_the_score_is_the_convex_combination_of_both() -> None:
    ranked = {
        f.candidate.id: f for f in fuse(LEXICAL, DENSE, QUESTION, dense_weight=0.6, collection=1000, complete=True)
    }
    ceiling = RARE_WORDS * math.log(1001)
    assert ranked["b"].score == pytest.approx(0.6 * 0.5 + 0.4 * 5.0 / ceiling)
    assert ranked["a"].dense == pytest.approx(0.1)  # its exact cosine, though the dense stage did not return it
    assert ranked["d"].bm25 is None
    assert ranked["d"].score == pytest.approx(0.6 * 0.9)


def test_what_a_cut_off_list_left_out_scores_as_its_last_did() -> None:
    def scores(*, complete: bool) -> dict[str, float]:
        ranked = fuse(LEXICAL, DENSE, QUESTION, dense_weight=0.5, collection=9, complete=complete)
        return {item.candidate.id: item.score for item in ranked}

    whole, cut = scores(complete=True), scores(complete=False)
    assert cut["d"] - whole["d"] == pytest.approx(0.5 * 1.0 / (RARE_WORDS * math.log(10)))
    assert cut["a"] == whole["a"]


def test_bm25_above_the_ceiling_counts_as_one() -> None:
    (ranked,) = fuse([candidate("a", 1e6, 0.5)], [], QUESTION, dense_weight=0.5, collection=10, complete=True)
    assert ranked.score == pytest.approx(0.75)


@pytest.mark.parametrize("collection", [0, 1, 10**9])
def test_any_size_of_collection_will_do(collection: int) -> None:
    ranked = fuse(LEXICAL, DENSE, QUESTION, dense_weight=0.5, collection=collection, complete=True)
    assert all(math.isfinite(item.score) and -1 <= item.score <= 1 for item in ranked)


def test_each_passage_comes_once_and_equals_are_in_a_fixed_order() -> None:
    equals = [candidate(name, 2.0, 0.5) for name in ("z", "m", "a")]
    assert ids(0.5, equals, equals[::-1]) == ["a", "m", "z"]
    assert ids(0.5, [], []) == []
    assert ids(0.5, LEXICAL, [], complete=False) == ids(0.5, LEXICAL, [])
