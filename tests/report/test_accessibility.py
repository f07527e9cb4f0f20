"""The views of a report pass axe-core."""

import pytest

from tests.axe import violations
from tests.report.conftest import Visit


@pytest.mark.parametrize(
    "view",
    ["answer#", "answer#matrix", "answer#example/q006", "labels#", "hard#example/fields"],
)
def test_each_view(visit: Visit, view: str) -> None:
    report, _, at = view.partition("#")
    assert violations(visit(report, at)) == []
