"""Compare a judge with human labels on the same answers. Rows without a judge verdict never count."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.answers import total_usage
from groundtune.common.event_loop import run_workers
from groundtune.common.json_schema import parse_json
from groundtune.common.text import format_count
from groundtune.dataset.examples import ReportProblem
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import ConfigError, JudgeError, MissingError, Problem, UsageError
from groundtune.measure.judges import Judge, Judgement
from groundtune.stats.agreement import Agreement, cohen_kappa
from groundtune.types import Answer, Example, Usage

CONCURRENCY = 8
RIGHT, WRONG = "right", "wrong"
_KEYS = ("input", "answer", "gold", "label")
_ROW_FORMAT = '{"input": "…", "answer": "…", "gold": "…", "label": true}'


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer with a human label."""

    line: int
    """Line in the file, counted from 1."""
    input: str
    answer: Any
    """Text or object; None for an abstention."""
    gold: Any
    """Gold answer; None when the correct answer is to abstain."""
    label: bool
    """Whether the answer is correct."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row where the judge disagrees with the human label."""

    line: int
    input: str
    answer: Any
    gold: Any
    person: str
    """`right` or `wrong`; `judge` is the opposite."""
    judge: str
    reason: str
    """The judge's reason."""


@dataclass(frozen=True, slots=True)
class JudgeFailure:
    """A row without a verdict."""

    line: int
    kind: str
    """Kind of endpoint failure; `judge` for an unusable reply."""
    message: str


@dataclass(frozen=True, slots=True)
class JudgeAgreement(Displayed):
    """Agreement between a judge and human labels. rows = judged + by_rule + len(failures)."""

    judge: str
    """Model name of the judge."""
    file: Path
    rows: int
    judged: int
    by_rule: int
    """Rows decided without the judge, because `answer` or `gold` is null."""
    agreement: Agreement | None
    """Human labels (a) against judge (b), over the judged rows; None when there are none."""
    disagreements: tuple[Disagreement, ...]
    """In file order."""
    failures: tuple[JudgeFailure, ...]
    usage: Usage
    """Usage over the judged rows."""

    def view(self) -> list[Block]:
        """Return the agreement with its intervals, and the rows on which the two disagree."""
        judged = f"{format_count(self.rows, 'row')}: {self.judged:,} judged, {self.by_rule:,} decided without the judge"
        rows = [[row.line, row.input, row.person, row.judge, row.reason] for row in self.disagreements]
        blocks: list[Block] = [
            Line(f"Judge {self.judge} against {self.file}", "strong"),
            Line(f"{judged}, {format_count(len(self.failures), 'error')}", indent=1),
        ]
        if self.agreement:
            blocks.append(Line(f"kappa {self.agreement.kappa or '–'}", indent=1))
            blocks.append(Line(f"agreement {self.agreement.agreement}", indent=1))
        if rows:
            title = f"{format_count(len(rows), 'disagreement')}: disagreements"
            blocks.append(Fold(title, [Table(["line", "input", "person", "judge", "reason"], rows)]))
        return blocks

    @property
    def errors(self) -> Mapping[str, int]:
        """Failures by kind."""
        return Counter(failure.kind for failure in self.failures)


async def measure_agreement(
    judge: Judge,
    path: Path,
    *,
    concurrency: int = CONCURRENCY,
    progress: Callable[[int], None] = lambda _: None,
) -> JudgeAgreement:
    """Run the judge on every row of a label file and compare its verdicts with the human labels.

    Only the metric `judge` is used; a score below 1 means wrong. progress: rows done. Raises what `read_labels` raises,
    and UsageError when no row needs a judge.
    """
    rows = read_labels(path)
    if all(row.answer is None or row.gold is None for row in rows):
        raise UsageError(
            f'no row of {path} needs a judge: "answer" or "gold" is null in each', hint=f"write {_ROW_FORMAT}"
        )
    outcomes = await _judge_all(judge, rows, concurrency, progress)
    judgements = [
        (row, judgement) for row, judgement in zip(rows, outcomes, strict=True) if isinstance(judgement, Judgement)
    ]
    judged = [(row, judgement) for row, judgement in judgements if judgement.used_model]
    labels = [_word(row.label) for row, _ in judged]
    verdicts = [_verdict(judgement) for _, judgement in judged]
    return JudgeAgreement(
        judge=judge.name,
        file=path,
        rows=len(rows),
        judged=len(judged),
        by_rule=len(judgements) - len(judged),
        agreement=cohen_kappa(labels, verdicts) if judged else None,
        disagreements=tuple(
            Disagreement(
                line=row.line,
                input=row.input,
                answer=row.answer,
                gold=row.gold,
                person=_word(row.label),
                judge=_verdict(judgement),
                reason=judgement.reasons["judge"],
            )
            for row, judgement in judged
            if _word(row.label) != _verdict(judgement)
        ),
        failures=tuple(outcome for outcome in outcomes if isinstance(outcome, JudgeFailure)),
        usage=total_usage([judgement.usage for _, judgement in judged]),
    )


