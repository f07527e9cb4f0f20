"""Say whether a recorded verdict still holds: recompute it from its run, and compare what it rests on with now."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.common.files import digest_file, read_json
from groundtune.common.format_version import check_version
from groundtune.config import Config
from groundtune.display import Block, Displayed, Line
from groundtune.errors import MissingError
from groundtune.workflows.choosing import Choosing, newest_artifact_id
from groundtune.workflows.comparing import required, rules
from groundtune.workflows.comparison_basis import CHANGED
from groundtune.workflows.costing import CostTerms
from groundtune.workflows.ingesting import files_to_ingest
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workflows.verdict_files import FILE, FORMAT, REBUILD, verdict_core

REFRESH: Mapping[str, str] = {
    "index": "groundtune ingest --rebuild, then groundtune compare: only prompts that have changed are asked again",
    "files": "groundtune ingest, then groundtune compare: only prompts that have changed are asked again",
    "documents": "groundtune compare: only prompts that have changed are asked again",
    "examples": "groundtune compare: only new and changed examples are asked",
    "prices": "groundtune compare: no model is asked again",
    "settings": "groundtune compare: only prompts that have changed are asked again",
    "artifact": "groundtune compare: only the trained approaches are asked again",
    "requirements": "groundtune compare: no model is asked again",
    "costs": "groundtune compare: no model is asked again",
    "matrix": "groundtune report",
}
"""What is stale, and the command that refreshes only that."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Something that has changed since the verdict."""

    what: str
    """A key of REFRESH."""
    sentence: str
    command: str


@dataclass(frozen=True, slots=True)
class Verification(Displayed):
    """Whether a recorded verdict still holds."""

    run: str
    recorded: Mapping[str, Any]
    recomputed: Mapping[str, Any]
    stale: tuple[Stale, ...]

    @property
    def follows(self) -> bool:
        """Whether the recorded verdict follows from the matrix."""
        return self.recorded == self.recomputed

    @property
    def holds(self) -> bool:
        """Whether it follows, and nothing that it rests on has changed."""
        return self.follows and not self.stale

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run,
            "holds": self.holds,
            "follows": self.follows,
            "recorded": dict(self.recorded),
            "recomputed": dict(self.recomputed),
            "stale": [{"what": each.what, "sentence": each.sentence, "command": each.command} for each in self.stale],
        }

    def view(self) -> list[Block]:
        blocks: list[Block] = [Line(str(self.recorded["sentence"]), "strong")]
        if self.holds:
            holds = f"It still holds: recomputed from {self.run}, and nothing that it rests on has changed."
            return [*blocks, Line(holds)]
        if self.follows:
            blocks.append(Line(f"It follows from {self.run}, but what it rests on has changed:"))
        else:
            blocks.append(Line(f"It does not follow from {self.run} any more. Now: {self.recomputed['sentence']}"))
        return [*blocks, *(Line(f"{each.sentence}. Refresh: {each.command}", indent=1) for each in self.stale)]


async def verify(choosing: Choosing, run: str | None = None) -> Verification:
    """Recompute the verdict of a run, the latest if none is named, and say what is stale. Asks no model.

    Raises MissingError when there is no such run, or no verdict was recorded.
    """
    folder = run_folder(choosing.workspace, run)
    path = folder / FILE
    if not path.exists():
        raise MissingError(f"no verdict was recorded for {folder.name}", hint=REBUILD)
    record = check_version(read_json(path), path=path, supported=FORMAT, rebuild=REBUILD)
    evidence = record["evidence"]
    report = await asyncio.to_thread(lambda: evaluate_run(read_run(folder), primary=evidence["primary"]))
    stale = []
    if await asyncio.to_thread(digest_file, report.run.file) != evidence["digests"]["matrix"]:
        stale.append(_stale("matrix", "the matrix of the run has changed"))
    then = dict(evidence["digests"])
    if then.get("documents") and choosing.resources.index is None:
        del then["documents"]
        stale.append(_stale("index", f"the verdict {choosing.resources.no_index_reason}"))
    if changed := await _changed_files(choosing):
        stale.append(_stale("files", changed))
    name = record["verdict"]["choice"] or report.approaches[0].name
    now = await choosing.basis(name, evidence["split"] or "test")
    stale += [_stale(key, text) for key, text in CHANGED.items() if key in then and then[key] != now.get(key)]
    newer = [name for name, kept in evidence["artifacts"].items() if _newest(choosing, name) != kept]
    if newer:
        stale.append(_stale("artifact", f"another model has been trained for {', '.join(newer)}"))
    stale += _changed_terms(choosing.config, report.run.about, len(choosing.examples))
    return Verification(folder.name, record["verdict"], verdict_core(report), tuple(stale))


def _stale(what: str, sentence: str) -> Stale:
    return Stale(what, sentence, REFRESH[what])


def _newest(choosing: Choosing, name: str) -> str | None:
    if "@" in name:
        return name.partition("@")[2]
    return newest_artifact_id(choosing.workspace, choosing.config, name)


async def _changed_files(choosing: Choosing) -> str:
    """Say how many files have changed since they were indexed; empty when none has."""
    index = choosing.resources.index
    if index is None:
        return ""
    count = await files_to_ingest(choosing.workspace, choosing.config, index.catalog)
    if count == 1:
        return "1 file has changed and is not indexed"
    return f"{count:,} files have changed and are not indexed" if count else ""


def _changed_terms(config: Config, about: Mapping[str, Any], labelled: int) -> list[Stale]:
    """Return the requirements and the assumptions of costs that are others than at the time of the comparison."""
    then = {**about, **about.get("requirements", {}), **about.get("rules", {})}
    now = {**required(config), "prefer_simpler": config.compare.prefer_simpler}
    now |= {key: value for key, value in rules(config).items() if key in about.get("rules", {})}
    changed = [key for key in now if key in then and now[key] != then[key]]
    found = [_stale("requirements", f"changed in groundtune.toml: {', '.join(changed)}")] if changed else []
    before, after = CostTerms.of_run(about), CostTerms.of_project(config, labelled)
    terms = [
        name
        for name in ("months", "documents_change", "hosting", "assumptions")
        if _plain(getattr(before, name)) != _plain(getattr(after, name))
    ]
    if terms and "costs" in about:
        found.append(_stale("costs", f"changed in groundtune.toml under [costs]: {', '.join(terms)}"))
    return found


def _plain(value: Any) -> Any:
    """Return a value as JSON would give it back."""
    return {name: list(values) for name, values in value.items()} if isinstance(value, Mapping) else value
