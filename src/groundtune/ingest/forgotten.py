"""Keep the list of forgotten sources, which no ingest reads again, in `.groundtune/forgotten.json`.

It keeps names and digests, never a text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.common.names import composed
from groundtune.errors import MissingError
from groundtune.types import Artifact
from groundtune.workspace import Workspace

FORMAT = 1
FILE = "forgotten.json"


@dataclass(frozen=True, slots=True)
class ForgottenSource:
    """A file, or an item of another source, that was forgotten."""

    source: str
    time: str
    """ISO 8601, UTC."""
    digest: str | None = None
    """SHA-256 of the file, by which it is known under another name; None for items."""
    groups: tuple[str, ...] = ()
    """Groups that could read it: models that are kept answer nobody else."""
    kept_models: tuple[str, ...] = ()
    """Ids of the models that were trained on it and stay in use."""

    @property
    def reason(self) -> str:
        """Why it is not read."""
        return f"forgotten on {self.time[:10]}; groundtune forget --undo {self.source}"


class Forgotten:
    """The forgotten sources of a project."""

    def __init__(self, sources: Iterable[ForgottenSource] = ()) -> None:
        self.sources = {composed(each.source): each for each in sources}
        self._digests = {each.digest: each for each in self.sources.values() if each.digest}

    def find(self, source: str) -> ForgottenSource | None:
        """Return the entry of a file, a row `FILE#ID` of one, or an item; the Unicode form does not count."""
        name = composed(source).removeprefix("./")
        return self.sources.get(name) or self.sources.get(name.partition("#")[0])

    def seen_by(self, artifact: Artifact) -> tuple[str, ...]:
        """Return the forgotten sources that a model was trained on, but those for which it was kept in use."""
        found = (self.find(source) for source in artifact.seen_documents)
        unkept = (entry.source for entry in found if entry and artifact.id not in entry.kept_models)
        return tuple(dict.fromkeys(unkept))

    def why_not(self, source: str) -> str | None:
        """Return why a source is not read; None if it is."""
        entry = self.find(source)
        return entry.reason if entry else None

    def why_not_content(self, digest: str) -> str | None:
        """Return why a file with these bytes is not read, whatever its name; None if it is."""
        entry = self._digests.get(digest)
        return f"has the content of {entry.source}, which was {entry.reason}" if entry else None

    def with_sources(self, added: Iterable[ForgottenSource]) -> "Forgotten":
        """Return the list with further sources; of one that is in it, the models kept before stay so."""
        merged = dict(self.sources)
        for each in added:
            name = composed(each.source)
            before = merged.get(name)
            if before:
                kept = tuple(dict.fromkeys((*before.kept_models, *each.kept_models)))
                each = replace(
                    before, digest=each.digest or before.digest, groups=before.groups or each.groups, kept_models=kept
                )
            merged[name] = each
        return Forgotten(merged.values())

    def without(self, sources: Sequence[str]) -> "Forgotten":
        """Return the list without these sources."""
        names = {composed(source) for source in sources}
        return Forgotten(entry for name, entry in self.sources.items() if name not in names)


NOTHING_FORGOTTEN = Forgotten()


def read_forgotten(workspace: Workspace) -> Forgotten:
    """Return the list; empty where nothing was forgotten. Raises MissingError when it is damaged."""
    path = workspace.folder / FILE
    if not path.exists():
        return NOTHING_FORGOTTEN
    values = check_version(read_json(path), path=path, supported=FORMAT, rebuild="groundtune forget")
    try:
        return Forgotten(map(_entry, values["sources"]))
    except (KeyError, TypeError) as error:
        raise MissingError(f"{path} is damaged: {error}", hint=f"mend or restore it: {_why(path)}") from None


def write_forgotten(workspace: Workspace, forgotten: Forgotten) -> None:
    """Write the list."""
    workspace.create()
    rows = [asdict(entry) for _, entry in sorted(forgotten.sources.items())]
    write_json(workspace.folder / FILE, versioned({"sources": rows}, FORMAT))


def _entry(row: dict[str, Any]) -> ForgottenSource:
    lists = {name: tuple(row[name]) for name in ("groups", "kept_models")}
    return ForgottenSource(**{**row, **lists})


def _why(path: Path) -> str:
    return f"without {path.name}, forgotten documents would be indexed again"
