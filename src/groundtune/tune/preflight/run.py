"""Check everything about a training run that can be known in seconds, before it costs time or money. Changes nothing.

The report says what is wrong with the rows, what the model learns from them, what it must not learn, and what training
costs. Errors prevent training.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from groundtune.common.text import format_count
from groundtune.display import Block, Displayed, Line, Table
from groundtune.tune.job import Bounds, TrainingRow, TuneError
from groundtune.tune.lora import schedule
from groundtune.tune.lora.loss_mask import ChatFormat
from groundtune.tune.preflight import chats as chat_check
from groundtune.tune.preflight import extraction, labels, leakage, lengths, restricted_rows, secrets
from groundtune.tune.preflight.chats import ChatReport, RenderedRow
from groundtune.tune.preflight.findings import LEVELS, NAMED, Level, PreflightFinding, make_finding
from groundtune.tune.preflight.leakage import Leak
from groundtune.tune.preflight.lengths import LengthReport
from groundtune.tune.preflight.secrets import DetectorResult

RowForm = Literal["text", "label", "object", "chat", "pair", "passages"]
"""What a row pairs its input with: a text, a label, an object, a chat, two chats (better and worse), or passages."""
CHATS = ("chat", "pair")
TIGHT = 0.8
"""Share of the free memory above which memory is reported as tight."""


@dataclass(frozen=True, slots=True)
class PreflightInputs:
    """Rows and settings of a training run, and everything else the checks look at."""

    form: RowForm
    settings: Mapping[str, Any]
    """The table [tune.NAME], defaults filled in."""
    train: Sequence[TrainingRow]
    validation: Sequence[TrainingRow] = ()
    test: Sequence[TrainingRow] = ()
    """Test rows; checked for leakage only."""
    removed_examples: Mapping[str, str] = field(default_factory=dict)
    """Examples left out of train and validation: their id to the test row with the same input."""
    leaking_sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Sources of passages left out of the rows, to the test rows whose text they contain."""
    skipped_examples: Sequence[str] = ()
    """Ids of train examples from which no row could be made."""
    base: str = ""
    labels: Sequence[str] = ()
    """The project's labels; for rows with a label."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the objects; for rows with an object."""
    documents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Row id, of any split, to the sources of its evidence."""
    access: Mapping[str, Sequence[str]] | None = None
    """Source to the groups that may read it; None where no document has access rules."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Row id, of any split, to its group of rows that depend on each other."""
    count_tokens: Callable[[Sequence[str]], list[int]] | None = None
    """Counts the tokens of texts, special tokens included; for kinds that read one text at a time."""
    row_tokens: Callable[[TrainingRow], int] | None = None
    """Estimates the tokens of a row; for chats whose tokenizer is not available."""
    least_rows: int = 1
    """Minimum number of rows in the train split."""
    tokenizer: Any = None
    """A `transformers` tokenizer with a chat template; for chats."""
    model_ends: Sequence[int] = ()
    """End-of-turn tokens according to the base model's own files."""
    window: int | None = None
    """Context window of the base model; `max_tokens` of the settings applies where it is smaller."""
    bounds: Bounds | None = None
    """Result of the trainer's `estimate`, for one training."""
    trainings: int = 1
    """Number of trainings, one after the other, with different seeds."""
    trainer_error: TuneError | None = None
    """Error that `estimate` raised instead of returning bounds."""
    free_memory_mb: float | None = None
    """Free memory of the device that trains."""
    caveats: Sequence[str] = ()
    """Caveats before money is spent, such as a shutdown date of the base model; one sentence each."""


@dataclass(frozen=True, slots=True)
class PreflightReport(Displayed):
    """The report, errors first."""

    findings: tuple[PreflightFinding, ...]
    rows: Mapping[str, int]
    """Number of rows by split."""
    lengths: LengthReport | None = None
    """None where no tokenizer is available."""
    shown: tuple[RenderedRow, ...] = ()
    """The first rows as they are trained on; for chats only."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Train rows by label, most frequent first; for rows with a label only."""
    leaks: tuple[Leak, ...] = ()
    found: tuple[DetectorResult, ...] = ()
    """Secrets and personal data, by detector."""
    bounds: Bounds | None = None
    seconds: float = 0.0

    @property
    def errors(self) -> tuple[PreflightFinding, ...]:
        return self.at_level("error")

    @property
    def warnings(self) -> tuple[PreflightFinding, ...]:
        return self.at_level("warning")

    @property
    def notes(self) -> tuple[PreflightFinding, ...]:
        return self.at_level("note")

    def at_level(self, level: Level) -> tuple[PreflightFinding, ...]:
        return tuple(problem for problem in self.findings if problem.level == level)

    def view(self) -> list[Block]:
        """Return the number of rows, the findings and the upper bounds."""
        rows = ", ".join(f"{split} {number:,}" for split, number in self.rows.items())
        findings = [[found.level, found.message, found.hint or ""] for found in self.findings]
        return [
            Line(f"rows: {rows}"),
            Table(["level", "finding", "hint"], findings) if findings else Line("nothing to report"),
            *([Line(f"at most {bounds_text(self.bounds)}")] if self.bounds else []),
        ]


