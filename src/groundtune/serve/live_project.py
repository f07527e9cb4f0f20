"""Keep a project open for many requests, and follow changes of its file by other processes. Answers nothing.

New indexes, models and fitted values are noticed by the project's own session; only groundtune.toml, which
`groundtune use` and people write, is watched here. Requests that are under way keep the project that they began with.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from groundtune.build.models import prepare_for_many
from groundtune.config import PROJECT_FILE
from groundtune.errors import GroundtuneError
from groundtune.project import Project
from groundtune.serve.errors import told

LOCAL_EMBEDDERS = ("bundled", "local")
"""Kinds that hold no connection, so that two projects can share one."""

log = logging.getLogger(__name__)


class _Opened:
    """A project, and how many requests use it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.users = 0


class LiveProject:
    """The project of a folder as its file describes it now. For one event loop."""

    def __init__(self, project: Project) -> None:
        self._now = _Opened(project)
        self._seen = _signature(project.root)
        self._loading = asyncio.Lock()
        self.trouble: str | None = None
        """Why the project file cannot be used as it is now; the one before is used meanwhile."""
        self.lacks: str | None = None
        """Why the project's choice could not be asked when that was last looked at; for operators."""

    @property
    def project(self) -> Project:
        """The project that the next request uses, for its settings."""
        return self._now.project

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Project]:
        """Use the project as it is now, for as long as one request takes."""
        if _signature(self.project.root) != self._seen:
            await self._reload()
        opened = self._now
        opened.users += 1
        try:
            yield opened.project
        finally:
            opened.users -= 1
            await self._close_if_left(opened)

    async def warm(self) -> None:
        """Load what runs here before the first request needs it: embedder, index and, for answers, the quotes.

        `is_ready` tells what is missing.
        """
        if self.project.config.embedder.kind not in LOCAL_EMBEDDERS:
            return  # a server elsewhere may charge for it, or not answer
        with contextlib.suppress(GroundtuneError):
            async with self.lease() as project:
                prepare_for_many(project.session.get_embedder())
                await project.asearch("index", k=1)
                if project.config.task == "answer":
                    await project.aask("index", approach="quote-hybrid")

    async def is_ready(self) -> bool:
        """Whether the project's choice can be asked. Why not is logged, once for each reason."""
        lacks: str | None = None
        try:
            async with self.lease() as project:
                await project.arequire()
        except GroundtuneError as error:
            lacks = told(error)
        if lacks and lacks != self.lacks:
            log.warning("not ready: %s", lacks)
        self.lacks = lacks
        return lacks is None

    async def close(self) -> None:
        """Cancel running work and close the project."""
        await asyncio.to_thread(self.project.close)

    async def _reload(self) -> None:
        async with self._loading:
            before, seen = self._now, _signature(self.project.root)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                project = await asyncio.to_thread(Project.open, before.project.root)
            except GroundtuneError as error:
                self.trouble = error.message
                log.warning("the project file is not used as it is now: %s", error.message)
                return
            self.trouble = None
            if project.config == before.project.config:
                return
            embedder = before.project.config.embedder
            if embedder == project.config.embedder and embedder.kind in LOCAL_EMBEDDERS:
                project.session.embedder = before.project.session.embedder
            self._now = _Opened(project)
            log.info("the project file has changed and is used from now on")
            await self._close_if_left(before)

    async def _close_if_left(self, opened: _Opened) -> None:
        if opened is not self._now and not opened.users:
            await asyncio.to_thread(opened.project.close)


def _signature(root: Path) -> tuple[int, int, int] | None:
    """Return size, time and inode of the project file; None while it cannot be read."""
    try:
        info = (root / PROJECT_FILE).stat()
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns, info.st_ino
