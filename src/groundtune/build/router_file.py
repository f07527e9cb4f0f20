"""Read and write `router.json`, the router that `groundtune route` trained. Trains nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.approaches.routed import Policy
from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError
from groundtune.stats.routing import RouterModel

FORMAT = 1
COMMAND = "groundtune route"


@dataclass(frozen=True, slots=True)
class StoredRouter:
    """A trained router."""

    run: str
    """The comparison that it was trained on."""
    time: str
    """When it was trained: ISO 8601, UTC."""
    approaches: tuple[str, ...]
    """Those that it chooses from: `NAME`, or `NAME@ID` with a trained model."""
    examples: tuple[str, ...]
    """Ids of the examples that it was trained on."""
    embedder: str
    """Digest of the embedder whose vectors it reads."""
    retrieval: bool
    """Whether it reads the scores of a search."""
    weight: float
    costs: tuple[float, ...]
    center: Sequence[float]
    axes: Sequence[Sequence[float]]
    weights: Sequence[Sequence[float]]

    @property
    def policy(self) -> Policy:
        """How it chooses."""
        model = RouterModel(np.array(self.center), np.array(self.axes), np.array(self.weights))
        return Policy(model, np.array(self.costs), self.weight)


def read_router(path: Path | None) -> StoredRouter | None:
    """Return the router of a project, or None. Raises MissingError when the file is damaged or of another version."""
    if path is None or not path.exists():
        return None
    values = check_version(read_json(path), path=path, supported=FORMAT, rebuild=COMMAND)
    try:
        return StoredRouter(**{**values, **{name: tuple(values[name]) for name in ("approaches", "examples", "costs")}})
    except (KeyError, TypeError) as error:
        raise MissingError(f"{path} is damaged: {error}", hint=COMMAND) from None


def router_signature(path: Path) -> tuple[int, ...]:
    """Return the size, time and inode of the file: equal as long as the router is the same."""
    try:
        info = path.stat()
    except OSError:
        return ()
    return info.st_size, info.st_mtime_ns, info.st_ino


def write_router(path: Path, router: StoredRouter) -> None:
    """Write the router; readers see the old one or the new one."""
    values: Mapping[str, Any] = asdict(router)
    write_json(path, versioned(values, FORMAT))
