"""Decide who sent a request, and with which access groups: by an API key, or by the header of a trusted proxy.

What does not prove itself is refused, never ignored: a wrong key, or the header of groups from anybody but a proxy.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request

from groundtune.config.serve_table import ServeConfig
from groundtune.serve.errors import ErrorReply, RequestRefusedError
from groundtune.serve.keys import KeyFile
from groundtune.serve.rate_limit import RateLimit

COOKIE = "groundtune_key"
"""Cookie with the key of a browser, set by `sign_in.py`."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    name: str
    groups: tuple[str, ...] = ()
    """Access groups; without any, only documents that are open to everyone."""
    key: str | None = None
    """Id of the API key."""


ANONYMOUS = Caller("anonymous")


class Doors:
    """The keys and settings that decide about requests.

    open: whether everybody is let in while no key was ever made, as on loopback.
    """

    def __init__(self, keys: KeyFile, settings: ServeConfig, *, open_: bool) -> None:
        self._keys = keys
        self._open = open_
        self._limit = RateLimit()
        self._proxies = [ipaddress.ip_network(proxy) for proxy in settings.proxies]
        self._groups_header = settings.groups_header
        self._user_header = settings.user_header
        self.behind_https = bool(settings.public_url and settings.public_url.startswith("https:"))
        """Whether browsers reach the server by HTTPS, so that a cookie need never travel without."""
        self._origins = frozenset([*settings.origins, *([settings.public_url] if settings.public_url else [])])

    @property
    def lets_everybody_in(self) -> bool:
        """Whether no key is needed: none was ever made, and only this machine reaches the server."""
        return self._open and not self._keys.all()

    def admit(self, request: Request) -> Caller:
        """Return the caller. Raises RequestRefusedError: 401 without a valid key, 403 for what is not allowed."""
        self._check_origin(request)
        secret = _secret(request)
        key = self._keys.find(secret) if secret else None
        by_proxy = self._by_proxy(request)
        if key is None and not self.lets_everybody_in and (secret or by_proxy is None):
            raise RequestRefusedError(_no_key(secret))
        if key is not None and key.per_minute is not None:
            self._limit.take(key.id, key.per_minute)
        if by_proxy is not None:
            return Caller(by_proxy.name, by_proxy.groups, key.id if key else None)
        return ANONYMOUS if key is None else Caller(key.name, key.groups, key.id)

    def admit_key(self, request: Request, secret: str) -> None:
        """Check the key of a sign-in. Raises RequestRefusedError."""
        self._check_origin(request)
        if self._keys.find(secret) is None:
            raise RequestRefusedError(_no_key(secret))

    def _by_proxy(self, request: Request) -> Caller | None:
        """Return the user that a trusted proxy names; None when the request has no header of groups or of a user."""
        groups = request.headers.getlist(self._groups_header)
        users = request.headers.getlist(self._user_header)
        if not groups and not users:
            return None
        if not self._is_proxy(request):
            message = f"the headers {self._groups_header} and {self._user_header} are taken from [serve] proxies alone"
            raise RequestRefusedError(ErrorReply(403, message, "permission_error", "untrusted_header"))
        if len(groups) > 1 or len(users) > 1:
            message = f"{self._groups_header} or {self._user_header} was sent twice: the proxy must replace it"
            raise RequestRefusedError(ErrorReply(400, message, code="ambiguous_header"))
        named = tuple(group.strip() for group in (groups or [""])[0].split(",") if group.strip())
        return Caller((users or [""])[0].strip() or "unnamed", named)

    def _is_proxy(self, request: Request) -> bool:
        if request.client is None:
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def _check_origin(self, request: Request) -> None:
        """Refuse what the page of another site sends in the name of whoever looks at it."""
        origin = request.headers.get("origin")
        if request.method in SAFE_METHODS or origin is None or origin in self._origins:
            return
        if origin.partition("://")[2] != request.headers.get("host"):
            message = "this request comes from the page of another site; name it in [serve] origins to allow it"
            raise RequestRefusedError(ErrorReply(403, message, "permission_error", "other_origin"))


def _secret(request: Request) -> str | None:
    """Return the key that a request presents: as bearer token, else as cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.cookies.get(COOKIE)


def _no_key(secret: str | None) -> ErrorReply:
    message = "this API key is not valid" if secret else "an API key is needed: Authorization: Bearer …"
    headers = {"WWW-Authenticate": "Bearer"}
    return ErrorReply(401, message, "authentication_error", "invalid_api_key", headers=headers)


def allowed_hosts(settings: ServeConfig, loopback: Sequence[str]) -> list[str]:
    """Return the host names under which the server answers."""
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    return [*loopback, settings.host, *settings.hosts, *([public] if public else [])]


def caller_of(request: Request) -> Caller:
    """Return the caller of a request, as the doors of its app decide."""
    doors: Any = request.app.state.doors
    assert isinstance(doors, Doors)
    return doors.admit(request)


From = Annotated[Caller, Depends(caller_of)]
"""Parameter of an endpoint: who sent the request."""
