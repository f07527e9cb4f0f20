"""Turn the [[checks]] of a project into test functions. Never scores; a failing function raises instead of giving 0."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.json_schema import Checker, parse_json, schema_checker
from groundtune.config import PROJECT_FILE, CheckConfig
from groundtune.errors import ConfigError, Problem, UsageError
from groundtune.languages.text import sentences
from groundtune.measure.metrics import tokenize
from groundtune.types import Example

CheckFunction = Callable[[str, Example], float]
"""Maps a text and its example to how well the text passes, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Check:
    """One named test of a written text."""

    name: str
    test: CheckFunction


class _CheckError(Exception):
    """A problem with one check."""

    def __init__(self, message: str, hint: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path


def make_checks(configs: Sequence[CheckConfig], root: Path, *, language: str = "english") -> list[Check]:
    """Return the checks of a project, in order. root: the project folder, searched for schema files and modules.

    language: of the texts, which says where their sentences end.
    Modules are imported with `root` on the module path, which is restored before this returns. Raises ConfigError
    with every problem: a schema file that is missing or not a JSON Schema, a function that cannot be imported,
    a duplicate name.
    """
    checks: list[Check] = []
    problems: list[Problem] = []
    for number, config in enumerate(configs, start=1):
        place = f'check {number} "{config.name}"'
        if any(config.name == earlier.name for earlier in configs[: number - 1]):
            problems.append(
                Problem(root / PROJECT_FILE, f"{place}: duplicate name", hint="give each check a unique name")
            )
        try:
            checks.append(Check(config.name, _make(config, root, language)))
        except _CheckError as problem:
            problems.append(
                Problem(problem.path or root / PROJECT_FILE, f"{place}: {problem.message}", hint=problem.hint)
            )
    if problems:
        raise ConfigError(problems)
    return checks


def _make(config: CheckConfig, root: Path, language: str) -> CheckFunction:
    if config.pattern is not None:
        pattern = re.compile(config.pattern)
        return lambda text, _: float(pattern.search(text) is not None)
    if config.absent is not None:
        absent = re.compile(config.absent)
        return lambda text, _: float(absent.search(text) is None)
    if (least := config.min_words) is not None:
        return lambda text, _: float(len(tokenize(text)) >= least)
    if (most := config.max_words) is not None:
        return lambda text, _: float(len(tokenize(text)) <= most)
    if (limit := config.max_sentences) is not None:
        return lambda text, _: float(_longest_paragraph(text, language) <= limit)
    if config.schema_file is not None:
        return _schema(root / config.schema_file)
    return _function(config.function or "", root, config.name)


def _longest_paragraph(text: str, language: str) -> int:
    """Return the number of sentences of the longest paragraph."""
    paragraphs = re.split(r"\n\s*\n", text)
    return max(sum(1 for _ in sentences(paragraph, language=language)) for paragraph in paragraphs)


def _schema(path: Path) -> CheckFunction:
    try:
        schema = parse_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _CheckError(
            f"cannot read the schema file: {(error.strerror or str(error)).lower()}", "fix schema_file", path
        ) from None
    except ValueError as error:  # includes UnicodeDecodeError
        raise _CheckError(f"not a JSON Schema: {error}", "save it as JSON in UTF-8", path) from None
    if not isinstance(schema, Mapping):
        raise _CheckError("not a JSON Schema: not an object", 'write {"type": "object", …}', path)
    try:
        checker = schema_checker(schema)
    except UsageError as error:
        raise _CheckError(error.message, "see https://json-schema.org/learn", path) from None
    return lambda text, _: _satisfies(text, checker)


def _satisfies(text: str, checker: Checker) -> float:
    try:
        value = parse_json(text)
    except ValueError:
        return 0.0
    return float(checker(value) is None)


def _function(place: str, root: Path, check: str) -> CheckFunction:
    module_name, _, name = place.partition(":")
    try:
        with _importable(root, module_name):
            module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  the project's own code may raise anything
        raise _CheckError(
            f'cannot import "{module_name}": {type(error).__name__}: {error}',
            f"fix {module_name} or the function setting",
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        hint = f"write def {name}(text, example): … in {getattr(module, '__file__', None) or module_name}"
        raise _CheckError(f'"{module_name}" has no function "{name}"', hint)
    if inspect.iscoroutinefunction(function):
        raise _CheckError(f'"{place}" is async; a check must be a plain function', "remove async")
    return lambda text, example: _share(function(text, example), check)


def _share(value: Any, check: str) -> float:
    """Return the result of a project function as a float from 0 to 1. Raises TypeError, ValueError."""
    if not isinstance(value, bool | int | float):
        raise TypeError(f'check "{check}" returned {type(value).__name__}, not a bool or a number from 0 to 1')
    if not 0 <= value <= 1:
        raise ValueError(f'check "{check}" returned {value}, not a number from 0 to 1')
    return float(value)


@contextmanager
def _importable(root: Path, module: str) -> Iterator[None]:
    """Put `root` first on the module path; temporarily unload modules of the same name from elsewhere."""
    package = module.partition(".")[0]
    is_local = (root / f"{package}.py").is_file() or (root / package).is_dir()
    unloaded = {}
    if is_local and package not in sys.stdlib_module_names and not _lies_in(sys.modules.get(package), root):
        unloaded = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == package}
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        sys.modules.update(unloaded)


def _lies_in(module: Any, root: Path) -> bool:
    locations = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(Path(location).resolve().is_relative_to(root.resolve()) for location in locations if location)
