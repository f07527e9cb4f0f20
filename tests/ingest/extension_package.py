"""Install a package with loaders for this process and the processes it starts, as pip would."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from groundtune.extensions import load_extensions


@contextmanager
def installed(folder: Path, code: str, *, name: str = "acme_loaders") -> Iterator[None]:
    """Within the block, a package with this module is installed; the module has a function `register`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[groundtune]\n{name} = {name}:register\n")
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        load_extensions.cache_clear()
        try:
            yield
        finally:
            load_extensions.cache_clear()
            sys.modules.pop(name, None)
