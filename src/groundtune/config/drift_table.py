"""Define and validate the table [drift] of the project file. Compares nothing."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from groundtune.config.values import Section, value_error

FEWEST = 6
"""With so many answers worse, and none better, p is 2 / 2**6."""


class DriftConfig(Section):
    """What `groundtune drift` compares."""

    days: Annotated[int, Field(ge=1, le=3_650)] = 7
    """Recent answers are those of so many days."""
    earlier_days: Annotated[int, Field(ge=1, le=3_650)] = 28
    """Days before these, whose answers they are compared with."""
    canary: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Examples of the test split that are asked again each time; 0: none is."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if 0 < self.canary < FEWEST:
            message = f"no change of fewer than {FEWEST} answers is measurable"
            raise value_error(message, hint="write canary = 20, or 0 for none", key="canary")
        return self
