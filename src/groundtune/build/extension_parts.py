"""Make the parts that packages add: check their options and what they return, and name the package when it fails."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from groundtune.common.code_digest import code_digest
from groundtune.config import Config
from groundtune.errors import GroundtuneError, UsageError
from groundtune.extensions import RESERVED, adds_approach, load_extensions


def make_part(
    noun: str, name: str, protocol: Any, *arguments: object, place: str, options: Mapping[str, Any] | None = None
) -> Any:
    """Return what a package makes for a name. Raises UsageError, with the place in the project file, when it cannot.

    noun: what it is, such as "generator". arguments: given to the function of the package before the options.
    """
    make = part_maker(noun, name)
    check_options(make, arguments, options or {}, place=place)
    package = load_extensions().origins.get(f"{noun} {name}", "a package")
    return call_maker(make, arguments, options or {}, protocol, noun=f'{place}: the {noun} "{name}" of {package}')


def call_maker(
    make: Callable[..., Any], arguments: tuple[object, ...], options: Mapping[str, Any], protocol: Any, *, noun: str
) -> Any:
    """Call the function that makes a part. Raises UsageError when it fails or returns something else."""
    try:
        made = make(*arguments, **options)
    except GroundtuneError:
        raise
    except Exception as error:
        message = f"{noun} failed: {type(error).__name__}: {error}"
        raise UsageError(message, hint="run again with --debug for the traceback") from error
    if isinstance(made, protocol):
        return made
    members = {name for part in protocol.__mro__ if getattr(part, "_is_protocol", False) for name in vars(part)}
    lacking = ", ".join(sorted(name for name in members if name[0] != "_" and not hasattr(made, name)))
    hint = f"see groundtune.protocols.{protocol.__name__}"
    raise UsageError(f"{noun} is of type {type(made).__name__}, which lacks {lacking}", hint=hint)


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def used_parts(config: Config, approaches: Collection[str]) -> dict[str, list[str]]:
    """Map each part of a package that answers use, such as "generator acme", to its package and a digest of its code.

    approaches: names of those that are used. The parts of groundtune itself are left out.
    """
    used = [("generator", model.kind) for model in config.models.values()]
    used += [("embedder", config.embedder.kind), *(("approach", name) for name in filter(adds_approach, approaches))]
    if config.retrieval.reranker and "/" not in config.retrieval.reranker:
        used.append(("reranker", config.retrieval.reranker))
    if config.answers.checker:
        used.append(("checker", config.answers.checker))
    added = [(noun, name) for noun, name in dict.fromkeys(used) if name not in RESERVED.get(noun, ())]
    origins = load_extensions().origins if added else {}
    return {
        f"{noun} {name}": [origins[f"{noun} {name}"], code_digest(part_maker(noun, name))]
        for noun, name in added
        if f"{noun} {name}" in origins
    }


def part_maker(noun: str, name: str) -> Callable[..., Any]:
    """Return the function with which a package makes a part."""
    make: Callable[..., Any] = getattr(load_extensions(), f"{noun}es" if noun.endswith("ch") else f"{noun}s")[name]
    return make


def check_options(
    make: Callable[..., Any], arguments: tuple[object, ...], options: Mapping[str, Any], *, place: str
) -> None:
    """Raise UsageError if a function cannot be called with these options."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):  # some callables written in C have none
        return
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        known = [name for name, parameter in signature.parameters.items() if parameter.kind in _NAMED]
        hint = f"known options: {', '.join(known[len(arguments) :]) or 'none'}"
        raise UsageError(f"{place}.options: {error}", hint=hint) from None
