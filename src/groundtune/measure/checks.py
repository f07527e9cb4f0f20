"""Turn the project's own demands on a text into tests. Never scores; a test that breaks raises, it gives no 0."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.config import PROJECT_FILE, CheckConfig
from groundtune.errors import ConfigError, Problem, UsageError
from groundtune.json_values import Fault, read_json, schema_fault
from groundtune.types import Example

Test = Callable[[str, Example], float]
"""Text and its example to how far the text satisfies it, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Check:
    """One demand on a text."""

    name: str
    test: Test


class _CheckError(Exception):
    """What is wrong with one check."""

    def __init__(self, message: str, hint: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path


def make_checks(configs: Sequence[CheckConfig], root: Path) -> list[Check]:
    """The checks of a project, in order. root: its folder, where schema files and modules are looked for.

    A module is imported with `root` on the module path, which is as before when this returns. Raises ConfigError
    with every problem: a schema file that is not there or is no JSON Schema, a function that cannot be imported,
    a name that comes twice.
    """
    checks: list[Check] = []
    problems: list[Problem] = []
    for number, config in enumerate(configs, start=1):
        place = f'check {number} "{config.name}"'
        if any(config.name == earlier.name for earlier in configs[: number - 1]):
            problems.append(
                Problem(root / PROJECT_FILE, f"{place}: the name comes twice", hint="give it a name of its own")
            )
        try:
            checks.append(Check(config.name, _make(config, root)))
        except _CheckError as wrong:
            problems.append(Problem(wrong.path or root / PROJECT_FILE, f"{place}: {wrong.message}", hint=wrong.hint))
    if problems:
        raise ConfigError(problems)
    return checks


def _make(config: CheckConfig, root: Path) -> Test:
    if config.pattern is not None:
        pattern = re.compile(config.pattern)
        return lambda text, _: float(pattern.search(text) is not None)
    if config.absent is not None:
        absent = re.compile(config.absent)
        return lambda text, _: float(absent.search(text) is None)
    if config.schema_file is not None:
        return _schema(root / config.schema_file)
    return _function(config.function or "", root, config.name)


def _schema(path: Path) -> Test:
    try:
        schema = read_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _CheckError(
            f"cannot read it: {(error.strerror or str(error)).lower()}", "fix schema_file", path
        ) from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise _CheckError(f"no JSON Schema: {error}", "save it as JSON in UTF-8", path) from None
    if not isinstance(schema, Mapping):
        raise _CheckError("no JSON Schema: not an object", 'write {"type": "object", …}', path)
    try:
        fault = schema_fault(schema)
    except UsageError as error:
        raise _CheckError(error.message, "see https://json-schema.org/learn", path) from None
    return lambda text, _: _satisfies(text, fault)


def _satisfies(text: str, fault: Fault) -> float:
    try:
        value = read_json(text)
    except ValueError:
        return 0.0
    return float(fault(value) is None)


def _function(place: str, root: Path, check: str) -> Test:
    module_name, _, name = place.partition(":")
    try:
        with _importable(root, module_name):
            module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  the project's own code, which may raise anything
        raise _CheckError(
            f'cannot import "{module_name}": {type(error).__name__}: {error}', f"fix {module_name}, or function"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        hint = f"write def {name}(text, example): … in {getattr(module, '__file__', None) or module_name}"
        raise _CheckError(f'"{module_name}" has no function "{name}"', hint)
    if inspect.iscoroutinefunction(function):
        raise _CheckError(f'"{place}" is async; a check is a plain function', "write it without async")
    return lambda text, example: _share(function(text, example), check)


def _share(value: Any, check: str) -> float:
    """What a function of the project gave, as 0 to 1. Raises TypeError, ValueError."""
    if not isinstance(value, bool | int | float):
        raise TypeError(f'check "{check}" gave {type(value).__name__}, not true, false or a number from 0 to 1')
    if not 0 <= value <= 1:
        raise ValueError(f'check "{check}" gave {value}, not a number from 0 to 1')
    return float(value)


@contextmanager
def _importable(root: Path, module: str) -> Iterator[None]:
    """`root` first on the module path; a module of the same name from elsewhere steps aside meanwhile."""
    top = module.partition(".")[0]
    own = (root / f"{top}.py").is_file() or (root / top).is_dir()
    aside = {}
    if own and top not in sys.stdlib_module_names and not _lies_in(sys.modules.get(top), root):
        aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == top}
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        sys.modules.update(aside)


def _lies_in(module: Any, root: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(Path(place).resolve().is_relative_to(root.resolve()) for place in places if place)
