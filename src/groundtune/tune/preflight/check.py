"""Everything about a training that can be found out in seconds, before time or money is spent. Changes nothing.

What is wrong with the rows, what is learnt from them, what must not be, and what it takes. Errors refuse the training.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.tune.chat import Format
from groundtune.tune.job import Bounds, Row, TuneError
from groundtune.tune.preflight import access, extraction, labels, leakage, lengths, secrets
from groundtune.tune.preflight import chats as chat_check
from groundtune.tune.preflight.chats import Chats, Shown
from groundtune.tune.preflight.findings import LEVELS, NAMED, Finding, Level, counted, finding
from groundtune.tune.preflight.leakage import Leak
from groundtune.tune.preflight.lengths import Lengths
from groundtune.tune.preflight.secrets import Found

CHATS = ("lora", "hosted")
"""Kinds that are trained on chats."""
TIGHT = 0.8
"""Share of the free memory from which a training is said to be tight."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a training would be given, and what is known around it."""

    kind: str
    settings: Mapping[str, Any]
    """The table [tune.NAME], defaults filled in."""
    train: Sequence[Row]
    validation: Sequence[Row] = ()
    test: Sequence[Row] = ()
    """Looked at for leakage only."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Id of an example of train or validation that is not among the rows, to the test row with the same input."""
    given_away: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Source of passages that were found for the rows, and left out, to the test rows that stand in it."""
    unlearnt: Sequence[str] = ()
    """Ids of examples of train that no row could be made of."""
    base: str = ""
    labels: Sequence[str] = ()
    """Those of the project, for classifiers."""
    schema: Mapping[str, Any] | None = None
    """Of the objects, for extractors."""
    documents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Id of a row, of any split, to the sources of its evidence."""
    access: Mapping[str, Sequence[str]] | None = None
    """Source to the groups that may read it; None where no document has access rules."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Id of a row, of any split, to the group of rows that it is not independent of."""
    count_tokens: Callable[[Sequence[str]], list[int]] | None = None
    """Tokens of texts, special tokens included; for kinds that read a text at a time."""
    row_tokens: Callable[[Row], int] | None = None
    """About the tokens of a row; for chats whose tokenizer is not at hand."""
    least_rows: int = 1
    """Of the train split, below which nothing is trained."""
    tokenizer: Any = None
    """With a chat template, as `transformers` has them; for kinds that are trained on chats."""
    model_ends: Sequence[int] = ()
    """Tokens with which the base ends an answer, by its own files."""
    window: int | None = None
    """Tokens that the base takes; `max_tokens` of the settings goes before it where it is shorter."""
    bounds: Bounds | None = None
    """What the trainer's `estimate` says."""
    refusal: TuneError | None = None
    """What it raises, in place of bounds."""
    free_memory_mb: float | None = None
    """Of the device that trains."""
    notices: Sequence[str] = ()
    """What to know before money is spent, a shutdown date of the base for one; one sentence each."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """The report, errors first."""

    findings: tuple[Finding, ...]
    rows: Mapping[str, int]
    """By split."""
    lengths: Lengths | None = None
    """None where no tokenizer is at hand."""
    shown: tuple[Shown, ...] = ()
    """The first rows as they are trained on; of chats only."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Of the train split, most frequent first; of classifiers only."""
    leaks: tuple[Leak, ...] = ()
    found: tuple[Found, ...] = ()
    """Secrets and personal data, by detector."""
    bounds: Bounds | None = None
    seconds: float = 0.0

    @property
    def errors(self) -> tuple[Finding, ...]:
        return self.of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return self.of("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        return self.of("note")

    def of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.level == level)


def preflight(given: Inputs) -> Preflight:
    """Looks at everything; a check that has nothing to look at is left out."""
    began = time.perf_counter()
    splits = {"train": given.train, "validation": given.validation, "test": given.test}
    findings = _rows(given)
    chats, about_chats = _chats(given) if given.kind in CHATS else ({}, [])
    measured, about_lengths = _lengths(given, chats)
    about_leaks, leaks = leakage.overlap(splits, documents=given.documents, groups=given.groups)
    found = secrets.search((row.id, text) for row in (*given.train, *given.validation) for text in _texts(row))
    findings += [*about_chats, *about_lengths, *leakage.duplicates(given.train), *about_leaks, *_labels(given)]
    findings += leakage.given_away(given.given_away)
    findings += [*secrets.check(found), *_access(given), *_bounds(given)]
    findings += [finding("warning", "base", notice) for notice in given.notices]
    if given.refusal and not any(one.level == "error" for one in findings):  # else it is most likely one of these
        findings.append(finding("error", "trainer", given.refusal.message, hint=given.refusal.hint))
    return Preflight(
        findings=tuple(sorted(findings, key=lambda one: LEVELS.index(one.level))),
        rows={split: len(rows) for split, rows in splits.items()},
        lengths=measured,
        shown=chats["train"].shown if "train" in chats else (),
        labels=labels.counts(given.train) if given.kind == "classifier" else {},
        leaks=tuple(leaks),
        found=tuple(found),
        bounds=given.bounds,
        seconds=time.perf_counter() - began,
    )


