"""Refuse questions of users who may not read what a model was trained on."""

from collections.abc import Collection, Sequence

from groundtune.errors import AccessError
from groundtune.protocols import Approach
from groundtune.types import Answer, Question


class GroupGate:
    """`Approach` that asks another one, for users who may read everything it was trained on.

    readers: for each restricted text, the groups that may read it; a user needs one group of each.
    """

    def __init__(self, approach: Approach, readers: Sequence[Collection[str]]) -> None:
        self.name = approach.name
        self._approach = approach
        self._readers = [frozenset(groups) for groups in readers]

    async def prepare(self, question: Question) -> None:
        """Do the one-time setup of the approach, if it has any."""
        if prepare := getattr(self._approach, "prepare", None):
            await prepare(question)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises AccessError when the user may not read what the model was trained on."""
        self._admit(question)
        return await self._approach.answer(question)

    def _admit(self, question: Question) -> None:
        if any(groups.isdisjoint(question.scope.groups) for groups in self._readers):
            raise AccessError(
                f"{self.name} was trained on documents that this user may not read",
                hint="ask another approach, or name the groups of the user",
            )
