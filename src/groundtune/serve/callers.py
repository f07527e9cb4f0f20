"""Say who asks: the name for records, and the access groups that every search is held to."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    name: str
    groups: tuple[str, ...] = ()
    """Access groups; without any, only documents that are open to everyone."""


def caller_of() -> Caller:
    """Return the caller of a request: on loopback everybody is the same one."""
    return Caller("anonymous")


From = Annotated[Caller, Depends(caller_of)]
"""Parameter of an endpoint: who sent the request."""
