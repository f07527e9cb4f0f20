"""Import a command when it is called, which keeps `--help` fast. Knows no command.

A command is a module with a function `run`; a command with sub-commands is a package with a Typer app named `app`.
"""

import shlex
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from groundtune.errors import UsageError

APP: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,  # plain help: rich would drop [tune.NAME] as markup and show a type for flags
    "pretty_exceptions_enable": False,
}
"""Settings of every Typer app of the package."""


class Unchecked:
    """Takes texts and paths as they are. typer checks each with pydantic, whose import takes longer than a report."""

    def __init__(self, kind: Any, checked: Callable[[], Any]) -> None:
        self._kind, self._checked = kind, checked

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._kind in (str, Path):
            return self._kind(value)
        return [*value] if self._kind == list[str] else self._checked().coerce(value, param=param, ctx=ctx)


def unchecked(parameters: list[Any]) -> list[Any]:
    """Return the parameters, which take texts and paths without pydantic from now on."""
    for parameter in parameters:
        checked = getattr(parameter, "get_runtime_param", None)  # older versions of typer have none
        if checked and "get_runtime_param" not in vars(parameter):
            value = Unchecked(parameter.type_descriptor.annotation, checked)
            parameter.get_runtime_param = lambda value=value: value
    return parameters


class LazyGroup(TyperGroup):
    """A group that lists its commands from `lines`, and imports one from `package` when it is called."""

    package: ClassVar[str]
    lines: ClassVar[Mapping[str, str]]
    """Maps each command to its line in the help of the group."""
    default: ClassVar[str | None] = None
    """The command that runs when none is given."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, line in self.lines.items():
            self.commands[name] = TyperCommand(name, help=line)

    def get_params(self, ctx: Any) -> list[Any]:
        return unchecked(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        known = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if first.startswith("-") and first.partition("=")[0] not in known:
            if command := next((word for word in args if word in self.commands), None):
                raise UsageError(
                    f"option {first} must follow the command", hint=f"{ctx.command_path} {command} {first} …"
                )
            first = ""
        if self.default and not first:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, *rest = args
        if name not in self.commands:
            close = get_close_matches(name, self.commands, n=1)
            suggestion = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"unknown command {name!r}{suggestion}", hint=f"use one of {', '.join(self.commands)}")
        return name, (load(self.package, name) if name in self.lines else self.commands[name]), rest


def command_group(package: str, lines: Mapping[str, str], *, about: str, default: str | None = None) -> typer.Typer:
    """Return the app of a command with sub-commands, each a module of the package.

    lines: as in `LazyGroup`. about: its help. default: the command that runs when none is given.
    """
    kind = type("Group", (LazyGroup,), {"package": package, "lines": lines, "default": default})
    words = "[COMMAND] [ARGS]..." if default else None
    app = typer.Typer(**APP, cls=kind, help=about, no_args_is_help=default is None, subcommand_metavar=words)
    app.callback()(lambda: None)  # without one, typer makes a command of a group of one
    return app


class Command(TyperCommand):
    """A command that says how to name the project folder when it is given as an argument."""

    def get_params(self, ctx: Any) -> list[Any]:
        return unchecked(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        super().parse_args(ctx, args)
        if not ctx.args or ctx.resilient_parsing:
            return []
        word = ctx.args[0]
        verb = ctx.command_path.partition(" ")[2]
        if any("-C" in parameter.opts for parameter in self.params) and Path(word).is_dir():
            arguments = " …" if any(parameter.param_type_name == "argument" for parameter in self.params) else ""
            hint = f"{ctx.command_path}{arguments} -C {shlex.quote(word)}"
            raise UsageError(f"{verb} takes no folder; use -C FOLDER", hint=hint)
        raise UsageError(f"unexpected argument {word!r}", hint=f"{ctx.command_path} --help")


def load(package: str, name: str) -> Any:
    """Import a command of a package, and return it with its options."""
    module = import_module(f"{package}.{name}_" if iskeyword(name) else f"{package}.{name}")
    if hasattr(module, "app"):
        return get_command(module.app)
    single = typer.Typer(**APP)
    single.command(name, cls=Command)(module.run)
    return get_command(single)