def read_labels(path: Path) -> list[LabelledAnswer]:
    """Read a label file with one JSON object per line (UTF-8; empty lines are skipped).

    Keys: `input` (string), `answer` (string or object; null for an abstention), `gold` (like `output` of an example;
    null or absent if the correct answer is to abstain), `label` (true or 1 if a person judged the answer correct; false
    or 0 if wrong). Raises MissingError when there is no such file, ConfigError with every problem in it.
    """
    if not path.is_file():
        raise MissingError(f"no label file {path}", hint=f"write one object per line, like {_ROW_FORMAT}")
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")]) from None
    problems: list[Problem] = []
    rows = list(_parse_rows(path, lines, problems))
    if not rows and not problems:
        problems.append(Problem(path, "has no rows", hint=f"write one object per line, like {_ROW_FORMAT}"))
    if problems:
        raise ConfigError(problems)
    return rows


def _parse_rows(path: Path, lines: Sequence[str], problems: list[Problem]) -> Iterator[LabelledAnswer]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue

        def report(message: str, hint: str, line: int = number) -> None:
            problems.append(Problem(path, message, line, hint))

        try:
            row = parse_json(line)
        except ValueError as error:
            report(str(error), "write one JSON object per line")
            continue
        if isinstance(row, dict):
            yield _parse_row(row, number, report)
        else:
            report("not a JSON object", f"write {_ROW_FORMAT}")


def _parse_row(row: Mapping[str, Any], number: int, report: ReportProblem) -> LabelledAnswer:
    for key in sorted(row.keys() - set(_KEYS)):
        report(f'unknown key "{key}"', f"use {', '.join(_KEYS)}")
    if not _is_text(row.get("input")):
        report('"input" is missing or not a string', 'add "input": "…"')
    if "answer" not in row:
        report('no "answer"', 'add "answer": "…", or null for an abstention')
    elif not (row["answer"] is None or _is_text(row["answer"]) or isinstance(row["answer"], dict)):
        report('"answer" must be a string or an object', 'write "answer": "…", or null for an abstention')
    if not _is_gold(row.get("gold")):
        report(
            '"gold" must be a string, a list of strings or an object',
            'write "gold": "…", or null if the correct answer is to abstain',
        )
    if row.get("label") not in (True, False):  # 1 and 0 are equal to them
        report('"label" must be true or false', 'write "label": true if a person judged the answer correct')
    return LabelledAnswer(number, str(row.get("input")), row.get("answer"), row.get("gold"), row.get("label") == 1)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_gold(value: Any) -> bool:
    texts = isinstance(value, list) and bool(value) and all(map(_is_text, value))
    return value is None or texts or _is_text(value) or (isinstance(value, dict) and bool(value))


async def _judge_all(
    judge: Judge, rows: Sequence[LabelledAnswer], concurrency: int, progress: Callable[[int], None]
) -> list[Judgement | JudgeFailure]:
    """Return one outcome per row, in order; at most `concurrency` run at a time."""
    outcomes: dict[int, Judgement | JudgeFailure] = {}
    waiting = iter(enumerate(rows))

    async def work() -> None:
        for at, row in waiting:
            outcomes[at] = await _judge_row(judge, row)
            progress(len(outcomes))

    await run_workers(work, min(concurrency, len(rows)))
    return [outcomes[at] for at in range(len(rows))]


async def _judge_row(judge: Judge, row: LabelledAnswer) -> Judgement | JudgeFailure:
    text = row.answer if isinstance(row.answer, str) else ""
    output = row.answer if isinstance(row.answer, dict) else None
    answer = Answer(text, "abstained" if row.answer is None else "answered", output)
    try:
        return await judge.judge(
            row.input, answer, Example(f"line {row.line}", row.input, row.gold), metrics=("judge",)
        )
    except JudgeError as error:
        return JudgeFailure(row.line, error.failure or error.kind, error.message)


def _word(right: bool) -> str:
    return RIGHT if right else WRONG


def _verdict(judgement: Judgement) -> str:
    """Whether every criterion is met; for task write, the score is the share of criteria met."""
    return _word(judgement.scores["judge"] == 1)
