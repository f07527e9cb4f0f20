"""Define and validate the table [serve] of the project file. Starts nothing."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from groundtune.config.values import AsTuple, Fraction, Seconds, Section, Text, Texts, Url, Usd, value_error


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


class ShadowConfig(Section):
    """A second approach that answers a share of the questions as well, unseen."""

    approach: Text
    share: Annotated[Fraction, Field(gt=0)] = 0.1
    """Share of the answers of the project's choice that get such a second answer."""
    running: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Second answers that each worker works on at once."""
    waiting: Annotated[int, Field(ge=0, le=10_000)] = 16
    """Further ones that wait for their turn; those beyond are dropped."""
    busy: Annotated[int, Field(ge=1, le=10_000)] = 4
    """While a worker has this many requests at work, none is begun."""


class SplitConfig(Section):
    """A second approach that serves a share of the users or conversations."""

    approach: Text
    share: Annotated[Fraction, Field(gt=0)] = 0.1
    """Share of the callers or conversations that it serves."""
    by: Literal["caller", "conversation"] = "caller"
    """What stays with one approach: all that a caller asks, or one conversation of a caller."""


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
    jwks_url: Url | None = None
    """Address of the public keys by which signed tokens are checked; None: `jwks_file`, or no tokens."""
    jwks_file: Text | None = None
    """The same as a file, relative to the project."""
    issuer: Text | None = None
    """`iss` of the tokens."""
    audience: Text | None = None
    """`aud` of the tokens."""
    groups_claim: Text = "groups"
    """Claim with the access groups of the user; a path with dots where the claim is inside another."""
    user_claim: Text = "sub"
    """Claim with the name of the user."""
    leeway_seconds: Annotated[int, Field(ge=0, le=600)] = 30
    """How far the clocks of issuer and server may differ."""
    jwks_seconds: Annotated[int, Field(ge=60, le=604_800)] = 3_600
    """How long the keys of `jwks_url` are used while it cannot be reached."""
    groups: dict[Text, Annotated[tuple[Text, ...], AsTuple]] = Field(default_factory=dict)
    """Maps a user, as a token or a proxy names them, to further access groups."""
    operators: Texts = ()
    """Access groups whose members look after the project in a browser; none: only whoever needs no key."""
    audit: bool = True
    """Whether every answer is recorded."""
    audit_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Records that are older are deleted; None: none is."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that answer."""
    running: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Requests that each worker works on at once."""
    waiting: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Further requests that wait for their turn at a worker; those beyond get 429."""
    seconds: Seconds = 120
    """Time limit of one request, its waiting included."""
    budget_usd_per_day: Usd | None = None
    """Most that the answers of a day may cost together, in US dollars; None: no such budget."""
    when_spent: Literal["stop", "degrade"] = "stop"
    """Refuse requests when it is spent, or have the last approach of [fallback] answer them."""
    log_format: Literal["text", "json"] = "text"
    """How the log is written to stderr."""
    shadow: ShadowConfig | None = None
    split: SplitConfig | None = None

    @model_validator(mode="after")
    def _tokens(self) -> Self:
        given = [key for key in ("jwks_url", "jwks_file", "issuer", "audience") if getattr(self, key) is not None]
        if not given:
            return self
        if {"jwks_url", "jwks_file"} <= set(given):
            raise value_error("both jwks_url and jwks_file are set", hint="keep one of them", key="jwks_file")
        for key, example in (("issuer", "https://login.example.com"), ("audience", "groundtune")):
            if key not in given:
                message = f"tokens are checked only with an {key}: without it, tokens made for others would be let in"
                raise value_error(message, hint=f'write {key} = "{example}"', key=given[0])
        if not {"jwks_url", "jwks_file"} & set(given):
            hint = 'write jwks_url = "https://login.example.com/.well-known/jwks.json", or jwks_file'
            raise value_error("nothing says by which keys tokens are checked", hint=hint, key=given[0])
        return self

    @model_validator(mode="after")
    def _compared(self) -> Self:
        for key in ("shadow", "split"):
            if getattr(self, key) is not None and not self.audit:
                message = f"[serve.{key}] compares recorded answers, and none is recorded"
                raise value_error(message, hint=f"leave out [serve.{key}], or set audit = true", key="audit")
        return self

    @property
    def takes_tokens(self) -> bool:
        """Whether a signed token can say who asks."""
        return self.jwks_url is not None or self.jwks_file is not None
