"""Read the examples of a project, each file again only when it has changed. Thinking in their texts is set apart."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundtune.dataset.examples import find_examples, read_examples
from groundtune.dataset.reviewing import is_rejected
from groundtune.models.reasoning import separate_reasoning
from groundtune.types import Example

Signature = tuple[int, int, int]
"""Size, time of the last change and inode of a file."""


class ExampleFiles:
    """The files with examples under a folder. Threads may share it: the last reading wins."""

    def __init__(self, root: Path, patterns: Sequence[str]) -> None:
        self._root = root
        self._patterns = patterns
        self._files: dict[Path, tuple[Signature, list[Example]]] = {}
        self._all: list[Example] = []

    def read(self) -> list[Example]:
        """Return all examples that nobody rejected; the same list as long as no file changes.

        Raises ConfigError with every problem.
        """
        files = {path: self._read(path) for path in find_examples(self._root, self._patterns)}
        unchanged = files.keys() == self._files.keys() and all(files[path] is self._files[path] for path in files)
        if not unchanged:
            self._files, self._all = files, [example for _, examples in files.values() for example in examples]
        return self._all

    def _read(self, path: Path) -> tuple[Signature, list[Example]]:
        info = path.stat()
        signature = (info.st_size, info.st_mtime_ns, info.st_ino)
        known = self._files.get(path)
        return (
            known
            if known and known[0] == signature
            else (signature, [without_thinking(row) for row in read_examples(path) if not is_rejected(row)])
        )


def without_thinking(example: Example) -> Example:
    """Set apart the thinking that a text of the example begins with: of `output` it is kept as `reasoning`."""
    outputs = example.output if isinstance(example.output, list) else [example.output]
    separated = [_separated(output) for output in outputs]
    reasoning = example.reasoning or next((thought for _, thought in separated if thought), "")
    texts = [text for text, _ in separated]
    history = tuple(replace(turn, content=_separated(turn.content)[0]) for turn in example.history)
    rejected, _ = _separated(example.rejected)
    output = texts if isinstance(example.output, list) else texts[0]
    return replace(example, output=output, rejected=rejected, history=history, reasoning=reasoning)


def _separated(value: Any) -> tuple[Any, str]:
    """Return a text without its thinking, and the thinking; anything else, or thinking without an answer, as it is."""
    reply = separate_reasoning(value) if isinstance(value, str) else None
    return (value, "") if reply is None or not reply.text.strip() else (reply.text, reply.reasoning)
