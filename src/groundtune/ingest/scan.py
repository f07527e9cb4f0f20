"""Compare the files of a project with the ledger: what is to be read, removed, or left alone. Writes nothing."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from groundtune.ingest.catalog import FileRow
from groundtune.workspace import digest_file

RACY_SECONDS = 2.0
"""A file changed this shortly before it was looked at may change again under the same time stamp."""


class Files(Protocol):
    """A walk over the files of a project; the two lists are full once it has ended."""

    @property
    def unreadable(self) -> Sequence[tuple[Path, str]]: ...

    @property
    def skipped(self) -> Sequence[tuple[Path, str]]: ...

    def __iter__(self) -> Iterator[Path]: ...


@dataclass(slots=True)
class Found:
    """A file as the scan saw it."""

    path: Path
    source: str
    size: int
    signature: str
    groups: tuple[str, ...]
    seen: str = ""
    """Size, times and inode at the scan."""
    digest: str | None = None
    reason: str | None = None
    """Why it cannot be read; decided before any parser sees it."""
    failed: bool = False
    """Whether that reason is a failure rather than a choice."""


@dataclass(slots=True)
class Plan:
    """What is to be done, in this order: renamed files, removals, the rest."""

    touched: list[FileRow] = field(default_factory=list)
    renamed: list[Found] = field(default_factory=list)
    pending: list[Found] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scan:
    """How to look at files; plain values."""

    root: Path
    groups_for: Callable[[str], tuple[str, ...]]
    max_bytes: int

    def plan(self, files: Files, known: Mapping[str, FileRow], unfinished: Mapping[str, object]) -> Plan:
        """unfinished: files that must be read again whatever the ledger says of them."""
        plan = Plan()
        seen: set[str] = set()
        for path in files:
            found = self._look(path)
            while found.source in seen:  # names that differ only in bytes that are shown alike
                found.source += "~"
            seen.add(found.source)
            self._place(found, None if found.source in unfinished else known.get(found.source), plan)
        for reasons, status in ((files.unreadable, "failed"), (files.skipped, "skipped")):
            for path, reason in reasons:
                found = Found(path, source_of(path, self.root), 0, "", (), reason=reason, failed=status == "failed")
                seen.add(found.source)
                plan.pending.append(found)
        seen.update(self._out_of_sight(files, known))
        plan.removed = [source for source in {**known, **unfinished} if source not in seen]
        rows = [known[source] for source in plan.removed if source in known]
        gone = {row.digest for row in rows if row.status == "indexed"}
        plan.renamed = [found for found in plan.pending if found.digest in gone and found.reason is None]
        moved = {found.source for found in plan.renamed}
        plan.pending = [found for found in plan.pending if found.source not in moved]
        return plan

    def _out_of_sight(self, files: Files, known: Mapping[str, FileRow]) -> list[str]:
        """Files in folders that cannot be read now: not lost, and kept unless other people may see them by now."""
        folders = [source_of(path, self.root) for path, _ in files.unreadable]
        hidden = tuple("" if folder == "." else f"{folder}/" for folder in folders)
        return [s for s, row in known.items() if s.startswith(hidden) and row.groups == self.groups_for(s)]

    def _place(self, found: Found, row: FileRow | None, plan: Plan) -> None:
        same_place = row is not None and row.groups == found.groups and row.status != "failed"
        if row and same_place and not found.reason and row.signature == found.signature:
            return
        if not found.reason:
            try:
                found.digest = digest_file(found.path)
            except OSError as error:
                found.reason, found.failed = _os_reason(error), True
        if row and same_place and found.digest and row.digest == found.digest:
            plan.touched.append(replace(row, signature=found.signature))
            return
        plan.pending.append(found)

    def _look(self, path: Path) -> Found:
        source = source_of(path, self.root)
        groups = self.groups_for(source)
        try:
            info = path.stat()
        except OSError as error:
            return Found(path, source, 0, "", groups, reason=_os_reason(error), failed=True)
        seen = _signature(info)
        racy = time.time() - info.st_mtime < RACY_SECONDS
        found = Found(path, source, info.st_size, f"racy-{time.time_ns()}" if racy else seen, groups, seen=seen)
        if not stat.S_ISREG(info.st_mode):
            found.reason = "not a regular file"
        elif info.st_size > self.max_bytes:
            limit = self.max_bytes // 1_000_000
            found.reason = (
                f"{info.st_size // 1_000_000} MB is over documents.max_mb = {limit}; raise it to index the file"
            )
        return found


def source_of(path: Path, root: Path) -> str:
    """Path relative to the project with forward slashes; bytes that are no UTF-8 are shown as `\\xNN`."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _signature(info: os.stat_result) -> str:
    return f"{info.st_size}-{info.st_mtime_ns}-{info.st_ctime_ns}-{info.st_ino}"


def signature_now(path: Path) -> str:
    """Size, times and inode; empty for a file that is gone."""
    try:
        return _signature(path.stat())
    except OSError:
        return ""


def _os_reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return (error.strerror or type(error).__name__).lower()
