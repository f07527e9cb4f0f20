"""Sentences that a passage supports or contradicts, per language. tests/data/languages/README.md describes them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from groundtune.citations.close_matching import closest_support, find_close
from groundtune.citations.quote_matching import find
from groundtune.common.support import CLOSE
from groundtune.languages.language import LANGUAGES

FOLDER = Path(__file__).parents[1] / "data/languages"
SUPPORTED = ("format", "paraphrase")


@pytest.mark.parametrize("language", LANGUAGES)
def test_contradictions_are_refused_and_paraphrases_supported(language: str) -> None:
    rows = [json.loads(line) for line in (FOLDER / f"{language}.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) > 80
    count = Counter(row["kind"] for row in rows)
    supported = [row for row in rows if _is_supported(row["claim"], row["passage"], language)]
    found = Counter(row["kind"] for row in supported)
    missed = [(row["kind"], row["claim"]) for row in supported if row["kind"] not in SUPPORTED]
    assert missed == []
    assert found["format"] >= 0.98 * count["format"]
    assert found["paraphrase"] >= 0.95 * count["paraphrase"]


def _is_supported(claim: str, passage: str, language: str) -> bool:
    if find(claim, passage, language=language):
        return True
    return find_close(claim, passage, language=language) is not None and (
        closest_support(passage, language=language) == CLOSE
    )
