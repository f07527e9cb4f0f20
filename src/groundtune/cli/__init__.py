"""Run the command `groundtune`: find the verb, and turn its errors into a message and an exit code.

Each verb is a module of this package with a function `run`, or a package with sub-commands.
"""

import gc
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from groundtune.cli.lazy import APP, LazyGroup
from groundtune.common.full_disk import is_disk_full
from groundtune.errors import ConfigError, GroundtuneError, ProviderError

VERBS = {
    "init": "Create the project file (groundtune.toml) for this folder.",
    "advise": "Advise which approach to try first, before there is data.",
    "check": "Check the project for problems before you spend time or money.",
    "ingest": "Bring the index up to date with the documents.",
    "forget": "Erase a document, and what came from it.",
    "search": "Show what retrieval finds, with scores.",
    "ask": "Answer a question from the documents, with verified citations.",
    "evaluate": "Measure retrieval on its own, and show what it misses and why.",
    "compare": "Run every approach on the same examples and recommend one.",
    "report": "Show the verdict of a run in the terminal, as JSON or as HTML.",
    "costs": "Show what each approach costs, and where the lines cross.",
    "serve": "Serve the approaches over HTTP, as OpenAI's API does.",
    "drift": "Say whether what is served has changed, and what to do about it.",
    "spend": "Show what served answers have cost, by day and by key.",
    "live": "Compare approaches on real questions, as people judged them.",
    "gaps": "List what people ask and the documents leave open.",
    "audit": "Show, replay, export or verify the records of served answers.",
    "review": "Review served answers, and make examples of them.",
    "collect": "Add served answers that are good by rule to the examples.",
    "keys": "Create, list and revoke the API keys of the server.",
    "route": "Train a router on a comparison, and say whether it pays.",
    "use": "Make an approach the project's choice, which ask then uses.",
    "judge": "Measure how well the LLM judge agrees with human labels.",
    "examples": "Draft, review, import, count, split and export examples.",
    "tune": "Train the model described by [tune.NAME] in the project file.",
    "distil": "Label inputs with a strong approach to create training examples.",
    "models": "List, inspect, check, adopt, export or remove trained models.",
    "demo": "Prompt, retrieve or fine-tune? Find out on an example.",
}
"""Maps each verb to its line in `groundtune --help`; the module of the same name has the rest."""


class _Verbs(LazyGroup):
    package = __name__
    lines = VERBS


app = typer.Typer(
    **APP,
    cls=_Verbs,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        sys.stdout.write(f"groundtune {version('groundtune')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Same as GROUNDTUNE_DEBUG=1.")
    ] = False,
) -> None:
    """Prompt, retrieve, fine-tune or combine?

    Find out on your own documents and examples, then run the approach you choose.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. arguments: None: those of this process, which then ends.

    0 success, 1 negative outcome, 2 usage or configuration, 3 something missing, 4 provider failed, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    flags = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in flags or os.environ.get("GROUNDTUNE_DEBUG", "0") not in ("", "0")
    words = [flag for flag in flags if flag != "--debug"] + words[len(flags) :]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(words, prog_name="groundtune", standalone_mode=False)
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
    finally:
        if arguments is None:
            gc.freeze()  # an exit searches all objects for garbage first: a second, with torch and transformers


def _reader_left() -> int:
    """Return 0 after the reader of stdout has closed the pipe (as `head` does), and discard the rest of the output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group, preferring GroundtuneError; any other error is returned as is."""
    if isinstance(error, BaseExceptionGroup):
        inner = [_first(member) for member in error.exceptions]
        return next((member for member in inner if isinstance(member, GroundtuneError)), inner[0])
    return error


def _is_usage(error: BaseException) -> bool:
    """Whether typer rejected the arguments. Checked by shape, since its error classes moved between versions."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _report(error: BaseException, *, as_json: bool) -> int:
    """Print the error, and return the exit code."""
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
        message = message.replace(": Value error, ", ": ")  # a prefix that typer leaves in
        kind, hint = "usage", f"{command} --help"
    elif type(error).__name__ == "Abort":
        return 130
    else:
        text = " ".join(str(error).split())
        kind, code, hint = "unexpected", 1, "run again with --debug for the traceback"
        message = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if is_disk_full(error):
            kind, hint = "disk_full", "free some space and run the command again"
            message = f"the disk is full ({text})"
    if as_json:
        details: dict[str, Any] = {"kind": kind, "message": message, "hint": hint}
        if isinstance(error, ConfigError):
            details["problems"] = [
                {"path": str(problem.path), "line": problem.line, "message": problem.message, "hint": problem.hint}
                for problem in error.problems
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
    output.stderr_console().print(Text.assemble(("error: ", "bold red"), message))
    if hint:
        output.hint(hint)
    return code


def _kind(error: GroundtuneError) -> str:
    """Return the error class name in snake case: `index_mismatch` for IndexMismatchError."""
    if type(error) is GroundtuneError:
        return "error"
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
