"""Keep the answers given to `groundtune advise`, and say what the guides make of them and of the folder."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundtune.advice.guides import Opinion, apply_guide, published_guides, team_guides
from groundtune.advice.situation import read_situation
from groundtune.common.files import write_atomic
from groundtune.errors import GroundtuneError
from groundtune.project.surroundings import look_around

log = logging.getLogger(__name__)

KEPT = Path(".groundtune/advice.json")
"""File with the answers so far, below the folder."""


def kept_answers(root: Path) -> dict[str, Any]:
    """Return the answers of last time; none when there are none that can be read."""
    try:
        kept = json.loads((root / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def keep_answers(root: Path, answers: Mapping[str, Any]) -> None:
    write_atomic(root / KEPT, json.dumps(answers, indent=2) + "\n")


def guide_opinions(root: Path) -> list[Opinion]:
    """Return what each guide says of a project, by the kept answers and by what its folder shows.

    A guide or an answer that cannot be read stops no comparison: there are no opinions then, and the log says why.
    """
    try:
        situation = read_situation({**look_around(root).answers, **kept_answers(root)}, origin=str(root / KEPT))
        return [apply_guide(guide, situation) for guide in (*published_guides(), *team_guides(root))]
    except GroundtuneError as error:
        log.warning("guides are left out of the report: %s", error.message)
        return []
