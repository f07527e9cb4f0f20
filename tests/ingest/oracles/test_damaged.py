"""Damaged files of every format are read or refused with a reason; none hangs, crashes or fills the memory."""

import re
from pathlib import Path

import pytest
from benchmarks.fuzz_documents import CONTAINED, write_mutation
from benchmarks.oracles.generated import write_all
from benchmarks.oracles.writers import FORMATS

from groundtune.errors import ParseError
from groundtune.ingest.sandbox import Sandbox


@pytest.mark.slow
async def test_damaged_files(tmp_path: Path) -> None:
    written = write_all(range(3), tmp_path, [suffix for suffix in FORMATS if suffix != ".pdf"])
    pdfs = sorted((Path(__file__).parents[3] / "examples").rglob("*.pdf"))
    corpus = [(path.suffix, path.read_bytes()) for path in (*written, *pdfs)]
    files = [write_mutation(corpus, 11, number, tmp_path) for number in range(120)]
    async with Sandbox(timeout_seconds=60, memory_mb=1024) as sandbox:
        outcomes = await sandbox.load_many(files)
    contained = [
        (file.name, str(outcome))
        for file, outcome in zip(files, outcomes, strict=True)
        if isinstance(outcome, ParseError) and re.search(CONTAINED, str(outcome))
    ]
    assert contained == []
    assert sum(not isinstance(outcome, ParseError) for outcome in outcomes) > 30
