"""Read a folder outside the project as a source: its files become items, with their path as id."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from groundtune.errors import GroundtuneError, MissingError
from groundtune.ingest.patterns import nearly_excludes
from groundtune.ingest.scan import source_name
from groundtune.ingest.select_files import select_files
from groundtune.types import SourceChanges, SourceItem


class FolderSource:
    """`Source` of the files in a folder.

    folder: the project's. path: may be relative to it. include, exclude, follow_links: as in [documents].
    Raises MissingError if there is no such folder: its documents then stay in the index.
    """

    def __init__(
        self,
        folder: Path,
        *,
        path: str,
        include: Sequence[str] = ("**/*",),
        exclude: Sequence[str] = (),
        follow_links: bool = False,
    ) -> None:
        self._path = folder_of(folder, path)
        if not self._path.is_dir():
            raise MissingError(f"there is no folder {self._path}")
        self._include = [include] if isinstance(include, str) else include
        self._exclude = [exclude] if isinstance(exclude, str) else exclude
        self._follow_links = follow_links

    async def changes(self, cursor: str | None) -> SourceChanges:
        """Return every file. Raises GroundtuneError if a folder cannot be read, so that its files stay in the index."""
        return SourceChanges(await asyncio.to_thread(self._items), complete=True)

    def _items(self) -> list[SourceItem]:
        unreadable: list[str] = []
        files = select_files(
            self._path,
            include=self._include,
            exclude=self._exclude,
            follow_links=self._follow_links,
            unreadable=lambda path, reason: unreadable.append(f"cannot read the folder {path}: {reason}"),
        )
        # an id has no "#", which separates a file from its rows
        items = [SourceItem(source_name(file, self._path).replace("#", "%23"), path=file) for file in files]
        for item in items:
            for pattern in self._exclude:
                if nearly_excludes(item.id, pattern):
                    unreadable.append(
                        f'exclude "{pattern}" would match {item.id} if upper and lower case did not count'
                    )
        if unreadable:
            raise GroundtuneError("; ".join(unreadable))
        return items


def folder_of(project: Path, path: str) -> Path:
    """Return the folder that a source means. path: may be relative to the project's folder."""
    return (project / Path(path).expanduser()).resolve()
