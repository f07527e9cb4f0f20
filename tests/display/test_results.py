"""What people see of an answer, of passages and of the other results."""

import copy
import pickle
from dataclasses import replace

import groundtune
from groundtune import Answer, Citation, Hit, Hits, Passage
from groundtune.display import Displayed
from groundtune.types import Artifact, Interval, Usage, Verdict

LONG = "A sentence that goes on. " * 100
PASSAGE = Passage("p", "d", "docs/returns.md", 0, 0, 9, LONG, heading="Returns > Bikes", page=2)
HITS = (Hit(PASSAGE, 0.8), Hit(replace(PASSAGE, source="docs/<b>.md", heading="", page=None, text="short"), 0.5))
CITATION = Citation(1, "30 days.", "exact", "p", "d", "docs/returns.md", "Returns", 2, "within 30 days", 0, 14)
ANSWER = Answer(
    "Within 30 days [1]. Or 40 [2][3].",
    "answered",
    citations=(
        CITATION,
        replace(CITATION, marker=2, support="close", heading="", page=None, quote="in 40 days " * 50),
        Citation(3, "Or 40.", "missing"),
    ),
    hits=HITS,
    confidence=0.75,
    approach="rag",
    usage=Usage(seconds=0.5, usd=0.001),
)
ABSTENTION = Answer("Not in your documents.", "abstained", hits=HITS)


def test_an_answer_shows_its_text_and_where_each_citation_leads() -> None:
    first, blank, *rest = str(ANSWER).split("\n")
    assert (first, blank) == ("Within 30 days [1]. Or 40 [2][3].", "")
    assert rest[0] == "[1] exact: docs/returns.md > Returns, page 2"
    assert rest[1] == "[2] close: docs/returns.md"
    assert rest[2].startswith('    source text: "in 40 days in 40')
    assert len(rest[2]) < 230
    assert rest[3] == "[3] NOT SUPPORTED by the cited passage: no passage has this number"
    assert rest[4] == "rag, confidence 0.75, 0.50 s, 0.00100 USD"
    assert len(rest) == 5


def test_an_abstention_shows_the_nearest_passages() -> None:
    lines = str(ABSTENTION).split("\n")
    assert lines[:4] == [
        "Not in your documents.",
        "",
        "Nearest passages:",
        "  docs/returns.md > Returns > Bikes, page 2",
    ]
    assert lines[4].startswith("    A sentence that goes on.")
    assert lines[4].endswith("…")
    assert lines[5:] == ["  docs/<b>.md", "    short"]
    assert str(replace(ABSTENTION, hits=())) == "Not in your documents."


def test_the_notebook_shows_the_quotes_too() -> None:
    page = ANSWER._repr_html_()
    assert "<summary>[1] exact: docs/returns.md &gt; Returns, page 2</summary>" in page
    assert "within 30 days" in page
    assert "docs/&lt;b&gt;.md" in ABSTENTION._repr_html_()
    assert len(ABSTENTION._repr_html_()) < 2_000


def test_repr_and_pickling_are_those_of_a_dataclass() -> None:
    assert repr(ANSWER).startswith("Answer(text='Within 30 days")
    assert pickle.loads(pickle.dumps(ANSWER)) == copy.deepcopy(ANSWER) == ANSWER


def test_hits_are_a_list_with_a_view() -> None:
    hits = Hits(HITS)
    assert hits == list(HITS)
    assert isinstance(hits, list)
    assert str(hits).split("\n")[0] == "1. docs/returns.md > Returns > Bikes, page 2  (0.800)"
    assert len(str(hits)) < 500
    assert "docs/&lt;b&gt;.md" in hits._repr_html_()
    assert str(Hits()) == "Nothing found."
    assert repr(hits) == repr(list(HITS))


def test_a_verdict_shows_its_reasons() -> None:
    verdict = Verdict(
        "rag",
        "Use rag.",
        reasons=("It is best.",),
        ruled_out={"context": ("too slow",)},
        flips=("a price",),
        caveats=("few",),
    )
    assert str(verdict).split("\n") == [
        "Use rag.",
        "  It is best.",
        "  ruled out: context: too slow",
        "  would change the verdict: a price",
        "  caveat: few",
    ]


def test_an_artifact_shows_how_good_it_is() -> None:
    artifact = Artifact(
        "i-1", "intents", "classifier", "base", "", "", {}, {"accuracy": 0.9, "train_loss": 1.0}, {}, {}, "", 12.0,
        None, unusable="it fails",
    )  # fmt: skip
    lines = str(artifact).split("\n")
    assert lines[:2] == ["i-1: classifier on base, 12 s, unknown cost", "not usable: it fails"]
    assert lines[-1].split() == ["accuracy", "0.900"]


def test_an_interval_reads_with_its_n() -> None:
    assert str(Interval(0.8931, 0.871, 0.914, 120)) == "0.893 [0.871, 0.914] n=120"


def test_the_results_of_the_main_verbs_have_a_view() -> None:
    for name in (
        "Answer", "Artifact", "Calibration", "DistillationReport", "Hits", "JudgeAgreement", "PreflightReport",
        "Report", "RetrievalReport", "SyncReport", "Verdict", "WeightFit",
    ):  # fmt: skip
        assert issubclass(getattr(groundtune, name), Displayed), name
