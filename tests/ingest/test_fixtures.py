"""Real files from many sources (the fixtures of markitdown): each is read, or gives a plain reason why not."""

import os
import re
from pathlib import Path

import pytest

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load

DATA = Path(os.environ.get("GROUNDTUNE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
FOLDER = DATA / "markitdown-fixtures"
FILES = (
    sorted(path for path in FOLDER.glob("*") if path.is_file() and path.name != "LICENSE") if FOLDER.is_dir() else []
)

pytestmark = pytest.mark.skipif(not FILES, reason=f"no markitdown-fixtures under {DATA} (set GROUNDTUNE_DATA)")

PHRASES = {
    "equations.docx": ["From Eq. 36.1.3"],
    "rlink.docx": ["Testing Linked Images"],
    "test.docx": ["314b0a30-5b04-470b-b9f7-eed2c2bec74a", "49e168b7-d2ae-407f-a055-2167576f39a1", "d666f1f7"],
    "test_with_comment.docx": ["49e168b7-d2ae-407f-a055-2167576f39a1"],
    "test.pptx": ["2cdda5c8-e50e-4db4-b5f0-9722a649f455", "44bf7d06-5e7a-4a40-a2e1-a2e42ef28c8a", "Series 1: 2000"],
    "test.xlsx": ["6ff4173b-42a5-4784-9b19-f49caff4d93d", "affc7dad-52dc-4b98-9b5d-51e65d8a8ad0"],
    "test.pdf": ["While there is contemporaneous exploration of multi-agent approaches"],
    "test.epub": ["This is a test paragraph with some formatting."],
    "test.json": ["5b64c88c-b3c3-4510-bcb8-da0b200602d8: uuid_key"],
    "test_serp.html": ["Microsoft Corporation is an American multinational corporation and technology company"],
    "test_blog.html": ["Large language models (LLMs) are powerful tools that can generate natural language texts"],
    "test_wikipedia.html": ["Microsoft entered the operating system (OS) business in 1980", "Founded: April 4, 1975"],
    "test_mskanji.csv": ["名前: 佐藤太郎; 年齢: 30; 住所: 東京"],
    "test_notebook.ipynb": ['print("markitdown")'],
    "test_outlook_msg.msg": ["This is the body of the test email message"],
    "test_rss.xml": ["Ignite 2024: Why nearly 70% of the Fortune 500", "creator: Frank X. Shaw"],
    "RECEIPT-2024-TXN-98765_retail_purchase.pdf": ["SUBTOTAL $863.91", "TOTAL $821.14"],
    "REPAIR-2022-INV-001_multipage.pdf": ["Body Labor; 2; 150; 300", "Insured name; Bruce Wayne; Year; 2025"],
    "SPARSE-2024-INV-1234_borderless_table.pdf": ["Location: B-07; Actual: 289; Variance: -23"],
    "movie-theater-booking-2024.pdf": ["Month: December 2024; # Shows: 48; Gross Amount: $12,500.00"],
    "masterformat_partial_numbering.pdf": [
        ".1 The intent of this Request for Proposal (RFP) is to solicit submissions"
    ],
}
REASONS = {
    "test.xls": "save as .xlsx",
    "test_files.zip": "unpack the archive",
    "MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "no text layer (scanned PDF",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_read_or_says_why_not(path: Path) -> None:
    if path.name in REASONS:
        with pytest.raises(ParseError, match=re.escape(REASONS[path.name])) as caught:
            load(path)
        assert caught.value.skip
        return
    parsed = load(path)
    text = "\n".join(document.text for document in parsed)
    for phrase in PHRASES[path.name]:
        assert phrase in text
    for document in parsed:
        assert document.title is None or document.title in text or "html" in path.name or "epub" in path.name


@pytest.mark.parametrize("name", ["REPAIR-2022-INV-001_multipage", "movie-theater-booking-2024", "test"])
def test_pdf_words_are_those_expected(name: str) -> None:
    """At least 97% of the words that markitdown's authors expect are present."""
    expected = (FOLDER / "expected_outputs" / f"{name}.md").read_text(encoding="utf-8")
    (parsed,) = load(FOLDER / f"{name}.pdf")
    expected_words = re.findall(r"\w{3,}", re.sub(r"-\s*\n", "", expected))  # they leave hyphenated words divided
    read_words = {*re.findall(r"\w{3,}", parsed.text)}
    missing = [word for word in expected_words if word not in read_words]
    assert len(missing) <= 0.03 * len(expected_words), missing
