"""Define how a model is told its task: the built-in wordings, and those that a project has as files.

Pure but for `read_wording`; asks no model and does not know which wording is best.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from groundtune.approaches import prompts
from groundtune.common.files import digest_text
from groundtune.errors import ConfigError, MissingError, Problem
from groundtune.types import Message, Task

PLACEHOLDERS: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        "answer": ("abstention",),
        "classify": ("labels", "abstention"),
        "extract": ("schema", "abstention"),
        "write": (),
    }
)
"""What the rules of each task must hold, in braces. `abstention`: the reply when there is no answer."""
_MEANING = {
    "abstention": "it stands for the reply when there is no answer",
    "labels": "it stands for the list of labels",
    "schema": "it stands for the JSON Schema",
}
WITH, WITHOUT = "# with passages", "# without passages"
"""Lines that begin the two parts of a file."""
_PLACEHOLDER = re.compile(r"\{\{\w+\}\}|\{(\w+)\}")
"""A name in braces; in doubled braces, it is text in single ones."""


@dataclass(frozen=True, slots=True)
class TaskRules:
    """The rules of one task, with placeholders, and a worked example: what a user says, and the right reply."""

    with_passages: str
    without_passages: str
    example_with_passages: tuple[str, str] | None = None
    example_without_passages: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to tell a model its task. `tasks` has the rules of every task, or only of the project's."""

    name: str
    tasks: Mapping[Task, TaskRules]

    def rules(self, task: Task, *, grounded: bool, **values: str) -> str:
        """Return the rules with their placeholders filled in. grounded: passages are shown."""
        rules = self.tasks[task]
        return fill(rules.with_passages if grounded else rules.without_passages, values)

    def example(self, task: Task, *, grounded: bool) -> tuple[Message, ...]:
        """Return the worked example as turns; empty when there is none."""
        rules = self.tasks[task]
        example = rules.example_with_passages if grounded else rules.example_without_passages
        return (Message("user", example[0]), Message("assistant", example[1])) if example else ()

    def digest(self, task: Task) -> str:
        """Return a digest of all that this wording may say to a model about a task."""
        return digest_text(repr(self.tasks[task]))[:16]


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put the values in place of their names in braces."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]] if match[1] else match[0][1:-1], template)


FULL = Wording(
    "full",
    {
        "answer": TaskRules(prompts.GROUNDED, prompts.CLOSED),
        "classify": TaskRules(f"{prompts.LABELLED}\n\n{prompts.BACKGROUND}", prompts.LABELLED),
        "extract": TaskRules(f"{prompts.EXTRACTED}\n\n{prompts.BACKGROUND}", prompts.EXTRACTED),
        "write": TaskRules(f"{prompts.WRITTEN}\n\n{prompts.WRITTEN_FROM}", prompts.WRITTEN),
    },
)
SHORT = Wording(
    "short",
    {
        "answer": TaskRules(prompts.SHORT_GROUNDED, prompts.SHORT_CLOSED),
        "classify": TaskRules(f"{prompts.SHORT_LABELLED}\n{prompts.SHORT_BACKGROUND}", prompts.SHORT_LABELLED),
        "extract": TaskRules(f"{prompts.SHORT_EXTRACTED}\n{prompts.SHORT_BACKGROUND}", prompts.SHORT_EXTRACTED),
        "write": TaskRules(f"{prompts.SHORT_WRITTEN}\n{prompts.SHORT_BACKGROUND}", prompts.SHORT_WRITTEN),
    },
)
EXAMPLE = Wording(
    "example",
    {
        "answer": TaskRules(
            prompts.SHORT_GROUNDED,
            prompts.SHORT_CLOSED,
            prompts.EXAMPLE_WITH_PASSAGES,
            prompts.EXAMPLE_WITHOUT_PASSAGES,
        ),
        "classify": TaskRules(
            f"{prompts.SHORT_LABELLED}\n{prompts.EXAMPLE_LABELLED}\n{prompts.SHORT_BACKGROUND}",
            f"{prompts.SHORT_LABELLED}\n{prompts.EXAMPLE_LABELLED}",
        ),
        "extract": TaskRules(
            f"{prompts.SHORT_EXTRACTED}\n{prompts.EXAMPLE_EXTRACTED}\n{prompts.SHORT_BACKGROUND}",
            f"{prompts.SHORT_EXTRACTED}\n{prompts.EXAMPLE_EXTRACTED}",
        ),
        "write": TaskRules(
            f"{prompts.SHORT_WRITTEN}\n{prompts.SHORT_BACKGROUND}",
            prompts.SHORT_WRITTEN,
            prompts.EXAMPLE_WRITTEN,
            prompts.EXAMPLE_WRITTEN,
        ),
    },
)
BUILT_IN: Mapping[str, Wording] = MappingProxyType({wording.name: wording for wording in (FULL, SHORT, EXAMPLE)})


