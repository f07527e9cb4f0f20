"""What people see of an answer, of passages and of the other results."""

import copy
import html
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import groundtune
from groundtune import (
    Agreement,
    Answer,
    Artifact,
    Calibration,
    Citation,
    DistillationReport,
    FileReport,
    FileRow,
    Hit,
    Hits,
    Interval,
    JudgeAgreement,
    Message,
    Miss,
    OperatingPoint,
    Passage,
    PreflightFinding,
    PreflightReport,
    RetrievalReport,
    StageReport,
    SyncReport,
    Trace,
    Uncalibrated,
    Usage,
    Verdict,
    WeightFit,
)
from groundtune.display import Displayed
from groundtune.display.answers import trace_view
from groundtune.display.blocks import as_text
from groundtune.tune.job import Bounds
from groundtune.types import Flip, Prompt
from groundtune.workflows.judging import Disagreement

MEAN = Interval(0.8931, 0.871, 0.914, 120)

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
    assert rest[3] == "[3] NOT SUPPORTED by the cited passage: the model was given no passage of this number"
    assert rest[4] == "rag, confidence 0.75, 0.50 s, 0.00100 USD"
    assert len(rest) == 5


def test_an_uncited_answer_looks_different() -> None:
    uncited = (Citation(None, "Within 30 days.", "uncited"), Citation(None, "Or <40>.", "uncited"))
    shown = str(replace(ANSWER, text="Within 30 days. Or <40>.", citations=uncited)).split("\n")
    assert shown[2:5] == [
        'NOT CITED: "Within 30 days."',
        'NOT CITED: "Or <40>."',
        "no sentence of this answer is cited",
    ]
    assert "NOT CITED: &quot;Or &lt;40&gt;.&quot;" in replace(ANSWER, citations=uncited)._repr_html_()
    half = str(replace(ANSWER, citations=(CITATION, uncited[1]))).split("\n")
    assert half[2:4] == ["[1] exact: docs/returns.md > Returns, page 2", 'NOT CITED: "Or <40>."']
    assert "no sentence of this answer is cited" not in half


def test_added_markers_and_states_of_other_checkers_are_named() -> None:
    citations = (replace(CITATION, added=True), replace(CITATION, marker=2, support="half true"))
    citations = (*citations, replace(CITATION, marker=3, support="unchecked", quote=""))
    shown = str(replace(ANSWER, citations=citations)).split("\n")[2:5]
    assert shown == [
        "[1] exact (marker added by groundtune): docs/returns.md > Returns, page 2",
        "[2] half true: docs/returns.md > Returns, page 2",
        "[3] not checked: docs/returns.md > Returns, page 2",
    ]


def test_an_abstention_shows_the_nearest_passages() -> None:
    shown = str(ABSTENTION).split("\n")
    assert shown[:4] == [
        "Not in your documents.",
        "",
        "Nearest passages:",
        "  docs/returns.md > Returns > Bikes, page 2",
    ]
    assert shown[4].startswith("    A sentence that goes on.")
    assert shown[4].endswith("…")
    assert shown[5:] == ["  docs/<b>.md", "    short"]
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
        flips=(Flip("months", 12, 6, "or less", None, "a price"),),
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
    shown = str(artifact).split("\n")
    assert shown[:2] == ["i-1: classifier on base, 12 s, unknown cost", "not usable: it fails"]
    assert shown[-1].split() == ["accuracy", "0.900"]


def test_an_interval_reads_with_its_n() -> None:
    assert str(MEAN) == "0.893 [0.871, 0.914] n=120"


def lines(result: Displayed) -> list[str]:
    """Return the lines of the text without indentation; the notebook must show the first one too."""
    shown = [" ".join(line.split()) for line in str(result).split("\n")]
    assert html.escape(shown[0].split()[0]) in result._repr_html_()
    return shown


def test_ingest_shows_what_changed_and_what_is_not_indexed() -> None:
    good, bad = FileRow("a.md", "indexed"), FileRow("b.pdf", "failed", "damaged")
    report = SyncReport((FileReport(good, "added"), FileReport(bad, "added"), FileReport(bad, "removed")), 1, 2, 2, 0.5)
    assert lines(report) == [
        "3 files: 2 added, 1 removed",
        "1 document, 2 passages in the index; 2 embedded now, in 0.5 s",
        "status file reason",
        "failed b.pdf damaged",
    ]


def test_evaluate_shows_every_stage_and_the_failures() -> None:
    miss = Miss("q1", "<Where?>", "a.md", "here", None, "ranked too low", ())
    causes: dict[Any, float] = {"ranked too low": 1.0, "no access": 0.0}
    stages = (
        StageReport("dense", {"mrr": MEAN}, {}, (), 0, 4, {}),
        StageReport("fused", {"mrr": MEAN}, {}, (miss,), 1, 4, causes),
    )
    report = RetrievalReport(10, 4, 0, stages)
    assert lines(report) == [
        "stage mrr",
        "dense 0.893 [0.871, 0.914] n=120",
        "fused 0.893 [0.871, 0.914] n=120",
        "Missing from the top 10 passages: 1 of 4 pieces of evidence (ranked too low 100%)",
        "1 worst question: stages[-1].worst",
    ]
    assert "&lt;Where?&gt;" in report._repr_html_()
    assert len(lines(RetrievalReport(10, 4, 0, stages[:1]))) == 2


