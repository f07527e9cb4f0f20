"""Decide who sent a request, and with which access groups: by an API key, a signed token or a trusted proxy's header.

What does not prove itself is refused, never ignored: a wrong key, or the header of groups from anybody but a proxy.
"""

import asyncio
import ipaddress
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request

from groundtune.config.serve_table import ServeConfig
from groundtune.records.spending import Spending, Spent, period_end
from groundtune.serve.doors.keys import ApiKey, KeyFile
from groundtune.serve.doors.rate_limit import RateLimit
from groundtune.serve.doors.tokens import TokenCheck, is_token
from groundtune.serve.errors import ErrorReply, RequestRefusedError

COOKIE = "groundtune_key"
"""Cookie with the key of a browser, set by `sign_in.py`."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")
"""Host names under which this machine reaches itself."""
FOREIGN_SITES = ("cross-site", "same-site")
"""What browsers say of a request by the page of another origin, even where they name no origin."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    name: str
    groups: tuple[str, ...] = ()
    """Access groups; without any, only documents that are open to everyone."""
    key: str | None = None
    """Id of the API key."""


ANONYMOUS = Caller("anonymous")
UNNAMED = "unnamed"
"""A user whom the proxy gives groups and no name."""


class Doors:
    """The keys and settings that decide about requests.

    open: whether everybody is let in while no key was ever made, as on loopback. tokens: what checks signed tokens;
    None where none is taken.
    """

    def __init__(
        self,
        keys: KeyFile,
        settings: ServeConfig,
        *,
        open_: bool,
        spending: Spending,
        tokens: TokenCheck | None = None,
    ) -> None:
        self._keys = keys
        self._open = open_
        self._tokens = tokens
        self._spending = spending
        self._limit = RateLimit(keys.folder / "rates.sqlite")
        self._groups = settings.groups
        self._proxies = [ipaddress.ip_network(proxy) for proxy in settings.proxies]
        self._groups_header = settings.groups_header
        self._user_header = settings.user_header
        self.behind_https = bool(settings.public_url and settings.public_url.startswith("https:"))
        """Whether browsers reach the server by HTTPS, so that a cookie need never travel without."""
        self._origins = frozenset([*settings.origins, *([settings.public_url] if settings.public_url else [])])

    @property
    def lets_everybody_in(self) -> bool:
        """Whether nobody need prove anything: no key was ever made, no token is taken, only this machine is near."""
        return self._open and self._tokens is None and not self._keys.all()

    async def admit(self, request: Request) -> Caller:
        """Return the caller.

        Raises RequestRefusedError: 401 without a valid key or token, 403 for what is not allowed, 429 beyond the limits
        of a key, 503 while no token can be checked.
        """
        self.check_origin(request)
        secret = _secret(request)
        by_proxy = self._by_proxy(request)
        if secret and self._tokens and is_token(secret):
            identity = await self._tokens.identity(secret)
            return by_proxy or self._with_groups(Caller(identity.user, identity.groups))
        key = self._keys.find(secret) if secret else None
        if key is None and not self.lets_everybody_in and (secret or by_proxy is None):
            raise RequestRefusedError(_no_key(secret))
        if key is not None:
            await self._check_limits(key)
        if by_proxy is not None:
            return replace(by_proxy, key=key.id if key else None)
        return ANONYMOUS if key is None else Caller(key.name, key.groups, key.id)

    def admit_key(self, request: Request, secret: str) -> None:
        """Check the key of a sign-in. Raises RequestRefusedError."""
        self.check_origin(request)
        if self._keys.find(secret) is None:
            raise RequestRefusedError(_no_key(secret))

    async def _check_limits(self, key: ApiKey) -> None:
        """Count the request. Raises RequestRefusedError when the key has sent, or spent, as much as it may."""
        if key.per_minute is not None:
            self._limit.take(key.id, key.per_minute)
        if key.budget_usd is not None:
            spent = await asyncio.to_thread(self._spending.spent, key.id, key.budget_per)
            if problem := budget_problem(key, spent):
                raise RequestRefusedError(problem)

    def _with_groups(self, caller: Caller) -> Caller:
        """Return a user with the groups that the project file gives as well."""
        return replace(caller, groups=tuple(dict.fromkeys((*caller.groups, *self._groups.get(caller.name, ())))))

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
        return self._with_groups(Caller((users or [""])[0].strip() or UNNAMED, named))

    def _is_proxy(self, request: Request) -> bool:
        if request.client is None:
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def check_origin(self, request: Request) -> None:
        """Refuse what the page of another site sends in the name of whoever looks at it. Raises RequestRefusedError."""
        origin = request.headers.get("origin")
        if request.method in SAFE_METHODS or origin in self._origins:
            return
        if origin is None:
            is_foreign = request.headers.get("sec-fetch-site") in FOREIGN_SITES
        else:
            is_foreign = origin.partition("://")[2] != request.headers.get("host")
        if is_foreign:
            message = "this request comes from the page of another site; name it in [serve] origins to allow it"
            raise RequestRefusedError(ErrorReply(403, message, "permission_error", "other_origin"))


def _secret(request: Request) -> str | None:
    """Return the key that a request presents: as bearer token, else as cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.cookies.get(COOKIE)


def budget_problem(key: ApiKey, spent: Spent) -> ErrorReply | None:
    """Return why a key may spend no more; None while it may."""
    if key.budget_usd is None or (spent.is_enforceable and spent.usd < key.budget_usd):
        return None
    now = datetime.now(UTC)
    seconds = math.ceil((period_end(key.budget_per, now) - now).total_seconds())
    budget = f"the budget of this key, ${key.budget_usd:,.2f} a {key.budget_per},"
    if spent.is_enforceable:
        message = f"{budget} is spent" + (f"; {spent.unknown:,} answers count as estimated" if spent.unknown else "")
    else:
        message = f"{budget} cannot be kept: nobody knows what its answers cost; prices are set under [prices]"
    headers = {"Retry-After": str(seconds)}
    return ErrorReply(429, message, "insufficient_quota", "insufficient_quota", headers=headers)


def _no_key(secret: str | None) -> ErrorReply:
    message = "this API key is not valid" if secret else "an API key is needed: Authorization: Bearer …"
    headers = {"WWW-Authenticate": "Bearer"}
    return ErrorReply(401, message, "authentication_error", "invalid_api_key", headers=headers)


def allowed_hosts(settings: ServeConfig) -> list[str]:
    """Return the host names under which the server answers."""
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    return [*LOOPBACK_NAMES, settings.host, *settings.hosts, *([public] if public else [])]


async def caller_of(request: Request) -> Caller:
    """Return the caller of a request, as the doors of its app decide."""
    doors: Any = request.app.state.doors
    assert isinstance(doors, Doors)
    return await doors.admit(request)


From = Annotated[Caller, Depends(caller_of)]
"""Parameter of an endpoint: who sent the request."""