def insist(report: Preflight) -> None:
    """Raises TuneError with every error of the report."""
    if not report.errors:
        return
    listed = "".join(f"\n  {one.message}" + (f" ({one.hint})" if one.hint else "") for one in report.errors)
    raise TuneError(
        f"{counted(len(report.errors), 'problem')} before training:{listed}", hint="groundtune check --tune NAME"
    )


def _rows(given: Inputs) -> list[Finding]:
    """Whether there is anything to train on."""
    findings = []
    if not given.train:
        findings.append(finding("error", "rows", "the train split is empty", hint="groundtune examples stats"))
    elif not given.validation:
        message = "the validation split is empty: nothing says when to stop, and nothing can be calibrated"
        findings.append(finding("warning", "rows", message, hint="groundtune examples stats"))
    for split, rows in (("train", given.train), ("validation", given.validation)):
        if blank := [row.id for row in rows if not row.input.strip()]:
            message = f"{split}: {counted(len(blank))} with an empty input"
            findings.append(finding("error", "rows", message, hint="fill it in, or remove them", rows=blank))
    if given.train and len(given.train) < given.least_rows:
        message = f"train: {counted(len(given.train))}; {given.least_rows} are the least that is taken"
        findings.append(finding("error", "rows", message, hint="add examples to the train split"))
    if given.left_out:
        pairs = ", ".join(f"{one} = {other}" for one, other in list(given.left_out.items())[:NAMED])
        message = f"{counted(len(given.left_out))} left out of train and validation: the test split has the input too"
        hint = f"nothing, or remove one of each ({pairs}): the test split is never trained on"
        findings.append(finding("warning", "leakage", message, hint=hint, rows=list(given.left_out)))
    if given.unlearnt and _prefers(given):
        message = f"train: {counted(len(given.unlearnt), 'example')} left out: no rejected output to learn from"
        hint = 'nothing, or give them "rejected" with what a model wrote'
        findings.append(finding("note", "rows", message, hint=hint, rows=given.unlearnt))
    elif given.unlearnt:
        message = f"train: {counted(len(given.unlearnt), 'example')} left out: nothing in the index shows their answer"
        message += " but what gives a test row away" if given.given_away else ""
        hint = 'give them "evidence" with a quote that stands in an indexed document'
        findings.append(finding("warning", "rows", message, hint=hint, rows=given.unlearnt))
    if given.kind == "retriever" and given.train:
        bare = [row.id for row in given.train if not row.positives]
        if bare:
            level: Level = "error" if len(bare) == len(given.train) else "warning"
            message = f"train: {counted(len(bare))} without a passage that answers: nothing is learnt of them"
            findings.append(finding(level, "rows", message, hint='give the examples "evidence"', rows=bare))
    return findings


def _prefers(given: Inputs) -> bool:
    """Whether it learns from two replies to one input."""
    return "dpo" in (given.settings.get("mode"), given.settings.get("method"))


def _chats(given: Inputs) -> tuple[dict[str, Chats], list[Finding]]:
    """By split; empty where they cannot be rendered."""
    pairs = _prefers(given)
    splits = {"train": given.train, "validation": given.validation}
    findings = [one for split, rows in splits.items() for one in chat_check.structure(rows, split=split, pairs=pairs)]
    form: Format | None = None
    if given.tokenizer is None:
        said = "lengths are estimated at four bytes a token" if given.row_tokens else "lengths were not looked at"
        message = f"no tokenizer of the base is at hand: {said}, and its template was not looked at"
        findings.append(finding("note", "template", message))
    else:
        form, more = chat_check.look_at_format(given.tokenizer, given.model_ends, name=given.base or "the base")
        findings += more
    if form is None:
        return {}, findings
    found: dict[str, Chats] = {}
    for split, rows in splits.items():
        sound = [row for row in rows if chat_check.is_chat(row, pairs=pairs)]
        found[split] = chat_check.look(
            sound, form, split=split, limit=_limit(given), capped=_capped(given), pairs=pairs
        )
        findings += found[split].findings
    return found, findings


