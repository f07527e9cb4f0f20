"""Run what the README and docs show: commands, the Python blocks, the project file, links, documented defaults."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import groundtune
from groundtune import Project
from groundtune.cli import lazy, main
from groundtune.cli.demo import _copy
from groundtune.config import Config, load_config
from groundtune.config.tune_tables import TrainingConfig as TuneTable
from groundtune.project.async_verbs import AsyncVerbs

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND_PAGES = [*PAGES, *sorted((ROOT / "examples").glob("*/README.md")), ROOT / "benchmarks/RESULTS.md"]


def blocks(language: str, page: str = README) -> list[str]:
    """Return the blocks of a language; of none for an empty string."""
    return [text for name, text in re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.M) if name == language]


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\$ make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Parse a command line of groundtune without running it, and return the exit code."""

    def load(package: str, name: str) -> Any:
        command = lazy_load(package, name)
        if not isinstance(command, lazy.LazyGroup):
            command.callback = None
        return command

    def call(line: str) -> int:
        words = shlex.split(line, comments=True)
        end = next((at for at, word in enumerate(words) if word in ("&&", "|", ">", ";")), None)
        return main(words[1:end])

    lazy_load = lazy.load
    monkeypatch.setattr(lazy, "load", load)
    return call


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_are_valid(page: Path, parse: Callable[[str], int], capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shell = "\n".join(block for language, block in blocks if language in ("", "console", "sh", "bash"))
    commands = re.findall(r"^(?:\$ )?(?:.* && )?(groundtune .*)", shell, re.MULTILINE)
    assert [command for command in commands if parse(command) != 0] == [], capsys.readouterr().err
    for mentioned in re.findall(r"`(groundtune [^`]+)`", text):
        if parse(" ".join(mentioned.split())) != 0:  # prose may leave out an argument
            error = capsys.readouterr().err
            assert re.search("Missing (argument|option)|requires an argument", error), f"{mentioned}: {error}"


def test_an_invalid_command_is_noticed(parse: Callable[[str], int]) -> None:
    assert parse("groundtune models check letters --url http://localhost:8000/v1  # a comment") == 0
    assert parse("groundtune examples stats --split test | head") == 0
    assert parse("groundtune compare docs") == 2
    assert parse("groundtune models show x --url http://localhost:8000/v1") == 2


def run_python(code: str, folder: Path) -> str:
    """Run a script in a folder; return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_figures(text: str) -> str:
    """Replace figures that differ between machines, and drop the ellipsis of a shortened output."""
    return re.sub(r"confidence \d\.\d\d, \d+\.\d\d s\b", "confidence …", text).removesuffix("…\n")


@pytest.mark.slow
def test_the_first_block_prints_what_the_readme_shows(tmp_path: Path) -> None:
    code, shown = blocks("python")[0], blocks("")[0]
    assert sum(map(bool, code.splitlines())) <= 10
    assert README.index(code) < README.index("\n## "), "the front page begins with Python"
    assert without_figures(run_python(code, tmp_path)).startswith(without_figures(shown))


@pytest.mark.slow
def test_the_library_block_runs(tmp_path: Path) -> None:
    _copy("handbook", tmp_path / "demo-handbook")
    _, code = blocks("python")
    printed = run_python(code, tmp_path)
    assert "docs/policies/returns" in printed
    assert "answered" in printed


@pytest.mark.slow
def test_the_python_page_runs_in_one_session(tmp_path: Path) -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    printed = without_figures(run_python("\n".join(blocks("python", page)), tmp_path))
    for shown in blocks("", page):
        assert without_figures(shown) in printed
    assert "exact documents/refunds.md Refunds None A refund" in printed
    assert "already has a project" in printed


def test_the_python_page_lists_every_verb_and_error() -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    verbs = {name for name in vars(Project) if f"a{name}" in vars(AsyncVerbs)}
    assert verbs - set(re.findall(r"`(\w+)\(", page)) <= {"control_job", "check_model"}
    errors = {name for name in groundtune.__all__ if name.endswith("Error")}
    assert errors - set(re.findall(r"`(\w+Error)`", page)) == {"FormatError", "ParseError"}


def test_the_project_file_loads(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "groundtune.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "groundtune.toml", environ={}).name == "acme-handbook"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def documented_defaults() -> dict[str, dict[str, str]]:
    """The tables of docs/configuration.md: heading to key to the text of its default."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^##+ (.*)\n", page, flags=re.MULTILINE)
    rows = re.compile(r"^\| `(\w+)` \| (.*?) \| .+ \|$", re.MULTILINE)
    headings, texts = sections[::2], sections[1::2]
    return {heading.strip("`"): dict(rows.findall(text)) for heading, text in zip(headings, texts, strict=True)}


def config_tables(model: type[BaseModel], path: str = "") -> dict[str, dict[str, FieldInfo]]:
    """Every table of the project file, nested ones and each kind of `[tune.NAME]` included: heading to key to field."""
    keys: dict[str, FieldInfo] = {}
    inner: dict[str, dict[str, FieldInfo]] = {}
    for name, field in model.model_fields.items():
        place, container = f"{path}.{name}".strip("."), get_origin(field.annotation)
        if container is dict:
            place += '."MODEL"' if name in ("prices", "bases") else ".NAME"
        models = list(models_in(field.annotation))
        if place == "sweep.embedders.NAME":  # the page refers to [embedder] for its keys
            inner[f"[{place}]"] = {}
        elif len(models) > 1:
            shared = inner[f"[{place}]"] = {"kind": models[0].model_fields["kind"], **TuneTable.model_fields}
            for kind in models:
                (tag,) = get_args(kind.model_fields["kind"].annotation)
                inner[f'kind = "{tag}"'] = {
                    key: value
                    for key, value in kind.model_fields.items()
                    if key not in shared or value.default != shared[key].default
                }
        elif models:
            header, *nested = config_tables(models[0], place).items()
            inner[f"[[{place}]]" if container is tuple else header[0]] = header[1]
            inner.update(nested)
        elif container is dict:
            inner[f"[{place.removesuffix('.NAME')}]"] = {}
        else:
            keys[name] = field
    return {f"[{path}]" if path else "Top level": keys, **inner}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as `dict[str, A | B]`, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def test_every_key_of_the_project_file_is_documented() -> None:
    documented, tables = documented_defaults(), config_tables(Config)
    assert {heading: set(keys) for heading, keys in documented.items()} == {
        heading: set(keys) for heading, keys in tables.items()
    }
    assert sum(map(len, tables.values())) >= 120


@pytest.mark.parametrize("heading", config_tables(Config))
def test_documented_defaults_are_those_of_the_models(heading: str) -> None:
    documented = documented_defaults()[heading]
    for key, field in config_tables(Config)[heading].items():
        text = documented[key]
        literal = re.fullmatch(r"`([^`]+)`", text)
        if field.is_required():
            assert text == "required", f"{heading} {key}"
        elif field.get_default(call_default_factory=True) is None:
            assert text, f"{heading} {key}: say what applies without the key"
            assert text != "required", f"{heading} {key}"
            assert literal is None, f"{heading} {key}: {text} is not the default of the model"
        else:
            assert literal, f"{heading} {key}: {text} is not a value of TOML"
            default = tomllib.loads(f"default = {literal[1]}")["default"]
            expected = field.get_default(call_default_factory=True)
            assert default == (list(expected) if isinstance(expected, tuple) else expected), f"{heading} {key}"


def test_the_public_names_are_what_the_package_exports() -> None:
    for name in groundtune.__all__:
        assert getattr(groundtune, name).__name__ == name
    assert groundtune.__all__ == sorted(groundtune.__all__)
