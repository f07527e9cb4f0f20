"""Draw which of two approaches serves a request, where `[serve.split]` divides those who ask. Asks no model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.build.approach_registry import default_approach
from groundtune.common.drawing import place_of, unit_of
from groundtune.errors import AccessError, GroundtuneError, QuestionError
from groundtune.project import Project
from groundtune.serve.doors.callers import Caller
from groundtune.types import Message, Sampling

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draw:
    """What was drawn for a request; the fields are the key `split` of its record."""

    choice: str
    second: str
    share: float
    by: str
    drawn: str
    """The approach that serves it: one of the two."""


class Splitting:
    """Draws by who asks, so that a caller or a conversation has the same approach in every process and every time."""

    def __init__(self) -> None:
        self._lacks: str | None = None
        """Why the second approach could not be asked when that was last tried."""

    async def draw(
        self, project: Project, caller: Caller, question: str, history: Sequence[Message], sampling: Sampling | None
    ) -> Draw | None:
        """Draw for a question to the project's choice; None where nothing is split, or the second cannot be asked.

        Whoever may not ask the second approach takes no part on either side, since the two would not compare.
        """
        split, choice = project.config.serve.split, default_approach(project.config)
        if split is None or split.approach == choice:
            return None
        try:
            await project.arequire(split.approach, groups=caller.groups, sampling=sampling)
        except (AccessError, QuestionError):
            return None
        except GroundtuneError as error:
            if error.message != self._lacks:
                log.warning("[serve.split] is not used, as %s cannot be asked: %s", split.approach, error.message)
            self._lacks = error.message
            return None
        self._lacks = None
        unit = unit_of(split.by, caller.name, caller.key, history[0].content if history else question)
        is_second = place_of(f"split {split.approach} {unit}") < split.share
        return Draw(choice, split.approach, split.share, split.by, split.approach if is_second else choice)
