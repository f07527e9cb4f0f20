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
from groundtune.cli import audit, examples, keys, models, output, review
from groundtune.cli.lazy import load
from groundtune.errors import ConfigError, GroundtuneError, IndexMismatchError, Problem, ProviderError, UsageError
from groundtune.types import Interval

GROUPS = {
    "audit": audit.COMMANDS,
    "examples": examples.COMMANDS,
    "keys": keys.COMMANDS,
    "models": models.COMMANDS,
    "review": review.COMMANDS,
}
COMMANDS = [
    *((verb,) for verb in cli.VERBS if verb not in GROUPS),
    *((group, name) for group, commands in GROUPS.items() for name in commands),
]
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


@pytest.mark.parametrize("line", [line for lines in (cli.VERBS, *GROUPS.values()) for line in lines.values()])
def test_a_line_in_a_list_of_commands_is_short(line: str) -> None:
    assert len(line) <= 64, "a longer line is cut in the list of verbs"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_json_and_takes_the_project_in_the_same_way(words: tuple[str, ...]) -> None:
    command = load(".".join(("groundtune.cli", *words[:-1])), words[-1])
    options = {option for parameter in command.params for option in parameter.opts}
    arguments = [parameter.metavar for parameter in command.params if parameter.param_type_name == "argument"]
    assert command.help
    assert "--json" in options
    makes_a_folder = words in (("init",), ("demo",))
    in_a_project = not makes_a_folder and words != ("models", "get")  # which is for all projects
    assert ("FOLDER" in arguments, {"-C", "--project"} <= options) == (makes_a_folder, in_a_project)


@pytest.mark.parametrize("words", [(), *((group,) for group in GROUPS), *COMMANDS], ids=" ".join)
def test_help_shows_brackets_and_no_type_for_flags(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "<bool>" not in shown
    assert "..." not in shown.replace("[ARGS]...", ""), "no line of the list is cut"
    if words in (("check",), ("tune",), ()):
        assert "[tune.NAME]" in shown


def test_help_of_sub_commands_loads_none_of_them(tmp_path: Path) -> None:
    code = "import sys, groundtune.cli as c; c.main(['models', '--help']); c.main(['examples', '--help']); "
    code += "print([m for m in sys.modules if m.startswith(('groundtune.cli.models.', 'groundtune.cli.examples.'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("[]\n")


def error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the lines on stderr of a command that must end with exit code 2 and print nothing to stdout."""
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return " ".join(printed.err.split())


def test_a_project_folder_as_an_argument_is_refused_with_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my shop").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for verb in ("check", "ingest", "evaluate", "compare", "models list"):
        expected = f"error: {verb} takes no folder; use -C FOLDER hint: groundtune {verb} -C 'my shop'"
        assert error(capsys, *verb.split(), "my shop") == expected
    assert "groundtune ask … -C 'my shop'" in error(capsys, "ask", "why?", "my shop")
    assert "unexpected argument 'nowhere'" in error(capsys, "compare", "nowhere")
    assert "unexpected argument 'my shop'" in error(capsys, "init", ".", "my shop")


def test_unknown_sub_commands_and_misplaced_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert error(capsys, "examples", "sats") == (
        "error: unknown command 'sats'; did you mean 'stats'? "
        "hint: use one of draft, review, import, stats, split, export"
    )
    assert "use one of get, list, show, check, adopt, export, remove, seen" in error(capsys, "models", "delete", "x")
    for words in (["models", "-C", "x", "show", "y"], ["examples", "-C", "x", "stats"], ["-C", "x", "ask", "y"]):
        assert "option -C must follow the command" in error(capsys, *words)
    assert "Missing argument 'ID'" in error(capsys, "models", "show")
    assert "'dev' is not one of" in error(capsys, "examples", "stats", "--split", "dev")
    assert cli.main(["examples"]) == 2
    assert "export  Write" in "".join(capsys.readouterr())


def test_version_and_usage_errors(tmp_path: Path) -> None:
    assert re.fullmatch(r"groundtune \d+\.\d+\.\d+\n", groundtune("--version", cwd=tmp_path).stdout)
    typo = groundtune("chek", cwd=tmp_path)
    assert (typo.returncode, typo.stdout) == (2, "")
    assert "did you mean 'check'?" in typo.stderr
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
    assert capsys.readouterr() == ("", "ingest: 10 of 1,000 (x)\n")
