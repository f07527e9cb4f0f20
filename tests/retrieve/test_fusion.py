import math

import numpy as np
import pytest

from groundtune.retrieve.fusion import fuse
from groundtune.types import Candidate, Vectors

QUESTION = np.array([1.0, 0.0], dtype=np.float32)


def at(cosine: float) -> Vectors:
    return np.array([cosine, math.sqrt(1 - cosine**2)], dtype=np.float32)


def candidate(name: str, score: float, cosine: float) -> Candidate:
    return Candidate(name, score, at(cosine))


def ids(weight: float, lexical: list[Candidate], dense: list[Candidate], *, complete: bool = True) -> list[str]:
    ranked = fuse(lexical, dense, QUESTION, dense_weight=weight, complete=complete)
    return [item.candidate.id for item in ranked]


LEXICAL = [candidate("a", 0.9, 0.1), candidate("b", 0.5, 0.5), candidate("c", 0.1, 0.3)]
DENSE = [candidate("d", 0.9, 0.9), candidate("b", 0.5, 0.5), candidate("e", 0.4, 0.4)]


def test_at_the_ends_one_stage_decides_alone() -> None:
    assert ids(1.0, LEXICAL, DENSE) == ["d", "b", "e", "c", "a"]
    assert ids(0.0, LEXICAL, DENSE)[:3] == ["a", "b", "c"]


def test_the_score_is_the_convex_combination_of_both() -> None:
    ranked = {f.candidate.id: f for f in fuse(LEXICAL, DENSE, QUESTION, dense_weight=0.6, complete=True)}
    assert ranked["b"].score == pytest.approx(0.6 * 0.5 + 0.4 * 0.5)
    assert ranked["b"].bm25 == 0.5
    assert ranked["a"].dense == pytest.approx(0.1)  # its exact cosine, though the dense stage did not return it
    assert ranked["d"].bm25 is None
    assert ranked["d"].score == pytest.approx(0.6 * 0.9)


def test_what_a_cut_off_list_left_out_scores_as_its_last_did() -> None:
    def scores(*, complete: bool) -> dict[str, float]:
        ranked = fuse(LEXICAL, DENSE, QUESTION, dense_weight=0.5, complete=complete)
        return {item.candidate.id: item.score for item in ranked}

    whole, cut = scores(complete=True), scores(complete=False)
    assert cut["d"] - whole["d"] == pytest.approx(0.5 * 0.1)
    assert cut["a"] == whole["a"]


def test_each_passage_comes_once_and_equals_are_in_a_fixed_order() -> None:
    equals = [candidate(name, 2.0, 0.5) for name in ("z", "m", "a")]
    assert ids(0.5, equals, equals[::-1]) == ["a", "m", "z"]
    assert ids(0.5, [], []) == []
    assert ids(0.5, LEXICAL, [], complete=False) == ids(0.5, LEXICAL, [])
