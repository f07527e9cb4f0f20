"""The command `groundtune`: finds the verb, and turns what it raises into a message and an exit code.

A verb is a module of this package with a function `run`; it is imported when it is used, so that help is quick.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from groundtune.errors import ConfigError, GroundtuneError, ProviderError

VERBS = {
    "init": "Write a project file for this folder.",
    "check": "Validate everything that can be validated before time or money is spent.",
    "ingest": "Bring the index up to date with the documents.",
    "search": "Show what retrieval finds, with scores.",
    "ask": "Ask the documents: an answer with verified citations.",
    "evaluate": "Measure retrieval on its own, and see what fails and why.",
    "compare": "Run every approach on the same examples, and say which one to use.",
    "report": "Say the verdict on a run again: terminal, JSON, one HTML file.",
    "judge": "Measure the judge against people.",
    "examples": "Import, count, split and export examples.",
    "tune": "Train a table [tune.NAME] of the project file.",
    "distil": "Let a stronger approach label inputs into train examples.",
    "models": "What was trained: list, show, remove, export, and what it has seen.",
    "demo": "All of it on the example project, offline.",
}
"""Verb to the first line of its help; the module of the same name has the rest."""


class _Verbs(TyperGroup):
    """Lists the verbs from the table; imports one when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for verb, text in VERBS.items():
            self.commands[verb] = TyperCommand(verb, help=text)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        verb, command, rest = super().resolve_command(ctx, args)
        return verb, load(verb) if verb in VERBS else command, rest


def load(verb: str) -> Any:
    """The command of a verb, with its options."""
    single = typer.Typer(add_completion=False)
    single.command(verb)(import_module(f"groundtune.cli.{verb}").run)
    return get_command(single)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"groundtune {version('groundtune')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Also: GROUNDTUNE_DEBUG=1.")
    ] = False,
) -> None:
    """Prompt, retrieve, fine-tune or combine? Find out on your own documents and examples, then run the choice."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit code: 0 fine, 1 negative outcome, 2 usage, 3 missing, 4 provider, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    flags = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in flags or os.environ.get("GROUNDTUNE_DEBUG", "0") not in ("", "0")
    given = [one for one in flags if one != "--debug"] + given[len(flags) :]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(given, prog_name="groundtune", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            return _reader_left()
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        if debug and not _is_usage(error):
            raise
        return _report(_first(error), as_json="--json" in flags)


def _reader_left() -> int:
    """The reader of our output has left (`| head`); nothing more can or need be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _first(error: BaseException) -> BaseException:
    """Out of a group of errors the first, ours before others."""
    if isinstance(error, BaseExceptionGroup):
        inner = [_first(one) for one in error.exceptions]
        return next((one for one in inner if isinstance(one, GroundtuneError)), inner[0])
    return error


def _is_usage(error: BaseException) -> bool:
    """Whether typer found fault with the arguments; its classes moved between versions."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _report(error: BaseException, *, as_json: bool) -> int:
    """Says what went wrong, and returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, GroundtuneError):
        kind, message, hint, code = _kind(error), error.message, error.hint, error.exit_code
    elif _is_usage(error):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "groundtune"
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            return 2
        message, code = error.format_message(), 2  # type: ignore[attr-defined]
        kind, hint = "usage", f"{command} --help"
    elif type(error).__name__ == "Abort":
        return 130
    else:
        text = " ".join(str(error).split())
        kind, code, hint = "unexpected", 1, "run again with --debug for the traceback"
        message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if as_json:
        details: dict[str, Any] = {"kind": kind, "message": message, "hint": hint}
        if isinstance(error, ConfigError):
            details["problems"] = [
                {"path": str(one.path), "line": one.line, "message": one.message, "hint": one.hint}
                for one in error.problems
            ]
        if isinstance(error, ProviderError):
            details |= {"failure": error.kind, "retryable": error.retryable}
        sys.stdout.write(json.dumps({"error": details}, ensure_ascii=False, indent=2) + "\n")
        return code
    from rich.text import Text

    from groundtune.cli import output

    problems = getattr(error, "problems", ())
    if len(problems) > 1:
        message = "\n  ".join((f"{len(problems):,} problems", *message.splitlines()))
    output.err().print(Text.assemble(("error: ", "bold red"), message))
    if hint:
        output.hint(hint)
    return code


def _kind(error: GroundtuneError) -> str:
    """`IndexMismatchError` as `index_mismatch`."""
    if type(error) is GroundtuneError:
        return "error"
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).strip("_")
