"""Packages that extend groundtune: imported only when asked for, and named when they are missing, broken or at odds."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from groundtune.build.approach_families import CASCADE, COMBINED, QUOTE_STAGES, ROUTED, WITH_MODEL, WITH_SCHEMA
from groundtune.build.training_kinds import BUILT_IN
from groundtune.cli import main
from groundtune.config import load_config
from groundtune.errors import ConfigError, UsageError
from groundtune.extensions import RESERVED, Extensions, load_extensions
from groundtune.project.validation import check_project
from groundtune.types import TunedApproach
from tests.conftest import MakeProject
from tests.ingest.extension_package import installed

FILES = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "examples.jsonl": json.dumps({"id": "a", "input": "When is a refund paid?", "output": "30 days", "split": "test"}),
}
TOML = '[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]\n'


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Install a package whose function `register` has this body."""
    stack: list[Any] = []

    def add(body: str, *, name: str = "acme", head: str = "") -> None:
        code = f"{head}\ndef register(extensions):\n    {body}\n"
        stack.append(installed(tmp_path / name, code, name=name))
        stack[-1].__enter__()

    yield add
    for entered in reversed(stack):
        entered.__exit__(None, None, None)


def problem(toml: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(Path("groundtune.toml"), text=f'name = "a"\n{toml}', environ={})
    return str(caught.value)


# -- imported only when asked for --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_plain_project_imports_no_package(
    install: Callable[..., None], make_project: MakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "imported"
    install("pass", head=f"open({str(marker)!r}, 'w').close()\nraise RuntimeError('do not import me')")
    folder = make_project(FILES, toml=TOML)
    commands = (
        ("--help",),
        ("ingest",),
        ("ingest", "--rebuild", "--json"),
        ("search", "refund"),
        ("ask", "When is a refund paid?"),
        ("compare",),
        ("use", "quote-bm25"),
        ("report",),
        ("models", "list"),
        ("examples", "stats"),
    )
    for command in commands:
        where = () if command == ("--help",) else ("-C", str(folder))
        assert main([*command, *where]) == 0, capsys.readouterr().err
        assert not marker.exists(), command
    assert main(["check", "-C", str(folder)]) == 0, "a package that is not used is no problem"
    assert marker.exists()
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 warning extensions: acme 1.0 cannot be used: RuntimeError: do not import me" in printed


def test_a_suffix_that_groundtune_does_not_know_asks_for_packages(
    install: Callable[..., None], make_project: MakeProject, tmp_path: Path
) -> None:
    marker = tmp_path / "imported"
    install("pass", head=f"open({str(marker)!r}, 'w').close()")
    folder = make_project({"a.md": "A file.", "b.drawing": "x"})
    assert main(["ingest", "-C", str(folder)]) == 0
    assert marker.exists()


# -- what check lists --------------------------------------------------------------------------------------------------


def test_check_lists_packages_and_sources(
    install: Callable[..., None], make_project: MakeProject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install('extensions.scorer("polite", len); extensions.loader(".note", len)')
    install('raise ValueError("no licence")', name="other")
    (tmp_path / "share").mkdir()
    folder = make_project(toml='[sources.share]\nkind = "folder"\noptions.path = "../share"\n')
    assert main(["check", "-C", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "source share folder" in printed
    assert "extension  acme 1.0: loader .note, scorer polite" in printed
    assert "other 1.0 cannot be used: ValueError: no licence" in printed
    assert main(["check", "-C", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sources"] == {"share": "folder"}
    assert report["extensions"] == [{"name": "acme", "version": "1.0", "adds": ["loader .note", "scorer polite"]}]
    assert [finding["level"] for finding in report["findings"]] == ["warning"]


def test_check_lists_packages_when_the_project_file_is_wrong(
    install: Callable[..., None], make_project: MakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    install('extensions.scorer("polite", len)')
    folder = make_project(toml="[compare]\nscorers = ['rude']\n")
    assert main(["check", "-C", str(folder)]) == 2
    printed = capsys.readouterr().out
    assert 'has an unknown scorer "rude" (known: polite)' in printed
    assert "acme 1.0: scorer polite" in printed


@pytest.mark.parametrize(
    ("table", "level", "message"),
    [
        ('kind = "folder"\noptions.path = "../gone"', "missing", "there is no folder"),
        ('kind = "folder"\noptions.paht = "../gone"', "problem", "missing a required argument: 'path'"),
        ('kind = "folder"\noptions.path = 5', "problem", "failed: TypeError"),
        ('kind = "fake"', "problem", "is of type object, which lacks changes"),
        ('kind = "slow"', "problem", "failed: RuntimeError: out of order"),
        ('kind = "unset"', "missing", "FAKE_DSN is not set"),
    ],
)
def test_check_makes_sources_without_reading_them(
    table: str, level: str, message: str, install: Callable[..., None], make_project: MakeProject
) -> None:
    head = """
from groundtune import MissingError
def unset(folder):
    raise MissingError("FAKE_DSN is not set")
def slow(folder):
    raise RuntimeError("out of order")
"""
    body = 'extensions.source("fake", lambda folder: object()); extensions.source("unset", unset)'
    install(f'{body}; extensions.source("slow", slow)', head=head)
    folder = make_project({"a.md": "A file."}, toml=f"[sources.db]\n{table}\n")
    (finding,) = check_project(folder, environ={}).findings
    assert (finding.level, finding.place.partition(".options")[0]) == (level, "sources.db")
    assert message in finding.message


@pytest.mark.parametrize(
    ("noun", "table"), [("generator", "models.default"), ("embedder", "embedder"), ("store", "store")]
)
def test_check_finds_options_that_do_not_fit(
    noun: str, table: str, install: Callable[..., None], make_project: MakeProject
) -> None:
    install(f'extensions.{noun}("acme", lambda *folder, model: None)')
    toml = f'[{table}]\nkind = "acme"\noptions.modle = "x"\n[requirements]\nresidency = "local"\n'
    report = check_project(make_project(FILES, toml=TOML + toml), environ={})
    problems = {finding.message: finding.place for finding in report.findings if finding.level == "problem"}
    if noun != "store":
        assert (report.models or {})["default" if noun == "generator" else noun] == "acme, of acme 1.0"
    assert problems == {
        "options: missing a required argument: 'model'": table,
        f'requirements.residency allows no {noun} "acme" of a package, which may send text to any host': table,
    }


def test_check_knows_that_rules_and_evidence_can_be_about_items(make_project: MakeProject, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    example = {"id": "a", "input": "?", "output": "x", "evidence": [{"source": "share:a.md", "quote": "x"}]}
    source = '[sources.share]\nkind = "folder"\noptions.path = "../share"\n'
    rules = '[[documents.access]]\ninclude = ["share:*", "**/*"]\ngroups = ["hr"]\n'
    examples = '[examples]\nfiles = ["examples.jsonl"]\n'
    folder = make_project({"examples.jsonl": json.dumps(example)}, toml=source + rules + examples)
    assert [finding for finding in check_project(folder, environ={}).findings if finding.level != "warning"] == []


# -- a name that no package adds ---------------------------------------------------------------------------------------

NAMES = [
    ("generator", '[models.default]\nkind = "acme"\n'),
    ("embedder", '[embedder]\nkind = "acme"\n'),
    ("store", '[store]\nkind = "acme"\n'),
    ("source", '[sources.db]\nkind = "acme"\n'),
    ("scorer", '[compare]\nscorers = ["acme"]\n'),
    ("loader", '[documents]\nloaders = ["acme"]\n'),
    ("trainer", '[tune.a]\nkind = "acme"\n'),
]


@pytest.mark.parametrize(("noun", "toml"), NAMES, ids=[noun for noun, _ in NAMES])
def test_a_missing_package_is_a_problem_of_the_project_file(noun: str, toml: str) -> None:
    message = problem(toml.replace("acme", "unheard-of"))
    assert '"unheard-of" (or install a package that provides it)' in message or "(known: none is installed)" in message


@pytest.mark.parametrize(("noun", "toml"), NAMES, ids=[noun for noun, _ in NAMES])
def test_a_broken_package_is_named_with_its_error(noun: str, toml: str, install: Callable[..., None]) -> None:
    install("import no_such_module")
    assert "acme 1.0 cannot be used: ModuleNotFoundError: No module named 'no_such_module'" in problem(toml)


@pytest.mark.parametrize("broken", [False, True])
def test_an_unknown_approach_or_reranker_is_named(
    broken: bool, install: Callable[..., None], make_project: MakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    if broken:
        install("import no_such_module")
    folder = make_project(FILES, toml=TOML)
    assert main(["ingest", "-C", str(folder)]) == 0
    capsys.readouterr()
    assert main(["ask", "When?", "--approach", "acme", "-C", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "no approach 'acme'" in error
    assert ("acme 1.0 cannot be used" in " ".join(error.split())) == broken
    (folder / "groundtune.toml").write_text(f'name = "a"\n{TOML}[retrieval]\nreranker = "acme"\n')
    assert main(["ask", "When?", "-C", str(folder)]) == 3
    error = capsys.readouterr().err
    assert 'there is no reranker "acme"' in error
    assert "a model on the hub is written OWNER/NAME" in error
    assert ("acme 1.0 cannot be used" in " ".join(error.split())) == broken
    (folder / "groundtune.toml").write_text(f'name = "a"\n{TOML}[answers]\nchecker = "acme"\n')
    assert main(["ask", "When?", "-C", str(folder)]) == 3
    error = capsys.readouterr().err
    assert 'there is no checker "acme"' in error
    assert ("acme 1.0 cannot be used" in " ".join(error.split())) == broken
    assert main(["check", "-C", str(folder)]) == 3
    assert 'there is no checker "acme"' in " ".join(capsys.readouterr().out.split())


def test_one_broken_package_leaves_the_others_alone(install: Callable[..., None]) -> None:
    install('extensions.scorer("half", len); raise SystemExit("no licence")', name="broken")
    install('extensions.scorer("polite", len)')
    extensions = load_extensions()
    assert set(extensions.scorers) == {"polite"}, "nothing of the broken one is registered"
    assert extensions.packages == {"acme": "1.0"}
    assert extensions.broken == {"broken": "broken 1.0 cannot be used: SystemExit: no licence"}


# -- names at odds -----------------------------------------------------------------------------------------------------


def test_a_name_of_two_packages_is_nobodys(install: Callable[..., None]) -> None:
    install('extensions.scorer("polite", len); extensions.scorer("short", len)', name="one")
    install('extensions.scorer("polite", len); extensions.source("polite", len)', name="two")
    extensions = load_extensions()
    assert set(extensions.scorers) == {"short"}
    assert set(extensions.sources) == {"polite"}, "names of different kinds are independent"
    message = "one 1.0 and two 1.0 both add the scorer 'polite'; uninstall one of them"
    assert message in problem("[compare]\nscorers = ['polite']\n")
    load_config(Path("g.toml"), text="name = 'a'\n[compare]\nscorers = ['short']\n", environ={})


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda extensions: extensions.approach("rag", len), "groundtune itself has the approach 'rag'"),
        (lambda extensions: extensions.approach("rag:big", len), "cannot be the name of an approach"),
        (lambda extensions: extensions.generator("openai", len), "groundtune itself has the generator 'openai'"),
        (lambda extensions: extensions.reranker("org/model", len), "cannot be the name of a reranker"),
        (lambda extensions: extensions.scorer(" ", len), "cannot be the name of a scorer"),
        (lambda extensions: extensions.loader("eml", len), "is not the suffix of a file"),
        (lambda extensions: [extensions.store("a", len) for _ in "ab"], "the store 'a' is registered twice"),
    ],
)
def test_names_that_cannot_be_taken(register: Callable[[Extensions], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        register(Extensions())


def test_the_reserved_names_are_those_of_groundtune() -> None:
    assert set(RESERVED["trainer"]) == set(BUILT_IN)
    built = {
        *WITH_MODEL,
        *QUOTE_STAGES,
        "quote-corpus",
        "nearest",
        COMBINED,
        CASCADE,
        ROUTED,
        *WITH_SCHEMA,
        *get_args(TunedApproach),
    }
    assert set(RESERVED["approach"]) == built


# -- what a package makes ----------------------------------------------------------------------------------------------

PARTS = {
    "generator": '[models.default]\nkind = "acme"\n{options}',
    "embedder": '[embedder]\nkind = "acme"\n{options}',
    "reranker": '[retrieval]\nreranker = "acme"\n',
    "approach": '[answers]\napproach = "acme"\n',
    "checker": '[answers]\nchecker = "acme"\n',
}


@pytest.mark.parametrize("noun", PARTS)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("lambda *parts: object()", "is of type object, which lacks "),
        ("lambda *parts: 1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("lambda *parts: None", "is of type NoneType, which lacks "),
    ],
)
def test_a_part_that_cannot_be_made_or_does_not_fit(
    noun: str,
    make: str,
    message: str,
    install: Callable[..., None],
    make_project: MakeProject,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_project(FILES, toml=TOML)
    if noun != "embedder":
        assert main(["ingest", "-C", str(folder)]) == 0
    install(f'extensions.{noun}("acme", {make})')
    (folder / "groundtune.toml").write_text(f'name = "a"\n{TOML}{PARTS[noun].format(options="")}')
    capsys.readouterr()
    command = ["ingest"] if noun == "embedder" else ["ask", "When is a refund paid?"]
    assert main([*command, "-C", str(folder)]) in (2, 3)
    error = " ".join(capsys.readouterr().err.split())
    assert message in error
    assert f'the {noun} "acme" of acme 1.0' in error


@pytest.mark.parametrize("noun", ["generator", "embedder"])
def test_options_that_do_not_fit(
    noun: str, install: Callable[..., None], make_project: MakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    install(f'extensions.{noun}("acme", lambda *, model: None)')
    table = PARTS[noun].format(options="options = {modle = 'x'}\n")
    folder = make_project(FILES, toml=TOML + table)
    assert main(["ingest", "-C", str(folder)]) == (0 if noun == "generator" else 2)
    if noun == "generator":
        assert main(["ask", "When?", "-C", str(folder)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert ".options: missing a required argument: 'model'" in error
    assert "known options: model" in error


@pytest.mark.parametrize("noun", PARTS)
def test_a_part_of_a_package_may_send_text_anywhere(
    noun: str, install: Callable[..., None], make_project: MakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_project(FILES, toml=TOML)
    assert main(["ingest", "-C", str(folder)]) == 0
    install(f'extensions.{noun}("acme", lambda *parts: object())')
    toml = f'name = "a"\n{TOML}{PARTS[noun].format(options="")}[requirements]\nresidency = "local"\n'
    (folder / "groundtune.toml").write_text(toml)
    capsys.readouterr()
    assert main(["ask", "When is a refund paid?", "-C", str(folder)]) in (2, 3)
    assert f'requirements.residency allows no {noun} "acme"' in " ".join(capsys.readouterr().err.split())
