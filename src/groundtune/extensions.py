"""Find what other packages add to groundtune: approaches, scorers, checkers, loaders, stores, sources, models, …

A package registers with one entry point in the group `groundtune`, a function that receives an `Extensions`:

    [project.entry-points.groundtune]
    acme = "acme_groundtune:register"

    def register(extensions: Extensions) -> None:
        extensions.scorer("polite", polite)

Importing this module imports no extension; `load_extensions` does, and is called only for a name, a kind or the suffix
of a file that groundtune does not know itself.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from groundtune.errors import UsageError
from groundtune.types import Answer, Example

GROUP = "groundtune"
"""Group of the entry points."""

RESERVED: Mapping[str, tuple[str, ...]] = {
    "generator": ("openai", "local", "quote"),
    "embedder": ("bundled", "local", "openai"),
    "store": ("lance", "postgres"),
    "source": ("folder",),
    "parser": ("groundtune", "libreoffice", "markitdown", "ocr", "ocr-all-pages"),
    "trainer": ("classifier", "extractor", "lora", "retriever", "hosted"),
    "approach": (
        *("prompt", "fewshot-fixed", "fewshot", "context", "rag", "nearest", "tuned", "hybrid"),
        *("constrained", "fewshot-constrained", "tuned-constrained"),
        *("quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus", "combined", "cascade", "routed"),
    ),
}
"""Names that groundtune has itself, by what they name; no package can take them."""

Score = Callable[[Answer, Example], float | None]
"""Scores an answer from 0 (worst) to 1 (best); None: this answer has no such score."""


@runtime_checkable
class Loader(Protocol):
    """Reads the files of one extension, in a process of its own."""

    version: str
    """Changes whenever the same file would be read differently; files are then ingested again."""

    def load(self, path: Path) -> Any:
        """Return one `ParsedDocument`, or several for a file whose rows are documents. Raises ParseError."""
        ...


@dataclass(slots=True)
class FunctionLoader:
    """A function as a `Loader`."""

    load: Callable[[Path], Any]
    version: str = "1"


@dataclass(slots=True)
class Extensions:
    """What packages have added, by kind and name. Names of different kinds are independent."""

    approaches: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Maps each name to a function that makes the approach from an `ApproachParts`."""
    scorers: dict[str, Score] = field(default_factory=dict)
    loaders: dict[str, Loader] = field(default_factory=dict)
    """Maps each suffix, lower-case and with its dot, to its loader."""
    parsers: dict[str, Loader] = field(default_factory=dict)
    """Maps each name that `[[documents.parsers]]` may choose to its parser, for files of any suffix."""
    stores: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Maps each `[store] kind` to a function that makes an `IndexStorage`."""
    sources: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Maps each `[sources.NAME] kind` to a function that makes a `Source`."""
    generators: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Maps each `[models.NAME] kind` to a function that makes a `Generator`."""
    embedders: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Maps each `[embedder] kind` to a function that makes an `Embedder`."""
    rerankers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """Maps each `[retrieval] reranker` to a function that makes a `Reranker`."""
    checkers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """Maps each `[answers] checker` to a function that makes a `SupportChecker`."""
    trainers: dict[str, Any] = field(default_factory=dict)
    """Maps each `[tune.NAME] kind` to its `TrainingKind`."""
    packages: dict[str, str] = field(default_factory=dict)
    """Maps the name of each package that registered to its version."""
    origins: dict[str, str] = field(default_factory=dict)
    """Maps each addition, such as "scorer polite", to its package and version."""
    broken: dict[str, str] = field(default_factory=dict)
    """Maps each entry point that could not be loaded, and each name that several packages add, to the reason."""
    registering: str = field(default="", init=False)
    """Package and version of the entry point that is being called."""

    def approach(self, name: str, make: Callable[[Any], Any]) -> None:
        """Add an approach. make: receives the `ApproachParts` of the project and returns the approach."""
        if "@" in name or ":" in name or not name.strip():
            raise UsageError(f"{name!r} cannot be the name of an approach", hint='leave out ":" and "@"')
        self._add(self.approaches, "approach", name, make)

    def scorer(self, name: str, score: Score) -> None:
        """Add a scorer, used by `[compare] scorers`; a score lies between 0 and 1."""
        self._add(self.scorers, "scorer", name, score)

    def loader(self, suffix: str, loader: Loader | Callable[[Path], Any]) -> None:
        """Add a loader for files whose name ends in this suffix, such as ".eml"."""
        if not re.fullmatch(r"\.[^./\\\s]+", suffix):
            raise UsageError(f"{suffix!r} is not the suffix of a file", hint='write it like ".eml"')
        chosen = loader if isinstance(loader, Loader) else FunctionLoader(loader)
        self._add(self.loaders, "loader", suffix.lower(), chosen)

    def parser(self, name: str, parser: Loader | Callable[[Path], Any]) -> None:
        """Add a parser that `[[documents.parsers]]` chooses by name, for files of any suffix."""
        chosen = parser if isinstance(parser, Loader) else FunctionLoader(parser)
        self._add(self.parsers, "parser", name, chosen)

    def store(self, kind: str, make: Callable[..., Any]) -> None:
        """Add a kind of [store]. make: called with the project's folder, and the table's options by name."""
        self._add(self.stores, "store", kind, make)

    def source(self, kind: str, make: Callable[..., Any]) -> None:
        """Add a kind of [sources.NAME]. make: called with the project's folder, and the table's options by name."""
        self._add(self.sources, "source", kind, make)

    def generator(self, kind: str, make: Callable[..., Any]) -> None:
        """Add a kind of [models.NAME]. make: called with the table's options by name."""
        self._add(self.generators, "generator", kind, make)

    def embedder(self, kind: str, make: Callable[..., Any]) -> None:
        """Add a kind of [embedder]. make: called with the table's options by name."""
        self._add(self.embedders, "embedder", kind, make)

    def reranker(self, name: str, make: Callable[[], Any]) -> None:
        """Add a reranker, used by `[retrieval] reranker`."""
        if "/" in name:
            raise UsageError(f"{name!r} cannot be the name of a reranker", hint="that is a model on the hub")
        self._add(self.rerankers, "reranker", name, make)

    def checker(self, name: str, make: Callable[[], Any]) -> None:
        """Add a checker of citations, used by `[answers] checker`."""
        self._add(self.checkers, "checker", name, make)

    def trainer(self, kind: Any) -> None:
        """Add a kind of [tune.NAME]: an object that implements `TrainingKind`."""
        self._add(self.trainers, "trainer", kind.kind, kind)

    def added_by(self, package: str) -> list[str]:
        """Return what a package adds, such as "scorer polite". package: name and version."""
        return sorted(added for added, origin in self.origins.items() if origin == package)

    def _add(self, registered: dict[str, Any], noun: str, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"{name!r} cannot be the name of a {noun}")
        if name in RESERVED.get(noun, ()):
            raise UsageError(f"groundtune itself has the {noun} {name!r}", hint="choose another name")
        added, origin = f"{noun} {name}", self.registering
        if added not in self.origins:
            registered[name], self.origins[added] = value, origin
            return
        if (first := self.origins[added]) == origin:
            raise UsageError(f"the {noun} {name!r} is registered twice")
        registered.pop(name, None)  # neither is used: which one would be a matter of chance
        self.broken[added] = f"{first} and {origin} both add the {noun} {name!r}; uninstall one of them"


