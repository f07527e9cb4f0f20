"""What `groundtune route` found on a run, in routing.json beside its matrix. Trains nothing."""

from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError

ROUTING = "routing.json"
ROUTING_FORMAT = 1


@dataclass(frozen=True, slots=True)
class RoutingNote:
    """Whether a router pays."""

    primary: str
    """Name of the score."""
    sentence: str
    adopted: bool


def write_routing(folder: Path, note: RoutingNote) -> None:
    write_json(folder / ROUTING, versioned(asdict(note), ROUTING_FORMAT))


def read_routing(folder: Path) -> RoutingNote | None:
    """Return what was found; None where no router was tried.

    Raises MissingError when the file is damaged, FormatError when another version of groundtune wrote it.
    """
    path = folder / ROUTING
    if not path.exists():
        return None
    values = check_version(read_json(path), path=path, supported=ROUTING_FORMAT, rebuild="groundtune route")
    try:
        return RoutingNote(**values)
    except TypeError as error:
        raise MissingError(f"{path} is damaged: {error}", hint="groundtune route") from None