def test_preflight_shows_the_findings_and_the_bounds() -> None:
    finding = PreflightFinding("error", "length", "too long", "cut it")
    report = PreflightReport((finding,), {"train": 1200}, bounds=Bounds(60.0, None, 0.0))
    assert lines(report) == ["rows: train 1,200", "level finding hint", "error too long cut it", "at most 60 s, $0.00"]
    assert lines(PreflightReport((), {"train": 1}))[1:] == ["nothing to report"]


def test_fitting_shows_what_was_chosen() -> None:
    assert lines(WeightFit(0.7, 95, 0.8, MEAN, MEAN)) == [
        "Fusion weight 0.7 fitted on 95 train questions",
        "nDCG@10 on the test split",
        "fitted 0.893 [0.871, 0.914] n=120",
        "default 0.893 [0.871, 0.914] n=120",
    ]
    point = OperatingPoint(0.25, 0.8, 0.1, 80)
    assert lines(Calibration(point, "at most 10% wrong", 100, (point,), "rag")) == [
        "Abstention threshold of rag: 0.25, fitted on 100 train and validation examples (at most 10% wrong). "
        "It answers 80% of them; 10% of these answers are wrong."
    ]
    assert lines(Uncalibrated("no confidence is stated")) == ["No abstention threshold: no confidence is stated"]


def test_distilling_and_judging_show_their_counts() -> None:
    assert lines(DistillationReport(Path("new.jsonl"), 3, 2, {"abstained": 1}, 0.0)) == [
        "2 of 3 inputs kept in new.jsonl",
        "1 dropped: abstained",
    ]
    disagreement = Disagreement(3, "q", "a", "b", "right", "wrong", "<because>")
    agreement = Agreement(None, MEAN, ("right", "wrong"), ((1, 0), (0, 1)), 2)
    report = JudgeAgreement("gpt", Path("labels"), 4, 2, 1, agreement, (disagreement,), (), Usage())
    assert lines(report) == [
        "Judge gpt against labels",
        "4 rows: 2 judged, 1 decided without the judge, 0 errors",
        "kappa –",
        "agreement 0.893 [0.871, 0.914] n=120",
        "1 disagreement: disagreements",
    ]
    assert "&lt;because&gt;" in report._repr_html_()


def test_the_results_of_the_main_verbs_have_a_view() -> None:
    for name in (
        "Answer", "Artifact", "Calibration", "DistillationReport", "Hits", "JudgeAgreement", "PreflightReport",
        "Report", "RetrievalReport", "SweepReport", "SyncReport", "Verdict", "WeightFit",
    ):  # fmt: skip
        assert issubclass(getattr(groundtune, name), Displayed), name


def test_a_trace_shows_query_scores_timings_and_prompt() -> None:
    stages = {"dense": 0.71234, "fused": 0.8, "bm25": 0.5}
    hits = (replace(HITS[0], stages=stages), replace(HITS[1], stages={"dense": 0.5, "fused": 0.5}))
    prompt = Prompt("q", (Message("system", "Be brief.\nCite."), Message("user", "[1] …\n\nQuestion: q")), hits)
    answer = replace(
        ANSWER,
        id="a1",
        time="2026-01-01T00:00:00.000+00:00",
        steps={"retrieve": 0.25, "generate": 0.5},
        usage=Usage(1200, 0, 30, 0.75, 0.00123),
        trace=Trace(prompt, "how long", "gpt", ("the question was not rewritten",)),
    )
    shown = as_text(trace_view(answer))
    assert [line.split(None, 1) for line in shown.split("\n\n")[0].split("\n")[1:]] == [
        ["answer", "a1, 2026-01-01T00:00:00.000+00:00"],
        ["approach", "rag"],
        ["model", "gpt"],
        ["searched", "for  how long"],
        ["seconds", "retrieve 0.250, generate 0.500"],
        ["tokens", "1,200 in, 0 cached, 30 out"],
        ["USD", "0.00123"],
        ["note", "the question was not rewritten"],
    ]
    table = shown.split("\n\n")[1].split("\n")
    assert table[0].split() == ["passage", "bm25", "dense", "fused"]
    assert table[1].split()[-3:] == ["0.500", "0.712", "0.800"]
    assert table[2].split()[-3:] == ["–", "0.500", "0.500"]
    assert shown.endswith("system:\n  Be brief.\n  Cite.\n\nuser:\n  [1] …\n\n  Question: q")


def test_a_trace_of_a_bare_answer_is_short() -> None:
    shown = as_text(trace_view(Answer("x", "answered", approach="mine", cached=True)))
    assert "passage" not in shown
    assert "cached" in shown


def test_an_answer_that_was_cut_off_or_is_doubtful_says_so() -> None:
    doubtful = replace(ANSWER, cut="max_output_tokens", warnings=("the server shortened the prompt",))
    assert "cut off at max_output_tokens: raise max_output_tokens of its model" in str(doubtful)
    assert "the server shortened the prompt" in str(doubtful)
    assert "show fewer or shorter passages" in str(replace(ANSWER, cut="window"))


def test_the_trace_shows_the_reasoning_and_the_answer_does_not() -> None:
    thought = replace(ANSWER, reasoning="The user asks for days.", usage=Usage(10, 0, 9, reasoning_tokens=5))
    assert "asks for days" not in str(thought)
    traced = as_text(trace_view(thought))
    assert "The user asks for days." in traced
    assert "5 reasoning" in traced
