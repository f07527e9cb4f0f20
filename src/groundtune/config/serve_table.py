"""Define and validate the table [serve] of the project file. Starts nothing."""

from typing import Annotated

from pydantic import Field

from groundtune.config.values import Seconds, Section, Text, Url


class ServeConfig(Section):
    """How `groundtune serve` listens, and how much it takes on at once."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    """0: any free port."""
    public_url: Url | None = None
    """Address under which clients reach the server, for links to passages; None: the one they asked."""
    running: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests that are worked on at once."""
    waiting: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Further requests that wait for their turn; those beyond get 429."""
    seconds: Seconds = 120
    """Time limit of one request, its waiting included."""
