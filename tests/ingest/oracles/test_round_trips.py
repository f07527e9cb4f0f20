"""Words planted in files of every format are found by a search, on their page, and their sentences cited exactly."""

from pathlib import Path

import pytest
from benchmarks.oracles.generated import write_all
from benchmarks.oracles.round_trips import find_lost
from benchmarks.oracles.writers import FORMATS
from benchmarks.oracles.writers.pdf import missing_font

from groundtune import Project
from groundtune.models.local_embedder import BundledEmbedder

SEEDS = range(60, 80)


@pytest.mark.slow
def test_planted_words_are_found(tmp_path: Path, embedder: BundledEmbedder) -> None:
    suffixes = [suffix for suffix in FORMATS if suffix != ".pdf" or not missing_font()]
    (tmp_path / "docs").mkdir()
    (tmp_path / "groundtune.toml").write_text('name = "test"\n[documents]\ninclude = ["docs/**"]\n')
    written = {}
    for seed, suffix in zip(SEEDS, suffixes * 2, strict=False):
        written |= write_all([seed], tmp_path / "docs", [suffix])
    assert len(written) > 10
    with Project.open(tmp_path) as project:
        project.session.embedder = embedder
        project.ingest()
        assert list(find_lost(project, written)) == []