def run_preflight(inputs: PreflightInputs) -> PreflightReport:
    """Run all checks; skip those that have nothing to look at."""
    began = time.perf_counter()
    splits = {"train": inputs.train, "validation": inputs.validation, "test": inputs.test}
    findings = _rows(inputs)
    chats, about_chats = _chats(inputs) if inputs.form in CHATS else ({}, [])
    measured, about_lengths = _lengths(inputs, chats)
    about_leaks, leaks = leakage.find_leaks(splits, documents=inputs.documents, groups=inputs.groups)
    sensitive = secrets.search((row.id, text) for row in (*inputs.train, *inputs.validation) for text in _texts(row))
    findings += [*about_chats, *about_lengths, *leakage.find_duplicates(inputs.train), *about_leaks, *_labels(inputs)]
    findings += leakage.report_indexed_test_examples(inputs.leaking_sources)
    findings += [*secrets.check(sensitive), *_access(inputs), *_bounds(inputs)]
    findings += [make_finding("warning", "base", notice) for notice in inputs.caveats]
    failed = any(problem.level == "error" for problem in findings)
    if inputs.trainer_error and not failed:  # otherwise the refusal most likely repeats one of these
        findings.append(make_finding("error", "trainer", inputs.trainer_error.message, hint=inputs.trainer_error.hint))
    return PreflightReport(
        findings=tuple(sorted(findings, key=lambda problem: LEVELS.index(problem.level))),
        rows={split: len(rows) for split, rows in splits.items()},
        lengths=measured,
        shown=chats["train"].shown if "train" in chats else (),
        labels=labels.counts(inputs.train) if inputs.form == "label" else {},
        leaks=tuple(leaks),
        found=tuple(sensitive),
        bounds=_total(inputs),
        seconds=time.perf_counter() - began,
    )


def raise_errors(report: PreflightReport) -> None:
    """Raise TuneError listing every error of the report."""
    if not report.errors:
        return
    listed = "".join(f"\n  {error.message}" + (f" ({error.hint})" if error.hint else "") for error in report.errors)
    raise TuneError(
        f"training was not started because of {format_count(len(report.errors), 'problem')}:{listed}",
        hint="groundtune check --tune NAME",
    )


def _rows(inputs: PreflightInputs) -> list[PreflightFinding]:
    """Check that there is anything to train on."""
    findings = []
    if not inputs.train:
        findings.append(make_finding("error", "rows", "the train split is empty", hint="groundtune examples stats"))
    elif not inputs.validation:
        message = "the validation split is empty: early stopping and calibration are not possible"
        findings.append(make_finding("warning", "rows", message, hint="groundtune examples stats"))
    for split, rows in (("train", inputs.train), ("validation", inputs.validation)):
        if blank := [row.id for row in rows if not row.input.strip()]:
            message = f"{split}: {format_count(len(blank))} with an empty input"
            findings.append(
                make_finding("error", "rows", message, hint="fill them in, or remove these rows", rows=blank)
            )
    if inputs.train and len(inputs.train) < inputs.least_rows:
        message = f"train: {format_count(len(inputs.train))}; at least {inputs.least_rows} are needed"
        findings.append(make_finding("error", "rows", message, hint="add examples to the train split"))
    if inputs.removed_examples:
        pairs = ", ".join(f"{example} = {other}" for example, other in list(inputs.removed_examples.items())[:NAMED])
        count = format_count(len(inputs.removed_examples))
        message = f"{count} left out of train and validation: the test split has the same input"
        hint = (
            "no action is needed, because the test split is never trained on; "
            f"to remove this warning, delete one of each pair ({pairs})"
        )
        findings.append(make_finding("warning", "leakage", message, hint=hint, rows=list(inputs.removed_examples)))
    if inputs.skipped_examples and inputs.form == "pair":
        message = (
            f"train: {format_count(len(inputs.skipped_examples), 'example')} left out: no rejected output to learn from"
        )
        hint = 'no action is needed; to train on them, give them "rejected" with what a model wrote'
        findings.append(make_finding("note", "rows", message, hint=hint, rows=inputs.skipped_examples))
    elif inputs.skipped_examples:
        skipped = format_count(len(inputs.skipped_examples), "example")
        message = f"train: {skipped} left out: nothing in the index contains their answer"
        message += " except passages that contain a test row" if inputs.leaking_sources else ""
        hint = 'give them "evidence" with a quote from an indexed document'
        findings.append(make_finding("warning", "rows", message, hint=hint, rows=inputs.skipped_examples))
    if inputs.form == "passages" and inputs.train:
        bare = [row.id for row in inputs.train if not row.positives]
        if bare:
            level: Level = "error" if len(bare) == len(inputs.train) else "warning"
            count = format_count(len(bare))
            message = f"train: {count} without a passage that answers the question; not trained on"
            findings.append(make_finding(level, "rows", message, hint='give the examples "evidence"', rows=bare))
    return findings


