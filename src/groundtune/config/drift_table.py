"""Define and validate the table [drift] of the project file. Compares nothing."""

from typing import Annotated

from pydantic import Field

from groundtune.config.values import Section


class DriftConfig(Section):
    """What `groundtune drift` compares."""

    days: Annotated[int, Field(ge=1, le=3_650)] = 7
    """Recent answers are those of so many days."""
    earlier_days: Annotated[int, Field(ge=1, le=3_650)] = 28
    """Days before these, whose answers they are compared with."""
    canary: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Examples of the test split that are asked again each time; 0: none is."""
