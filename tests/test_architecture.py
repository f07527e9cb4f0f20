"""The architecture of the package: who may import whom, what is public, and what must load only on demand."""

import ast
import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

import groundtune

SRC = Path(groundtune.__file__).parent
FILES = sorted(path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0] != "examples")

LAYERS = (
    {"display", "errors", "note", "text_box", "types"},
    {"languages"},
    {"common", "extensions", "protocols", "testing", "workspace"},
    {"config", "stats"},
    {"citations", "dataset", "ingest", "models", "records", "retrieve"},
    {"approaches", "corpus", "measure", "tune"},
    {"advice", "decide", "drafting", "drift", "report", "review"},
    {"build"},
    {"workflows"},
    {"project"},
    {"serve"},
    {"cli"},
)
"""Lowest first; within a layer nothing imports a neighbour, but for the pairs below."""
NEIGHBOURS = {
    ("errors", "types"),
    ("types", "note"),
    ("types", "text_box"),
    ("workspace", "common"),
    ("types", "display"),
    ("display", "types"),
}
BACKENDS = ("groundtune.models.", "groundtune.retrieve.stores.", "groundtune.retrieve.reranker")
SHARED = {
    f"groundtune.models.{name}"
    for name in (
        "builtin_models",
        "chat_reply",
        "chat_template",
        "connection",
        "dialects",
        "discover",
        "hub",
        "openai_client",
        "reasoning",
        "refused_parameters",
        "server_errors",
        "shared_beginning",
        "span_decoding",
        "token_counts",
        "torch_device",
    )
}
"""Parts of `models` that are no backend: training, serving, its check and estimates must agree on them."""
HEAVY = {
    *("asyncpg", "torch", "transformers", "sentence_transformers", "lancedb", "openai", "pyarrow", "scipy", "tomlkit"),
    *("fastapi", "mcp", "starlette", "uvicorn"),
}


def unit(module: str) -> str:
    """Return the unit of a module: `ingest` for `groundtune.ingest.loaders.pdf`, empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def level(name: str) -> int:
    levels = [number for number, layer in enumerate(LAYERS) if name in layer]
    assert levels, f"{name} is in no layer: add it in this test and in docs/architecture.md"
    return levels[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(("groundtune", *(part for part in parts if part != "__init__")))


MODULES = {module_of(file) for file in FILES}


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """Return every module of the package that a file imports, also inside functions, with the line."""
    found: list[tuple[str, int]] = []
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            whole = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else base for name in whole]
        elif isinstance(node, ast.Call) and _name(node.func) in ("need", "import_module") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                names = [first.value]
        found += [(name, node.lineno) for name in names if name.split(".")[0] == "groundtune"]  # type: ignore[attr-defined]
    return found


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""


def allowed(importer: str, imported: str) -> bool:
    if importer == imported or level(imported) < level(importer):
        return True
    return (importer, imported) in NEIGHBOURS


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SRC)) for path in FILES])
def test_a_module_imports_only_from_layers_below(path: Path) -> None:
    importer = unit(module_of(path))
    if importer in ("", "__main__"):
        return  # the package names its public objects, `python -m groundtune` calls the command
    wrong = [f"{path.name}:{line} imports {name}" for name, line in imports(path) if not allowed(importer, unit(name))]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SRC)) for path in FILES])
def test_only_build_imports_backends(path: Path) -> None:
    module = module_of(path)
    if unit(module) in ("", "build", "models", "retrieve"):
        return
    backends = [(name, line) for name, line in imports(path) if f"{name}.".startswith(BACKENDS)]
    wrong = [f"{path.name}:{line} imports {name}" for name, line in backends if name not in SHARED]
    assert wrong == []


def test_the_layer_test_sees_imports_inside_functions() -> None:
    modules = {name for name, _ in imports(SRC / "build" / "index_storage.py")}
    assert "groundtune.retrieve.stores.local_index" in modules
    assert "groundtune.config" in modules
    assert not allowed("ingest", "retrieve")
    assert not allowed("types", "errors")
    assert allowed("project", "workflows")


def test_all_lists_exactly_the_exported_names() -> None:
    for name in groundtune.__all__:
        assert getattr(groundtune, name).__module__.startswith("groundtune.")
    tree = ast.parse((SRC / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("groundtune.")
        for alias in node.names
    }
    assert typed == set(groundtune.__all__) == set(groundtune._HOME)
    assert list(groundtune.__all__) == sorted(groundtune.__all__)
    with pytest.raises(AttributeError):
        _ = groundtune.no_such_name  # type: ignore[attr-defined]


HELP = """
import sys
sys.argv = ["groundtune", "--help"]
import groundtune.cli
try:
    groundtune.cli.main()
except SystemExit:
    pass
"""


@pytest.mark.parametrize(
    "code",
    [
        "import groundtune",
        "import groundtune.project",
        "from groundtune import Project, Answer",
        "import groundtune.models.hub",
        HELP,
    ],
    ids=["package", "project", "names", "hub", "help"],
)
def test_nothing_heavy_is_loaded_without_need(code: str) -> None:
    probe = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
    )
    loaded = set(json.loads(done.stdout.strip().splitlines()[-1]))
    assert loaded & HEAVY == set()