def _chats(inputs: PreflightInputs) -> tuple[dict[str, ChatReport], list[PreflightFinding]]:
    """Check the chats of each split; empty where they cannot be rendered."""
    pairs = inputs.form == "pair"
    splits = {"train": inputs.train, "validation": inputs.validation}
    findings = [
        problem
        for split, rows in splits.items()
        for problem in chat_check.check_structure(rows, split=split, pairs=pairs)
    ]
    findings += chat_check.check_thinking(inputs.train, inputs.tokenizer)
    chat_format: ChatFormat | None = None
    if inputs.tokenizer is None:
        consequence = (
            "lengths are estimated at four bytes per token" if inputs.row_tokens else "lengths were not checked"
        )
        message = f"the base model's tokenizer is not available: {consequence}, and its chat template was not checked"
        findings.append(make_finding("note", "template", message))
    else:
        name = inputs.base or "the base model"
        chat_format, more = chat_check.check_format(inputs.tokenizer, inputs.model_ends, name=name)
        findings += more
    if chat_format is None:
        return {}, findings
    chats: dict[str, ChatReport] = {}
    for split, rows in splits.items():
        sound = [row for row in rows if chat_check.is_chat(row, pairs=pairs)]
        chats[split] = chat_check.check_rendering(
            sound, chat_format, split=split, limit=_limit(inputs), capped=_capped(inputs), pairs=pairs
        )
        findings += chats[split].findings
    return chats, findings


def _lengths(
    inputs: PreflightInputs, chats: Mapping[str, ChatReport]
) -> tuple[LengthReport | None, list[PreflightFinding]]:
    """Return the lengths of the train split, and the findings of both splits."""
    allowed = int(inputs.settings.get("allow_truncation") or 0)
    measured: dict[str, LengthReport] = {}
    for split, rows in (("train", inputs.train), ("validation", inputs.validation)):
        if split in chats:
            split_lengths = lengths.measure(chats[split].tokens, limit=_limit(inputs), starts=chats[split].starts)
        elif inputs.row_tokens is not None:
            split_lengths = lengths.measure({row.id: inputs.row_tokens(row) for row in rows}, limit=_limit(inputs))
        elif inputs.form not in CHATS and inputs.count_tokens is not None:
            split_lengths = lengths.measure(_longest(rows, inputs.count_tokens), limit=_limit(inputs))
        else:
            split_lengths = None
        if split_lengths is not None:
            measured[split] = split_lengths
    about = "about " if inputs.row_tokens is not None else ""
    capped = _capped(inputs)
    findings = [
        problem
        for split, split_lengths in measured.items()
        for problem in lengths.check(split_lengths, allowed=allowed, split=split, about=about, capped=capped)
    ]
    requested = inputs.settings.get("max_tokens")
    if requested is not None and inputs.window is not None and requested > inputs.window:
        message = f"max_tokens = {requested:,}, but the base model's limit is {inputs.window:,}"
        level: Level = "error" if inputs.row_tokens is None else "warning"  # an estimate may be wrong
        hint = f"set max_tokens = {inputs.window}, or use a base model with a larger context window"
        findings.append(make_finding(level, "length", message, hint=hint))
    return measured.get("train"), findings


def _longest(rows: Sequence[TrainingRow], count: Callable[[Sequence[str]], list[int]]) -> dict[str, int]:
    """Return the tokens of the longest text of each row."""
    texts = [(row.id, text) for row in rows for text in (row.input, *row.positives, *row.negatives)]
    longest: dict[str, int] = {}
    for (name, _), number in zip(texts, count([text for _, text in texts]), strict=True):
        longest[name] = max(longest.get(name, 0), number)
    return longest


def _limit(inputs: PreflightInputs) -> int | None:
    limits = [limit for limit in (inputs.settings.get("max_tokens"), inputs.window) if limit is not None]
    return min(limits) if limits else None