def read_wording(path: Path, task: Task) -> Wording:
    """Read a wording of the project, named like its file: the rules of its task.

    A file has one text for all approaches, or two parts, under `# with passages` and `# without passages`. Raises
    MissingError when it cannot be read, ConfigError with every mistake in it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MissingError(
            f"cannot read {path}: {(error.strerror or str(error)).lower()}",
            hint="create it, or change [compare] prompts",
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(path, "not UTF-8", line, "save it as UTF-8")]) from None
    parts, problems = _parts(path, text)
    problems += dict.fromkeys(
        problem for start, part in parts.values() for problem in _problems(path, task, start, part)
    )
    if lacking := [heading for heading in (WITH, WITHOUT) if heading not in parts]:
        problems.append(Problem(path, f'no line "{lacking[0]}"', None, "write both parts, or one text without them"))
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return Wording(path.stem, {task: TaskRules(parts[WITH][1].strip(), parts[WITHOUT][1].strip())})


def _parts(path: Path, text: str) -> tuple[dict[str, tuple[int, str]], list[Problem]]:
    """Map the heading of each part to the number of its first line and its text; name each heading that comes twice."""
    lines = text.splitlines()
    headings = [(at, line.strip().lower()) for at, line in enumerate(lines) if line.strip().lower() in (WITH, WITHOUT)]
    if not headings:
        return {WITH: (1, text), WITHOUT: (1, text)}, []
    parts: dict[str, tuple[int, str]] = {}
    problems = []
    if "".join(lines[: headings[0][0]]).strip():
        problems.append(Problem(path, "text before the first part belongs to none", 1, f'put it below "{WITH}"'))
    ends = [at for at, _ in headings[1:]] + [len(lines)]
    for (at, heading), end in zip(headings, ends, strict=True):
        if heading in parts:
            problems.append(Problem(path, f'a second "{heading}"', at + 1, "write each part once"))
        parts[heading] = (at + 2, "\n".join(lines[at + 1 : end]))
    return parts, problems


def _problems(path: Path, task: Task, start: int, part: str) -> list[Problem]:
    """Return what is wrong with the rules that begin on a line of a file."""
    known = PLACEHOLDERS[task]
    names = ", ".join(f"{{{name}}}" for name in known) or "none"
    used, problems = set(), []
    for number, line in enumerate(part.splitlines(), start):
        for name in filter(None, _PLACEHOLDER.findall(line)):
            used.add(name)
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {{{close[0]}}}?" if close else f"task {task} has {names}"
                hint += f"; write {{{{{name}}}}} for the text {{{name}}}"
                problems.append(Problem(path, f"unknown placeholder {{{name}}}", number, hint))
    if not part.strip():
        problems.append(Problem(path, "no rules", start, "write what the model is told"))
    elif lacking := [name for name in known if name not in used]:
        missing = ", ".join(f"{{{name}}}" for name in lacking)
        problems.append(Problem(path, f"the rules that begin here lack {missing}", start, _MEANING[lacking[0]]))
    return problems
