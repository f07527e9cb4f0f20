"""Sentences that a passage supports or contradicts, per language. tests/data/languages/README.md describes them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from groundtune.citations.checking import check_citations
from groundtune.citations.close_matching import closest_support, find_close
from groundtune.citations.quote_matching import find
from groundtune.common.support import CLOSE, EXACT, MISSING, UNCHECKED
from groundtune.languages.language import LANGUAGES
from groundtune.types import Hit, Passage

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


WITHOUT_DATA = [
    json.loads(line) for line in (FOLDER.parent / "languages_without_data.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("row", WITHOUT_DATA, ids=[f"{row['language']}-{row['project']}" for row in WITHOUT_DATA])
def test_a_language_without_data_is_never_close(row: dict[str, str]) -> None:
    passage, shorter = row["passage"], row["passage"].rpartition(" ")[0]
    for project in ("english", "german", row["project"]):
        hits = [Hit(Passage("d:1", "d", "a.md", 1, 0, len(passage), passage), 1.0)]
        supports = [
            citation.support
            for claim in (
                f"{row['claim'].rstrip('.')} [1].",
                f"“{passage}” [1]",
                f"{shorter} {shorter.split()[0]} [1].",
            )
            for citation in check_citations(claim, hits, language=project)[1]
        ]
        assert supports[0] in (UNCHECKED, MISSING)
        assert supports[1] == EXACT
        assert CLOSE not in supports


def _is_supported(claim: str, passage: str, language: str) -> bool:
    if find(claim, passage, language=language):
        return True
    return find_close(claim, passage, language=language) is not None and (
        closest_support(passage, language=language) == CLOSE
    )