def _lengths(given: Inputs, chats: Mapping[str, Chats]) -> tuple[Lengths | None, list[Finding]]:
    """Of the train split; findings of both."""
    allowed = int(given.settings.get("allow_truncation") or 0)
    measured: dict[str, Lengths] = {}
    for split, rows in (("train", given.train), ("validation", given.validation)):
        if split in chats:
            one = lengths.measure(chats[split].tokens, limit=_limit(given), starts=chats[split].starts)
        elif given.row_tokens is not None:
            one = lengths.measure({row.id: given.row_tokens(row) for row in rows}, limit=_limit(given))
        elif given.kind not in CHATS and given.count_tokens is not None:
            one = lengths.measure(_longest(rows, given.count_tokens), limit=_limit(given))
        else:
            one = None
        if one is not None:
            measured[split] = one
    about = "about " if given.row_tokens is not None else ""
    capped = _capped(given)
    findings = [
        one
        for split, found in measured.items()
        for one in lengths.check(found, allowed=allowed, split=split, about=about, capped=capped)
    ]
    wanted = given.settings.get("max_tokens")
    if wanted is not None and given.window is not None and wanted > given.window:
        message = f"max_tokens = {wanted:,}, and the base reads {given.window:,}: the limit is {given.window:,}"
        level: Level = "warning" if given.kind == "hosted" else "error"  # the trainers here refuse it
        hint = f"max_tokens = {given.window}, or a base that reads more"
        findings.append(finding(level, "length", message, hint=hint))
    return measured.get("train"), findings


def _longest(rows: Sequence[Row], count: Callable[[Sequence[str]], list[int]]) -> dict[str, int]:
    """Tokens of the longest text of each row."""
    texts = [(row.id, text) for row in rows for text in (row.input, *row.positives, *row.negatives)]
    found: dict[str, int] = {}
    for (name, _), number in zip(texts, count([text for _, text in texts]), strict=True):
        found[name] = max(found.get(name, 0), number)
    return found


def _limit(given: Inputs) -> int | None:
    known = [one for one in (given.settings.get("max_tokens"), given.window) if one is not None]
    return min(known) if known else None


def _capped(given: Inputs) -> bool:
    """Whether the base, and not `max_tokens`, sets the limit."""
    return given.window is not None and _limit(given) == given.window


def _texts(row: Row) -> Iterator[str]:
    """All of a row that goes into weights."""
    if row.messages:
        yield from (turn.get("content", "") for turn in row.messages)
    else:
        yield row.input
        if row.output is not None:
            yield from _strings(row.output)
    yield from (row.rejected or "", *row.positives, *row.negatives)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
    elif value is not None:
        yield str(value)


def _labels(given: Inputs) -> list[Finding]:
    if given.kind == "retriever":
        return []
    findings = labels.conflicts(given.train, labelled=given.kind in ("classifier", "extractor"))
    if given.kind == "classifier" and given.train:
        splits = {"train": given.train, "validation": given.validation}
        findings += labels.check(splits, labels=given.labels, weighted=given.settings.get("class_weights"))
    if given.kind == "extractor":
        findings += extraction.check(given.train, given.validation, schema=given.schema)
    return findings


def _access(given: Inputs) -> list[Finding]:
    if given.access is None:
        return []
    allowed = given.settings.get("allow_groups") or ()
    return access.check(given.train, documents=given.documents, access=given.access, allowed=allowed)


def _bounds(given: Inputs) -> list[Finding]:
    """Whether what it takes is there."""
    bounds, free = given.bounds, given.free_memory_mb
    if bounds is None:
        return []
    findings = []
    limit = given.settings.get("max_usd")
    if limit is not None and (bounds.usd is None or bounds.usd > limit):
        what = "what it costs is not known" if bounds.usd is None else f"it may cost ${bounds.usd:,.2f}"
        message = f"{what}, and max_usd is {limit:g}"
        findings.append(finding("error", "bounds", message, hint="raise max_usd, or train on fewer rows or epochs"))
    if bounds.memory_mb is not None and free is not None and bounds.memory_mb > TIGHT * free:
        message = f"it may take {_memory(bounds.memory_mb)} of memory; {_memory(free)} are free"
        findings.append(finding("warning", "bounds", message, hint="a smaller base, shorter rows, or a smaller batch"))
    minutes = given.settings.get("max_minutes")
    if minutes is not None and bounds.seconds is not None and bounds.seconds > minutes * 60:
        message = f"it may take {_time(bounds.seconds)}; after max_minutes = {minutes:g} it stops and keeps the best"
        findings.append(finding("warning", "bounds", message))
    return findings


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
