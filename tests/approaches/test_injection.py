"""Every defence against planted instructions holds in every case, but for those that are known not to."""

import asyncio
from collections import Counter

import pytest
from benchmarks.injection import Case, cases, outcomes, probes

CASES = cases()


@pytest.fixture(scope="module")
def held() -> dict[str, dict[str, bool]]:
    return asyncio.run(outcomes(CASES)) | probes(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_against_a_model_that_obeys_everything(case: Case, held: dict[str, dict[str, bool]]) -> None:
    assert {defence for defence, holds in held[case.id].items() if not holds} == set(case.fails)
    assert set(held[case.id]) == set(case.applies)


def test_there_are_many_kinds() -> None:
    kinds = Counter(case.kind for case in CASES)
    assert len({case.id for case in CASES}) == len(CASES) >= 60
    assert len(kinds) >= 13
    assert min(kinds.values()) >= 3
