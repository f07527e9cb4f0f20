"""Define and validate the table [serve] of the project file. Starts nothing."""

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from groundtune.config.values import AsTuple, Seconds, Section, Text, Url, value_error


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        message = f'"{value}" is no IP address and no network'
        raise value_error(message, hint='write it like "10.0.0.5" or "10.0.0.0/8"') from None
    return value


def _host(value: str) -> str:
    if "/" in value or (":" in value.strip("[]") and not value.startswith("[")):
        raise value_error(f'"{value}" is no host name', hint='write only the name, like "answers.example.com"')
    return value.lower()


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise value_error(f'"{value}" is no origin', hint='write scheme and host, like "https://chat.example.com"')
    return value


def _header(value: str) -> str:
    if not all(char.isascii() and (char.isalnum() or char in "-_") for char in value):
        raise value_error(f'"{value}" is no name of a header', hint='write it like "X-Groups"')
    return value


Header = Annotated[Text, AfterValidator(_header)]


class ServeConfig(Section):
    """How `groundtune serve` listens, whom it lets in, and how much it takes on at once."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090
    """0: any free port."""
    public_url: Url | None = None
    """Address under which clients reach the server, for links to passages; None: the one they asked."""
    hosts: Annotated[tuple[Annotated[Text, AfterValidator(_host)], ...], AsTuple] = ()
    """Further host names under which it answers; others are refused."""
    origins: Annotated[tuple[Annotated[Text, AfterValidator(_origin)], ...], AsTuple] = ()
    """Sites whose pages may use it from a browser."""
    proxies: Annotated[tuple[Annotated[Text, AfterValidator(_network)], ...], AsTuple] = ()
    """Addresses and networks of the proxies whose headers say who asks."""
    groups_header: Header = "X-Groundtune-Groups"
    """Header with the access groups of the user, separated by commas."""
    user_header: Header = "X-Groundtune-User"
    """Header with the name of the user."""
    audit: bool = True
    """Whether every answer is recorded."""
    audit_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Records that are older are deleted; None: none is."""
    running: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests that are worked on at once."""
    waiting: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Further requests that wait for their turn; those beyond get 429."""
    seconds: Seconds = 120
    """Time limit of one request, its waiting included."""