def _capped(inputs: PreflightInputs) -> bool:
    """Whether the base model sets the limit, not `max_tokens`."""
    return inputs.window is not None and _limit(inputs) == inputs.window


def _texts(row: TrainingRow) -> Iterator[str]:
    """Yield all text of a row that goes into weights."""
    if row.messages:
        yield from (turn.get("content", "") for turn in row.messages)
    else:
        yield row.input
        if row.output is not None:
            yield from _strings(row.output)
    yield from (row.rejected or "", *row.positives, *row.negatives)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif value is not None:
        yield str(value)


def _labels(inputs: PreflightInputs) -> list[PreflightFinding]:
    if inputs.form == "passages":
        return []
    findings = labels.conflicts(inputs.train, labelled=inputs.form in ("label", "object"))
    if inputs.form == "label" and inputs.train:
        splits = {"train": inputs.train, "validation": inputs.validation}
        findings += labels.check(splits, labels=inputs.labels, weighted=inputs.settings.get("class_weights"))
    if inputs.form == "object":
        findings += extraction.check(inputs.train, inputs.validation, schema=inputs.schema)
    return findings


def _access(inputs: PreflightInputs) -> list[PreflightFinding]:
    if inputs.access is None:
        return []
    allowed = inputs.settings.get("allow_groups") or ()
    return restricted_rows.check_access(inputs.train, documents=inputs.documents, access=inputs.access, allowed=allowed)


def _bounds(inputs: PreflightInputs) -> list[PreflightFinding]:
    """Check that training does not exceed the limits of money, memory and time."""
    bounds, free = _total(inputs), inputs.free_memory_mb
    if bounds is None or inputs.bounds is None:
        return []
    findings = _short(inputs)
    limit = inputs.settings.get("max_usd")
    if limit is not None and (bounds.usd is None or bounds.usd > limit):
        message = (
            f"the cost of training is unknown, but max_usd = {limit:g}"
            if bounds.usd is None
            else f"training may cost ${bounds.usd:,.2f}, more than max_usd = {limit:g}"
        )
        findings.append(
            make_finding("error", "bounds", message, hint="raise max_usd, or train on fewer rows or epochs")
        )
    if bounds.memory_mb is not None and free is not None and bounds.memory_mb > TIGHT * free:
        message = f"training may need {_memory(bounds.memory_mb)} of memory; {_memory(free)} is free"
        hint = "use a smaller base model, shorter rows, or a smaller batch"
        findings.append(make_finding("warning", "bounds", message, hint=hint))
    minutes, each = inputs.settings.get("max_minutes"), inputs.bounds.seconds
    if minutes is not None and each is not None and each > minutes * 60:
        message = (
            f"training may take {_time(each)}, but stops after max_minutes = {minutes:g} and keeps the best checkpoint"
        )
        findings.append(make_finding("warning", "bounds", message))
    return findings


def _short(inputs: PreflightInputs) -> list[PreflightFinding]:
    """Warn of a training that is too short to learn anything."""
    steps = inputs.bounds.steps if inputs.bounds else None
    if steps is None or steps >= schedule.TOO_FEW:
        return []
    fixed = [key for key in ("epochs", "accumulate") if inputs.settings.get(key) is not None]
    message = (
        f"training takes only {format_count(steps, 'step')} of the optimiser; "
        f"below about {schedule.TOO_FEW} a model rarely learns anything"
    )
    remove = f"remove {' and '.join(fixed)}, which then follow from the number of rows"
    return [make_finding("warning", "steps", message, hint=remove if fixed else "add examples, or set epochs")]


def _total(inputs: PreflightInputs) -> Bounds | None:
    """Return the bounds of all trainings together."""
    bounds, number = inputs.bounds, inputs.trainings
    if bounds is None or number == 1:
        return bounds
    return replace(
        bounds,
        seconds=None if bounds.seconds is None else bounds.seconds * number,
        usd=None if bounds.usd is None else bounds.usd * number,
        note="; ".join(filter(None, (f"{number} trainings with different seeds", bounds.note))),
    )


def bounds_text(bounds: Bounds) -> str:
    """`12 min, 3.1 GB of memory, $0.00; 4,000 steps`."""
    time_ = "an unknown time" if bounds.seconds is None else _time(bounds.seconds)
    memory = "" if bounds.memory_mb is None else f", {_memory(bounds.memory_mb)} of memory"
    money = ", an unknown price" if bounds.usd is None else f", ${bounds.usd:,.2f}"
    return f"{time_}{memory}{money}" + (f"; {bounds.note}" if bounds.note else "")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _memory(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"
