"""Compare the files of a project with the catalog: plan what to read, remove or leave alone. Writes nothing."""

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from groundtune.common.files import digest_file
from groundtune.errors import GroundtuneError
from groundtune.ingest.access_rules import narrower
from groundtune.ingest.forgotten import NOTHING_FORGOTTEN, Forgotten
from groundtune.ingest.parser_rules import ParserChoice
from groundtune.types import FileRow, SourceItem

RACY_SECONDS = 2.0
"""A file modified this recently may change again under the same timestamp."""


class FileWalk(Protocol):
    """A walk over the files of a project; all but the paths is complete once it has ended."""

    @property
    def unreadable(self) -> Sequence[tuple[Path, str]]: ...

    @property
    def skipped(self) -> Sequence[tuple[Path, str]]: ...

    @property
    def refusal(self) -> GroundtuneError | None:
        """Why no file may be read, however many there are; what is gone is removed all the same."""
        ...

    def __iter__(self) -> Iterator[Path]: ...


@dataclass(slots=True)
class ScannedFile:
    """A file as the scan saw it, or an item of another source."""

    path: Path
    source: str
    size: int
    signature: str
    groups: tuple[str, ...]
    scan_signature: str = ""
    """Size, times and inode at the time of the scan."""
    digest: str | None = None
    reason: str | None = None
    """Why it cannot be read, decided before any parser sees it."""
    failed: bool = False
    """Whether the reason is a failure; otherwise the file is skipped on purpose."""
    parser: str = ""
    """Name of the parser that reads it; empty for the one of its suffix."""
    loader: str = ""
    """Version of that parser, or of the loader of a package; empty for groundtune's own."""
    item: SourceItem | None = None
    """The item of another source; None for a file of the project. `path` then has the suffix that says how to read it.
    """


