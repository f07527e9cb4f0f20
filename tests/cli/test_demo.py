"""The demo needs the real model, and says so before it writes anything."""

from pathlib import Path

import pytest

from groundtune.cli import demo
from groundtune.errors import MissingError


def test_without_the_model_the_demo_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match="is not on this machine yet"):
        demo.run(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
