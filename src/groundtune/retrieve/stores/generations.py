"""Decide which generation of an index a run writes into. Pure: storages keep the manifests, each in its own way."""

import uuid
from collections.abc import Mapping

from groundtune.errors import IndexMismatchError
from groundtune.types import IndexManifest

REBUILD = "groundtune ingest --rebuild"
IndexParts = Mapping[str, str | int]


def choose_generation(
    current: IndexManifest | None, unfinished: IndexManifest | None, parts: IndexParts, *, rebuild: bool
) -> IndexManifest:
    """Return the generation to write into: the current one, the unfinished one if its parts are the same, or a new one.

    Raises IndexMismatchError if the current one has other parts and `rebuild` is not set.
    """
    if current and not rebuild:
        check_parts(current, parts)
        return current
    if unfinished and unfinished != current and unfinished.parts == dict(parts):
        return unfinished
    return IndexManifest(f"g-{uuid.uuid4().hex[:12]}", dict(parts))


def check_parts(manifest: IndexManifest, parts: IndexParts) -> None:
    """Raise IndexMismatchError if the generation was built with other parts than those configured."""
    differing = ", ".join(
        f"{name}: built with {manifest.parts.get(name)}, now configured as {parts.get(name)}"
        for name in dict.fromkeys((*manifest.parts, *parts))
        if manifest.parts.get(name) != parts.get(name)
    )
    if differing:
        raise IndexMismatchError(f"the index does not match the project's settings: {differing}", hint=REBUILD)
