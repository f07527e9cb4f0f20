"""The programs that the oracles ask. In CI a missing one fails the tests that need it, elsewhere they are skipped."""

import os
from collections.abc import Callable

import pytest
from benchmarks.oracles.browser import missing_browser
from benchmarks.oracles.libreoffice import missing_libreoffice
from benchmarks.oracles.pdf_readers import missing_poppler
from benchmarks.oracles.writers.pdf import missing_font

_CHECKS: dict[str, Callable[[], str | None]] = {
    "browser": missing_browser,
    "libreoffice": missing_libreoffice,
    "poppler": missing_poppler,
    "font": missing_font,
}


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Return a function that skips the test unless the programs named are installed."""

    def check(*names: str) -> None:
        reasons = list(filter(None, (_CHECKS[name]() for name in names)))
        if reasons:
            pytest.fail(reasons[0]) if os.environ.get("CI") else pytest.skip("; ".join(reasons))

    return check