@dataclass(slots=True)
class SyncPlan:
    """The work of a run, in order: rows to refresh, renamed and restricted files, removed files, everything else."""

    touched: list[FileRow] = field(default_factory=list)
    renamed: list[ScannedFile] = field(default_factory=list)
    restricted: list[ScannedFile] = field(default_factory=list)
    """Files that some who could read them may no longer."""
    pending: list[ScannedFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scanner:
    """Compare files with the catalog; built from plain values."""

    root: Path
    groups_for: Callable[[str], tuple[str, ...]]
    max_bytes: int
    other_sources: Collection[str] = ()
    """Names of other sources, whose items are `NAME:ID`; a file of such a name has the source `./NAME:ID`."""
    parser_for: Callable[[str, str], ParserChoice] = lambda source, suffix: ParserChoice()
    """Returns how a source with this suffix is read."""
    withheld: Callable[[str], str | None] = lambda source: None
    """Returns why an item must not be read, whatever its source says; None if it may be."""
    forgotten: Forgotten = NOTHING_FORGOTTEN
    """Files and items that must not be read again."""

    def plan(self, files: FileWalk, known: Mapping[str, FileRow], unfinished: Mapping[str, object]) -> SyncPlan:
        """Return the plan. unfinished: files that must be read again whatever the catalog says."""
        plan = SyncPlan()
        seen: set[str] = set()
        for path in files:
            file = self.inspect(path, self._source(path))
            while file.source in seen:  # names whose differing bytes are displayed alike
                file.source += "~"
            seen.add(file.source)
            self._assign(file, None if file.source in unfinished else known.get(file.source), plan)
        for reasons, status in ((files.unreadable, "failed"), (files.skipped, "skipped")):
            for path, reason in reasons:
                file = ScannedFile(path, self._source(path), 0, "", (), reason=reason, failed=status == "failed")
                seen.add(file.source)
                plan.pending.append(file)
        seen.update(self._inside_unreadable(files, known))
        plan.removed = [source for source in {**known, **unfinished} if source not in seen]
        rows = [known[source] for source in plan.removed if source in known]
        gone = {row.digest for row in rows if row.status == "indexed"}
        plan.renamed = [file for file in plan.pending if file.digest in gone and file.reason is None]
        plan.restricted = [file for file in plan.pending if _restricted(file, known.get(file.source))]
        first = {file.source for file in (*plan.renamed, *plan.restricted)}
        plan.pending = [file for file in plan.pending if file.source not in first]
        return plan

    def _inside_unreadable(self, files: FileWalk, known: Mapping[str, FileRow]) -> list[str]:
        """Return known files in folders that cannot be read now: they stay, unless their groups have changed."""
        folders = [source_name(path, self.root) for path, _ in files.unreadable]
        hidden = tuple("" if folder == "." else f"{folder}/" for folder in folders)
        return [
            source
            for source, row in known.items()
            if source.removeprefix("./").startswith(hidden) and row.groups == self.groups_for(source)
        ]

    def _assign(self, file: ScannedFile, row: FileRow | None, plan: SyncPlan) -> None:
        same_place = row is not None and row.groups == file.groups and row.status != "failed"
        if row and same_place and not file.reason and row.signature == file.signature:
            return
        if not file.reason:
            try:
                file.digest = digest_file(file.path)
            except OSError as error:
                file.reason, file.failed = os_reason(error), True
            else:
                file.reason = self.forgotten.why_not_content(file.digest)
        if row and same_place and file.digest and row.digest == file.digest and loader_of(row) == file.loader:
            plan.touched.append(replace(row, signature=file.signature))
            return
        plan.pending.append(file)

    def _source(self, path: Path) -> str:
        source = source_name(path, self.root)
        return f"./{source}" if source.partition(":")[0] in self.other_sources and ":" in source else source

    def inspect(self, path: Path, source: str) -> ScannedFile:
        """Return a file of the project or elsewhere as it is now, without reading it."""
        groups = self.groups_for(source)
        try:
            info = path.stat()
        except OSError as error:
            return ScannedFile(path, source, 0, "", groups, reason=os_reason(error), failed=True)
        seen = _signature(info)
        racy = time.time() - info.st_mtime < RACY_SECONDS
        parser = self.parser_for(source, path.suffix.lower())
        signature = f"racy-{time.time_ns()}" if racy else seen
        if parser.version:
            signature = f"{signature} {parser.version}"
        file = ScannedFile(path, source, info.st_size, signature, groups, scan_signature=seen)
        file.parser, file.loader = parser.name, parser.version
        if not stat.S_ISREG(info.st_mode):
            file.reason = "not a regular file"
        else:
            file.reason = self.forgotten.why_not(source) or self.too_large(info.st_size)
        return file

    def too_large(self, size: int) -> str | None:
        """Return why so many bytes are not read; None if they are."""
        if size <= self.max_bytes:
            return None
        limit = self.max_bytes // 1_000_000
        return f"{size // 1_000_000} MB exceeds documents.max_mb = {limit}; raise it to index the file"


def source_name(path: Path, root: Path) -> str:
    """Return the path relative to the project with forward slashes; bytes that are not UTF-8 appear as `\\xNN`."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _restricted(file: ScannedFile, row: FileRow | None) -> bool:
    return row is not None and row.documents > 0 and narrower(row.groups, file.groups)


def loader_of(row: FileRow) -> str:
    """Return the version of the package's loader that read a file."""
    return (row.signature or "").partition(" ")[2]


def _signature(info: os.stat_result) -> str:
    return f"{info.st_size}-{info.st_mtime_ns}-{info.st_ctime_ns}-{info.st_ino}"


def current_signature(path: Path) -> str:
    """Return the size, times and inode; empty if the file is gone."""
    try:
        return _signature(path.stat())
    except OSError:
        return ""


def os_reason(error: OSError) -> str:
    """Return why a file cannot be read."""
    if isinstance(error, PermissionError):
        return "permission denied; grant read access"
    return (error.strerror or type(error).__name__).lower()
