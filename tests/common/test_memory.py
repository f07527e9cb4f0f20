"""Free memory goes back to the system."""

import sys
from pathlib import Path

import pytest

from groundtune.common.memory import release_free_memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_blocks_below_used_ones_are_released() -> None:
    blocks = [bytes(4_000) for _ in range(50_000)]
    kept = blocks[::500]  # the allocator alone returns only what is above the last used block
    del blocks
    before = _resident_pages()
    release_free_memory()
    assert _resident_pages() < before - 20_000
    assert kept


def _resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])
