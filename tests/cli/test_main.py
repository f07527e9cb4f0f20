import json
import os
import re
import resource
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import numpy as np
import pytest

from groundtune import cli
from groundtune.cli import output
from groundtune.errors import ConfigError, GroundtuneError, IndexMismatchError, Problem, ProviderError, UsageError
from groundtune.types import Interval

COMMAND = Path(sys.executable).with_name("groundtune")


def groundtune(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


def verb(monkeypatch: pytest.MonkeyPatch, body: Callable[[], object]) -> None:
    """Replace the verb `check` with one that runs `body`."""

    def run(as_json: bool = False) -> None:
        body()

    import typer

    run.__annotations__["as_json"] = bool
    run.__defaults__ = (typer.Option(False, "--json"),)
    module = types.ModuleType("groundtune.cli.check")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "groundtune.cli.check", module)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def body() -> NoReturn:
        raise error

    return body


def test_help_is_fast_and_loads_nothing_heavy(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = groundtune("--help", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    )  # CPU time, so that other load does not matter
    assert shown.returncode == 0
    assert all(text.split()[0] in shown.stdout for text in cli.VERBS.values())
    assert seconds < 2  # 0.21 s
    code = "import sys, groundtune.cli as c; c.main(['--help']); print([m for m in sys.modules if m.split('.')[0] in "
    code += "('numpy', 'pydantic', 'lancedb', 'torch', 'openai', 'asyncio')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("[]\n")


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_verb_has_a_short_line_help_and_json(name: str) -> None:
    command = cli.load(name)
    assert len(cli.VERBS[name]) <= 64, "a longer line is cut in the list of verbs"
    assert command.help
    assert any("--json" in parameter.opts for parameter in command.params)


@pytest.mark.parametrize("name", [*sorted(cli.VERBS), None])
def test_help_shows_brackets_and_no_type_for_flags(name: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*([name] if name else []), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "<bool>" not in shown
    assert "..." not in shown.replace("[ARGS]...", ""), "no line of the list is cut"
    if name in ("check", "tune", None):
        assert "[tune.NAME]" in shown


def test_version_and_usage_errors(tmp_path: Path) -> None:
    assert re.fullmatch(r"groundtune \d+\.\d+\.\d+\n", groundtune("--version", cwd=tmp_path).stdout)
    typo = groundtune("chek", cwd=tmp_path)
    assert (typo.returncode, typo.stdout) == (2, "")
    assert "Did you mean 'check'?" in typo.stderr
    flag = groundtune("check", "--json", "--zzzz", cwd=tmp_path)
    assert flag.returncode == 2
    assert json.loads(flag.stdout)["error"] == {
        "kind": "usage",
        "message": "No such option: --zzzz",
        "hint": "groundtune check --help",
    }


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (GroundtuneError("it failed", hint="do this"), 1, "error"),
        (UsageError("it failed", hint="do this"), 2, "usage"),
        (IndexMismatchError("it failed", hint="do this"), 3, "index_mismatch"),
        (ProviderError("it failed", hint="do this", kind="timeout", retryable=True), 4, "provider"),
        (ExceptionGroup("all", [ValueError("x"), UsageError("it failed", hint="do this")]), 2, "usage"),
    ],
)
def test_our_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, kind: str
) -> None:
    verb(monkeypatch, raising(error))
    assert cli.main(["check"]) == code
    assert capsys.readouterr() == ("", "error: it failed\nhint: do this\n")
    assert cli.main(["check", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)["error"]
    assert (shown["kind"], shown["message"], shown["hint"]) == (kind, "it failed", "do this")


def test_all_problems_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verb(monkeypatch, raising(ConfigError([Problem(Path("a"), "one", 1, "so"), Problem(Path("b"), "[two]")])))
    assert cli.main(["check"]) == 2
    assert capsys.readouterr().err == "error: 2 problems\n  a:1: one (so)\n  b: [two]\n"
    cli.main(["check", "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["problems"][0] == {
        "path": "a",
        "line": 1,
        "message": "one",
        "hint": "so",
    }


def test_unexpected_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verb(monkeypatch, raising(ValueError("a\nb")))
    assert cli.main(["check"]) == 1
    printed = capsys.readouterr().err
    assert printed == "error: ValueError: a b\nhint: run again with --debug for the traceback\n"
    for arguments in (["--debug", "check"], ["check", "--debug"]):
        with pytest.raises(ValueError):
            cli.main(arguments)
    monkeypatch.setenv("GROUNDTUNE_DEBUG", "1")
    with pytest.raises(ValueError):
        cli.main(["check"])


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    verb(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["check"]) == 130


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    code = "import sys, groundtune.cli as c, types\nm = types.ModuleType('m')\n"
    code += "def run() -> None:\n    for n in range(100000): print(n)\n"
    code += "m.run = run; sys.modules['groundtune.cli.check'] = m\nsys.exit(c.main(['check']))"
    shell = f'"{sys.executable}" -c "$CODE" | head -n 1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", shell], env={**os.environ, "CODE": code}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("0\n0\n", "")


@dataclass(frozen=True, slots=True)
class Thing:
    path: Path
    mapping: MappingProxyType[str, object]


def test_emit_json(capsys: pytest.CaptureFixture[str]) -> None:
    thing = Thing(Path("a/b"), MappingProxyType({"x": np.float32(0.5), "y": (np.int64(1), None), "z": {"b", "a"}}))
    output.print_json({"thing": thing, "odd": "\udcff"})
    assert json.loads(capsys.readouterr().out) == {
        "thing": {"path": "a/b", "mapping": {"x": 0.5, "y": [1, None], "z": ["a", "b"]}},
        "odd": "\udcff",
    }
    for wrong in (float("nan"), np.float64("inf")):
        with pytest.raises(ValueError):
            output.print_json(wrong)
    with pytest.raises(TypeError):
        output.print_json(object())


def test_tables_names_and_progress_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.show_table(["approach", "recall", "n"], [["rag " * 40, Interval(0.893, 0.871, 0.914, 120), None]])
    shown = capsys.readouterr().out
    assert "0.893 [0.871, 0.914] n=120" in shown
    assert len(shown.splitlines()) == 2
    assert output.printable("a\nb\x1b[1m\udcff") == "a\\nb\\x1b[1m\\xff"
    monkeypatch.setattr(output, "SPARSE_SECONDS", 0.0)
    with output.progress("ingest", total=1000) as bar:
        bar.update(10, now="x")
    assert capsys.readouterr() == ("", "ingest: 10 of 1,000\n")
