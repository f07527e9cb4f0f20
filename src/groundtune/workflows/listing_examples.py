"""List every example of a project with its file and origin, rejected ones too, and the files that cannot be read.

Writes nothing; reviewing.py records what people decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundtune.dataset.examples import find_examples, read_examples
from groundtune.dataset.new_examples import COLLECTED, DRAFTED, REVIEWED, distilled
from groundtune.dataset.reviewing import is_unreviewed
from groundtune.errors import ConfigError, GroundtuneError
from groundtune.types import Example

Origin = Literal["by hand", "imported", "drafted", "reviewed", "collected", "distilled"]
ExampleState = Literal["undecided", "accepted", "edited", "rejected", "none"]
WRITTEN_BESIDE = ("drafted.jsonl", "distilled.jsonl", "collected.jsonl")
"""Files into which commands write examples unless told otherwise: a project may not name them yet."""
SHOWN = 5
"""Problems of a file that are told."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of examples."""

    name: str
    """Relative to the project, with forward slashes."""
    used: bool
    """Whether `[examples] files` names it."""
    examples: tuple[Example, ...] = ()
    """All of them, those that were rejected too."""
    problems: tuple[str, ...] = ()
    """Why it cannot be read; the first few."""


class ExampleList:
    """The files of examples of a project, each read again when it has changed."""

    def __init__(self) -> None:
        self._files: dict[Path, tuple[tuple[int, int, int], ListedFile]] = {}

    def files(self, root: Path, patterns: Sequence[str], *, beside: Sequence[str] = ()) -> list[ListedFile]:
        """Return the files that the project names, then others that commands write.

        patterns: `[examples] files`. beside: further files, which need not exist.
        """
        named = find_examples(root, patterns)
        others = [path for name in dict.fromkeys((*WRITTEN_BESIDE, *beside)) if (path := root / name).is_file()]
        used = dict.fromkeys(named, True)
        return [self._file(path, root, path in used) for path in dict.fromkeys((*named, *others))]

    def _file(self, path: Path, root: Path, used: bool) -> ListedFile:
        name = path.relative_to(root).as_posix()
        try:
            info = path.stat()
        except OSError as error:
            return ListedFile(name, used, problems=(str(error.strerror or error).lower(),))
        signature = (info.st_size, info.st_mtime_ns, info.st_ino)
        known = self._files.get(path)
        if known is None or known[0] != signature or known[1].used != used:
            known = self._files[path] = (signature, _read(path, name, used))
        return known[1]


def _read(path: Path, name: str, used: bool) -> ListedFile:
    try:
        return ListedFile(name, used, tuple(read_examples(path)))
    except ConfigError as error:
        told = [_told(problem.line, problem.message, problem.hint) for problem in error.problems]
        more = [f"and {len(told) - SHOWN:,} more"] if told[SHOWN:] else []
        return ListedFile(name, used, problems=(*told[:SHOWN], *more))
    except GroundtuneError as error:
        return ListedFile(name, used, problems=(error.message,))


def _told(line: int | None, message: str, hint: str | None) -> str:
    place = f"line {line:,}: " if line else ""
    return f"{place}{message}" + (f" ({hint})" if hint else "")


def origin_of(example: Example) -> Origin:
    """Return where an example comes from, as people tell examples apart."""
    known: dict[str, Origin] = {
        "person": "by hand",
        DRAFTED: "drafted",
        REVIEWED: "reviewed",
        COLLECTED: "collected",
    }
    if example.origin in known:
        return known[example.origin]
    return "distilled" if example.origin.startswith(distilled("")) else "imported"


def state_of(example: Example) -> ExampleState:
    """Return what a person decided about an example; `undecided`: a draft that nobody looked at."""
    if is_unreviewed(example):
        return "undecided"
    return example.review.state if example.review else "none"
