"""Every verb of a project exists twice, sync and async, as plain methods that static tools can read."""

import ast
import builtins
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

import groundtune
from groundtune import Answer, GroundtuneError, Project, SyncProgress, errors
from groundtune.project import api, async_verbs
from groundtune.project.async_verbs import AsyncVerbs


def methods(module_file: str, class_name: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the public methods in the body of a class, as a tool sees them that only reads the source."""
    tree = ast.parse(Path(module_file).read_text(encoding="utf-8"))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    found = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: node for node in found if not node.name.startswith("_")}


ASYNC = methods(async_verbs.__file__, "AsyncVerbs")
SYNC = methods(api.__file__, "Project")
VERBS = sorted(name[1:] for name, node in ASYNC.items() if isinstance(node, ast.AsyncFunctionDef))


def test_the_verbs_are_found() -> None:
    assert {"ingest", "search", "ask", "evaluate", "compare", "estimate", "report", "tune", "adopt"} <= set(VERBS)
    assert all(name.startswith("a") for name, node in ASYNC.items() if isinstance(node, ast.AsyncFunctionDef))


def test_every_public_member_is_in_the_source_of_a_class_body() -> None:
    written = {name for name, member in inspect.getmembers(Project) if name[0] != "_" and callable(member)}
    assert written == {name for name, node in (ASYNC | SYNC).items() if not any(map(_is_property, node.decorator_list))}


@pytest.mark.parametrize("verb", VERBS)
def test_the_twins_are_plain_functions(verb: str) -> None:
    waits, awaits = SYNC[verb], ASYNC[f"a{verb}"]
    assert isinstance(waits, ast.FunctionDef)
    assert waits.decorator_list == []
    assert [ast.unparse(decorator) for decorator in awaits.decorator_list] == ["on_project_loop"]
    assert ast.unparse(waits.args) == ast.unparse(awaits.args)
    assert waits.returns is not None
    assert awaits.returns is not None
    assert ast.unparse(waits.returns) == ast.unparse(awaits.returns)
    assert ast.get_docstring(waits) == ast.get_docstring(awaits) is not None
    _, *body = waits.body
    assert len(body) == 1, "a sync verb only waits for its twin"


@pytest.mark.parametrize("verb", VERBS)
def test_the_twins_can_be_inspected(verb: str) -> None:
    waits, awaits = getattr(Project, verb), getattr(Project, f"a{verb}")
    assert inspect.signature(waits) == inspect.signature(awaits)
    assert inspect.getdoc(waits) == inspect.getdoc(awaits)
    assert (inspect.iscoroutinefunction(waits), inspect.iscoroutinefunction(awaits)) == (False, True)
    assert (waits.__qualname__, awaits.__qualname__) == (f"Project.{verb}", f"AsyncVerbs.a{verb}")
    assert inspect.get_annotations(waits) == inspect.get_annotations(awaits)
    assert Path(inspect.getsourcefile(inspect.unwrap(awaits)) or "") == Path(async_verbs.__file__)


@pytest.mark.parametrize("verb", VERBS)
def test_a_sync_verb_passes_every_argument_to_its_twin(verb: str) -> None:
    given = {
        name: object()
        for name, parameter in inspect.signature(getattr(Project, verb)).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }
    received: dict[str, object] = {}

    class Recorder(Project):
        def __init__(self) -> None:
            self.loop = self  # type: ignore[assignment]

        def run(self, work: object) -> object:
            return work

    def twin(_: AsyncVerbs, *args: object, **kwargs: object) -> str:
        received.update(inspect.signature(getattr(Project, verb)).bind(None, *args, **kwargs).arguments)
        return "result"

    setattr(Recorder, f"a{verb}", twin)
    assert getattr(Recorder(), verb)(**given) == "result"
    assert {name: received[name] for name in given} == given


PUBLIC = sorted({*SYNC, *ASYNC})


@pytest.mark.parametrize("name", PUBLIC)
def test_every_type_of_a_public_method_is_exported(name: str) -> None:
    method = inspect.getattr_static(Project, name)
    function = method.fget if isinstance(method, property) else getattr(Project, name)
    annotations = inspect.get_annotations(inspect.unwrap(getattr(function, "__func__", function)))
    assert "return" in annotations
    used = {kind for annotation in annotations.values() for kind in classes_in(annotation)}
    public = {kind.__name__ for kind in used if kind.__module__.startswith("groundtune.")}
    assert public <= {*groundtune.__all__, *PRIVATE}
    assert all(getattr(groundtune, kind) in used for kind in public - PRIVATE)


PRIVATE = {"Fitted"}
"""Types of `Project` members that serve the command line."""


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield the classes in an annotation such as `Callable[[SyncProgress], None] | None`."""
    if isinstance(annotation, list | tuple):
        for part in annotation:
            yield from classes_in(part)
    elif parts := get_args(annotation):
        yield from classes_in(parts)
    elif isinstance(annotation, type):
        yield annotation


def test_classes_are_found_in_annotations() -> None:
    found = set(classes_in(Callable[[SyncProgress, list[int]], None] | Mapping[str, Answer]))
    assert found == {SyncProgress, int, str, Answer}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_error_of_a_docstring_is_exported(name: str) -> None:
    text = inspect.getdoc(getattr(Project, name)) or ""
    assert text, f"{name} has no docstring"
    errors = set(re.findall(r"\b[A-Z]\w*Error\b", text))
    assert bool(re.search(r"\braises?\b", text, re.IGNORECASE)) == bool(errors), f"{name}: name the errors"
    builtin = {error for error in errors if hasattr(builtins, error)}
    assert errors - builtin <= set(groundtune.__all__)
    for error in errors - builtin:
        assert issubclass(getattr(groundtune, error), GroundtuneError)


def test_every_error_is_exported() -> None:
    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert raised <= set(groundtune.__all__)


def _is_property(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "property"
