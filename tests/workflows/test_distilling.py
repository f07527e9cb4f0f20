"""Labels from a stronger approach over real HTTP: supported answers are kept, all others are counted."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.dataset.examples import read_examples
from groundtune.errors import BudgetError, ConfigError, MissingError
from groundtune.project import Project
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Answer, Citation, Evidence
from groundtune.workflows.distilling import DistillationReport, accept_answer, read_inputs

pytestmark = pytest.mark.slow

TOWNS = ("Marwin", "Teldra", "Osfen", "Winby", "Drasta", "Fencol", "Colru", "Byfen")
PASSAGE = re.compile(r"\[(\d+)\] [^\n]*\n(.*?)\n</passage>", re.DOTALL)
FILE = """name = "tolls"
[documents]
include = ["docs/**/*"]
[examples]
files = ["examples.jsonl"]
[models.default]
kind = "openai"
model = "teacher"
base_url = "%s"
window = 30000
max_output_tokens = 64
[prices."teacher"]
input_per_million = 10.0
output_per_million = 10.0
"""


def toll(town: str) -> str:
    return f"The bridge toll in {town} is {100 + 7 * TOWNS.index(town)} pence."


def question(town: str) -> str:
    return f"How much is the bridge toll in {town}?"


class Teacher:
    """Cites the toll of a town word for word, except in towns with scripted behaviour."""

    def __init__(self) -> None:
        self.ways: dict[str, str] = {}
        """Town to behaviour: abstain, invent, uncited, wrong-number or fail."""

    def __call__(self, body: dict[str, Any]) -> Reply:
        if "messages" not in body:
            return Reply()
        prompt = body["messages"][-1]["content"]
        town = prompt.rpartition("toll in ")[2].rstrip("?")
        way = self.ways.get(town, "")
        if way == "fail":
            return Reply("broken", status=400)
        passages = dict(PASSAGE.findall(prompt))
        number = next((number for number, text in passages.items() if town in TOWNS and toll(town) in text), None)
        if number is None or way == "abstain":
            return Reply("NOT_IN_DOCUMENTS")
        sentence = toll(town).rstrip(".")
        if way == "invent":
            sentence = re.sub(r"\d+", "999", sentence)
        marker = {"uncited": "", "wrong-number": " [77]"}.get(way, f" [{number}]")
        return Reply(f"{sentence}{marker}.")


class Desk:
    def __init__(self, folder: Path, server: ScriptedServer, teacher: Teacher) -> None:
        self.folder, self.server, self.teacher = folder, server, teacher
        self.target = folder / "distilled.jsonl"
        (folder / "docs").mkdir()
        for town in TOWNS:
            (folder / f"docs/{town}.md").write_text(f"# {town}\n\n{toll(town)} It is due on the north bank.\n")
        (folder / "groundtune.toml").write_text(FILE % server.base_url)
        self.examples({"id": "known", "input": question("Byfen"), "output": "149 pence", "split": "test"})
        self.project = Project.open(folder)
        self.project.ingest()

    def examples(self, *rows: dict[str, Any]) -> None:
        (self.folder / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def inputs(self, *texts: str) -> Path:
        path = self.folder / "inputs.txt"
        path.write_text("\n".join(texts))
        return path

    def distil(self, *texts: str, **more: Any) -> DistillationReport:
        given = {"approach": "rag", "target": self.target, **more}
        return self.project.distil(self.inputs(*texts), **given)

    @property
    def asked(self) -> list[str]:
        posts = [body for body in self.server.posts() if "messages" in body]
        return [body["messages"][-1]["content"].rpartition("Question: ")[2] for body in posts]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for module in ("connection", "rate_limiter"):
        monkeypatch.setattr(f"groundtune.models.{module}.max_backoff_seconds", lambda first, tries: 0.02)
    teacher = Teacher()
    with ScriptedServer(teacher) as server:
        new_desk = Desk(tmp_path, server, teacher)
        yield new_desk
        new_desk.project.close()


def test_exactly_cited_answers_are_kept_with_evidence_and_origin(desk: Desk) -> None:
    done = desk.distil(*map(question, TOWNS[:3]))
    assert (done.file, done.inputs, done.kept, done.left_out) == (desk.target, 3, 3, {})
    rows = read_examples(desk.target)
    assert [row.input for row in rows] == [question(town) for town in TOWNS[:3]], "in the order of the inputs"
    for town, row in zip(TOWNS, rows, strict=False):
        assert toll(town).rstrip(".") in row.output
        (proof,) = row.evidence
        assert proof.source == f"docs/{town}.md"
        assert proof.quote in (desk.folder / proof.source).read_text()
        assert (row.split, row.origin) == ("train", "distilled with rag")
    assert len({row.id for row in rows}) == 3


def test_unsupported_answers_are_left_out_and_counted_by_reason(desk: Desk) -> None:
    ways = ("", "abstain", "invent", "uncited", "wrong-number", "fail")
    desk.teacher.ways = dict(zip(TOWNS, ways, strict=False))
    done = desk.distil(*map(question, TOWNS[:6]), question("Atlantis"))
    assert [row.input for row in read_examples(desk.target)] == [question(TOWNS[0])]
    assert done.left_out == {
        "abstained": 2,
        "neither cited exactly nor sure": 2,
        "not cited, and not sure": 1,
        "error: bad_request": 1,
    }
    assert done.kept + sum(done.left_out.values()) == done.inputs == 7
    assert "999" not in desk.target.read_text()


def test_an_input_that_is_already_an_example_is_skipped(desk: Desk) -> None:
    done = desk.distil(question("Byfen"), f"  {question('Byfen')} ", question("Marwin"))
    assert (done.kept, done.left_out) == (1, {"is an example already": 1})
    assert desk.asked == [question("Marwin")]
    assert "Byfen" not in desk.target.read_text()


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace(" ", "  ")])
def test_an_example_in_other_case_or_spacing_is_the_same(change: Callable[[str], str], desk: Desk) -> None:
    desk.examples({"id": "known", "input": change(question("Marwin")), "output": "100 pence", "split": "test"})
    done = desk.distil(question("Marwin"), question("Teldra"))
    assert done.left_out == {"is an example already": 1}


def test_outputs_contain_no_citation_markers(desk: Desk) -> None:
    desk.distil(question("Marwin"))
    (row,) = read_examples(desk.target)
    assert row.output == toll("Marwin")


def test_the_cost_is_reported(desk: Desk) -> None:
    seen: list[tuple[int, int]] = []
    done = desk.distil(*map(question, TOWNS[:3]), progress=lambda at, total: seen.append((at, total)))
    assert 0 < done.spent_usd < 0.1
    assert seen == [(1, 3), (2, 3), (3, 3)]
    again = desk.distil(*map(question, TOWNS[:3]), target=desk.folder / "again.jsonl")
    assert (again.spent_usd, len(desk.asked)) == (0.0, 3), "what was made lies in the cache"
    assert (desk.folder / "again.jsonl").read_text() == desk.target.read_text()


def test_distillation_stops_before_the_budget_is_exceeded(desk: Desk) -> None:
    inputs = desk.inputs(*map(question, TOWNS[:7]))
    words = [str(inputs), "--project", str(desk.folder), "--to", str(desk.target)]
    assert main(["distil", *words, "--budget-usd", "0.02"]) == 1
    assert 0 < len(desk.asked) < 7, "the highest price of a try, 0.016 dollars, must be left for each"
    assert not desk.target.exists()
    assert main(["distil", *words]) == 0
    assert len(desk.asked) == 7, "what was asked is not asked again"
    assert len(read_examples(desk.target)) == 7


def test_an_exhausted_budget_is_a_budget_error(desk: Desk) -> None:
    with pytest.raises(BudgetError):
        desk.distil(question("Marwin"), budget_usd=1e-9)


def test_an_existing_file_is_not_overwritten(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.target.write_text("dear to me")
    words = ["distil", str(desk.inputs(question("Marwin"))), "--project", str(desk.folder), "--to", str(desk.target)]
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert (desk.target.read_text(), desk.asked) == ("dear to me", [])


def test_the_library_does_not_overwrite_either(desk: Desk) -> None:
    desk.target.write_text("dear to me")
    with pytest.raises(Exception, match="already exists"):
        desk.distil(question("Marwin"))
    assert desk.target.read_text() == "dear to me"


def test_no_file_is_written_if_nothing_is_kept(desk: Desk) -> None:
    assert desk.distil(question("Atlantis")).kept == 0
    assert not desk.target.exists()


def test_an_unknown_approach_is_refused_before_any_call(desk: Desk) -> None:
    with pytest.raises(Exception, match="no approach 'oracle'"):
        desk.distil(question("Marwin"), approach="oracle")
    assert desk.asked == []


# -- inputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"one\n\n  two \r\none\n"),
        ("a", b"\xef\xbb\xbfone\ntwo"),
        ("a.jsonl", b'{"input": "one", "id": 7}\n\n{"input": " two\\n"}\n{"input": "one"}\n'),
        ("a.NDJSON", b'\xef\xbb\xbf{"input": "one"}\r\n{"input": "two"}'),
    ],
)
def test_each_text_is_read_once_and_in_order(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_inputs(tmp_path / name) == ["one", "two"]


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"input": "one"}\n{"input": 5}\n{"question": "x"}\nnot json\n["input"]\n"input"\n')
    with pytest.raises(ConfigError) as caught:
        read_inputs(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 6]
    assert all('{"input": "…"}' in (problem.hint or "") for problem in caught.value.problems)


@pytest.mark.parametrize("content", [b"", b"\n  \n", b"\xff\xfe\n"])
def test_a_file_without_a_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"has no inputs|not UTF-8"):
        read_inputs(tmp_path / "a.txt")
    with pytest.raises(MissingError, match="cannot read"):
        read_inputs(tmp_path / "b.txt")
    with pytest.raises(MissingError, match="is a directory"):
        read_inputs(tmp_path)


# -- what may be learnt from ---------------------------------------------------------------------------------------

EXACT = Citation(1, "It is so.", "exact", source="docs/a.md", quote="It is so")
CLOSE = Citation(2, "It may be.", "close", source="docs/b.md", quote="It may well be")
LOST = Citation(9, "It was.", "missing")
UNCITED = Citation(None, "Or not.", "uncited")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("It is so [1].", "answered", citations=(EXACT,)), ""),
        (Answer("It is so [1].", "answered", citations=(EXACT, CLOSE)), "neither cited exactly nor sure"),
        (Answer("It is so [1].", "answered", citations=(EXACT, LOST)), "neither cited exactly nor sure"),
        (Answer("It is so. Or not.", "answered", citations=(EXACT, UNCITED)), "neither cited exactly nor sure"),
        (Answer("It is so [1].", "answered", citations=(replace(EXACT, added=True),)), "not cited, and not sure"),
        (Answer("Or not.", "answered", citations=(UNCITED,)), "not cited, and not sure"),
        (Answer("It is so.", "answered"), "not cited, and not sure"),
        (Answer("It is so.", "answered", confidence=0.89), "not cited, and not sure"),
        (Answer("It is so.", "answered", confidence=0.9), ""),
        (Answer("No.", "abstained", confidence=1.0), "abstained"),
    ],
)
def test_an_answer_is_kept_if_exactly_cited_or_confident(answer: Answer, reason: str) -> None:
    kept, why_not = accept_answer(answer, min_confidence=0.9)
    assert (why_not, kept is None) == (reason, bool(reason))


def test_nothing_is_trained_on_a_reply_that_was_cut_off() -> None:
    cut = Answer("It is so", "answered", citations=(EXACT,), confidence=1.0, cut="max_output_tokens")
    assert accept_answer(cut, min_confidence=0.5) == (None, "cut off at max_output_tokens")


def test_a_quote_is_exact_whether_it_answers_or_not() -> None:
    cited = Answer("It is so.", "answered", citations=(EXACT,), confidence=0.5)
    assert accept_answer(cited, min_confidence=0.9)[0]
    assert accept_answer(cited, min_confidence=0.9, verbatim=True) == (None, "a quote, and not sure")
    assert accept_answer(cited, min_confidence=0.5, verbatim=True)[0]


def test_the_output_is_the_label_or_object_if_present() -> None:
    labelled = Answer("It is a refund", "answered", "refund", confidence=0.95)
    assert accept_answer(labelled, min_confidence=0.9)[0] == ("refund", ())
    written = Answer("It is so [1].", "answered", citations=(EXACT, EXACT))
    kept, _ = accept_answer(written, min_confidence=0.9)
    assert kept is not None
    assert kept[1] == (Evidence("docs/a.md", "It is so"),)
