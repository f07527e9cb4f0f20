"""A judge against human labels: reading labels, agreement over judged rows only, failures counted separately."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from groundtune.errors import ConfigError, MissingError, UsageError
from groundtune.measure.judges import Judge
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import Generation, Prompt, Usage
from groundtune.workflows.judging import JudgeAgreement, LabelledAnswer, measure_agreement, read_labels

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def lines(*rows: Any) -> Path:
        path = tmp_path / "labels.jsonl"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return lines


def row(label: Any, *, answer: Any = "a", gold: Any = "g", **more: Any) -> dict[str, Any]:
    return {"input": "q", "answer": answer, "gold": gold, "label": label, **more}


def verdict(right: bool) -> str:
    return json.dumps({"reason": f"It is {right}.", "right": right})


def echo(body: dict[str, Any]) -> Reply:
    """Right where the answer says so; answers that start with `!` get the status that follows."""
    answer = json.loads(body["messages"][1]["content"])["answer"]
    if answer.startswith("!"):
        return Reply("down", status=int(answer[1:]))
    return Reply(answer if answer == "prose" else verdict(answer == "good"))


async def against(path: Path, script: Script, **options: Any) -> JudgeAgreement:
    with ScriptedServer(script) as server:
        model = HostedGenerator("m", base_url=server.base_url, retries=0, timeout_seconds=5)
        try:
            return await measure_agreement(Judge(model, metrics=("judge",)), path, **options)
        finally:
            await model.aclose()


def test_rows_are_read_unchanged(write: Write) -> None:
    path = write(row(True), "", row(0, answer={"a": 1}, gold={"a": 2}), {"input": "q", "answer": None, "label": 1})
    assert read_labels(path) == [
        LabelledAnswer(1, "q", "a", "g", True),
        LabelledAnswer(3, "q", {"a": 1}, {"a": 2}, False),
        LabelledAnswer(4, "q", None, None, True),
    ]


def test_every_problem_is_reported_at_once_with_line_and_hint(write: Write) -> None:
    path = write(
        "not json",
        "[1]",
        {"answer": "a", "label": True},
        {"input": "q", "label": True},
        row("yes"),
        row(None),
        row(0.5),
        row(True, gold=3),
        row(True, answer=[1]),
        row(True, answer=" ", golds="g"),
        '{"input": "q", "answer": "a", "label": true, "label": false}',
        row(True),
    )
    with pytest.raises(ConfigError) as caught:
        read_labels(path)
    problems = caught.value.problems
    assert [problem.line for problem in problems] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11]
    assert all(problem.hint for problem in problems)
    assert "use input, answer, gold, label" in str(problems[9])


def test_a_file_that_is_missing_empty_or_not_text(write: Write, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no label file"):
        read_labels(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="has no rows"):
        read_labels(write(""))
    (tmp_path / "labels.jsonl").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_labels(tmp_path / "labels.jsonl")


async def test_agreement_is_over_the_judged_rows(write: Write) -> None:
    pairs = [("good", True)] * 6 + [("good", False)] * 2 + [("bad", False)] * 3 + [("bad", True)]
    path = write(
        *(row(label, answer=answer) for answer, label in pairs),
        row(True, answer=None),  # by rule: abstained though there is an answer
        row(False, gold=None),
        row(True, answer="!500"),
        row(True, answer="!401"),
        row(False, answer="prose"),
    )
    done: list[int] = []
    result = await against(path, echo, progress=done.append)
    assert (result.rows, result.judged, result.by_rule, len(result.failures)) == (17, 12, 2, 3)
    assert result.errors == {"server": 1, "bad_key": 1, "judge": 1}
    assert [failure.line for failure in result.failures] == [15, 16, 17]
    assert result.agreement is not None
    assert result.agreement.kappa is not None
    kappa = cohen_kappa_score([label for _, label in pairs], [answer == "good" for answer, _ in pairs])
    assert result.agreement.kappa.mean == pytest.approx(kappa)
    assert result.agreement.agreement.mean == pytest.approx(9 / 12)
    assert (result.agreement.labels, result.agreement.confusion) == (("right", "wrong"), ((6, 1), (2, 3)))
    assert [(disagreement.line, disagreement.person, disagreement.judge) for disagreement in result.disagreements] == [
        (7, "wrong", "right"),
        (8, "wrong", "right"),
        (12, "right", "wrong"),
    ]
    assert result.disagreements[0].reason == "It is True."
    assert result.usage.output_tokens is not None
    assert done == list(range(1, 18))


async def test_there_is_no_agreement_if_all_rows_fail(write: Write) -> None:
    result = await against(write(row(True), row(False)), Reply("down", status=500))
    assert (result.agreement, result.judged, result.errors) == (None, 0, {"server": 2})


async def test_a_single_label_is_reported_and_has_no_kappa(write: Write) -> None:
    result = await against(write(row(True, answer="good"), row(True, answer="good")), echo)
    assert result.agreement is not None
    assert result.agreement.kappa is None
    assert "undefined" in result.agreement.note


async def test_a_file_without_rows_for_the_judge_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match=r"no row of .* needs a judge"):
        await against(write(row(True, gold=None), row(False, answer=None)), echo)


async def test_a_written_text_is_right_when_all_criteria_hold(write: Write) -> None:
    class Model:
        name = "m"

        async def generate(self, prompt: Prompt) -> Generation:
            return Generation(json.dumps({"reason": "r", "facts": True, "form": "good" in prompt.messages[1].content}))

    path = write(row(True, answer="good"), row(True, answer="bad"))
    result = await measure_agreement(Judge(Model(), metrics=("judge",), task="write"), path)
    assert [disagreement.line for disagreement in result.disagreements] == [2]
    assert result.usage == Usage()


async def test_at_most_eight_calls_run_and_only_the_judge_metric_is_used(write: Write) -> None:
    class Model:
        name = "m"
        now = most = 0

        async def generate(self, prompt: Prompt) -> Generation:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.01)
            self.now -= 1
            return Generation(verdict(True))

    model = Model()
    result = await measure_agreement(Judge(model, metrics=("faithfulness", "context_recall")), write(*[row(True)] * 30))
    assert (model.most, result.judged) == (8, 30)


async def test_errors_other_than_judge_failures_stop_the_run(write: Write) -> None:
    class Model:
        name = "m"

        async def generate(self, prompt: Prompt) -> Generation:
            raise MissingError("no key", hint="set it")

    with pytest.raises(MissingError):
        await measure_agreement(Judge(Model(), metrics=("judge",)), write(row(True)))