@cache
def load_extensions() -> Extensions:
    """Import every package that registers in the group, once per process; what fails is listed in `broken`."""
    return register_all(entry_points(group=GROUP))


def register_all(points: Any) -> Extensions:
    """Return what these entry points register, in the order of their names."""
    extensions = Extensions()
    for point in sorted(points, key=lambda point: point.name):
        before = _copied(extensions)
        extensions.registering = _package(point)
        try:
            point.load()(extensions)
        except (Exception, SystemExit) as error:  # noqa: BLE001  one broken package must not stop every command
            extensions = before  # nothing of it is half registered
            extensions.broken[point.name] = f"{_package(point)} cannot be used: {type(error).__name__}: {error}"
            continue
        if point.dist is not None:
            extensions.packages[point.dist.name] = point.dist.version
    extensions.registering = ""
    return extensions


def _copied(extensions: Extensions) -> Extensions:
    tables = {name: value for name in Extensions.__slots__ if isinstance(value := getattr(extensions, name), dict)}
    return Extensions(**{name: dict(table) for name, table in tables.items()})


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def adds_approach(name: str) -> bool:
    """Whether a package adds the approach of this name. Imports no package for one of groundtune's own."""
    own = name in RESERVED["approach"] or ":" in name or "@" in name
    return not own and name in load_extensions().approaches


def unknown_name(noun: str, name: str, added: Iterable[str]) -> str:
    """Describe a name that no package adds: the known ones, and every package that failed to load."""
    known = ", ".join(sorted(added)) or "none is installed"
    broken = "; ".join(load_extensions().broken.values())
    return f'has an unknown {noun} "{name}" (known: {known})' + (f"; {broken}" if broken else "")


def how_to_get(noun: str, name: str) -> str:
    """Return what to do about a name that no package adds: repair one that is installed, else install one."""
    return "; ".join(load_extensions().broken.values()) or f'install the package that adds the {noun} "{name}"'
