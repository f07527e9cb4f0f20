"""Check signed tokens (JWT), and say which user with which groups they name. Trusts no token before its signature.

Only asymmetric algorithms are taken, each with keys of its own kind, so that nobody can sign with a public key.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from jwt import PyJWK, PyJWKClient, PyJWKSet

from groundtune.config.serve_table import ServeConfig
from groundtune.errors import MissingError, UsageError
from groundtune.models.openai_client import is_local
from groundtune.project import Project
from groundtune.serve.errors import ErrorReply, RequestRefusedError

ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""Maps the kind of a key to the algorithms that it is used with."""
LONGEST_TOKEN = 16_384
"""Characters of a token; longer ones are not looked at."""
LONGEST_NAME = 256
REFRESH_SECONDS = 300.0
"""Age at which the keys of an address are fetched again."""
RETRY_SECONDS = 30.0
"""How long after a fetch, good or not, an unknown key or an address that is down causes no other."""
FETCH_SECONDS = 5.0
REASONS: Mapping[type[jwt.InvalidTokenError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidIssuedAtError: "it was issued in the future",
    jwt.InvalidIssuerError: "another issuer made it",
    jwt.InvalidAudienceError: "it was made for another audience",
    jwt.MissingRequiredClaimError: "it lacks a claim",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidAlgorithmError: "its algorithm is not that of the key",
}
"""What a client is told; everything else is "it cannot be read"."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token names."""

    user: str
    groups: tuple[str, ...]


class TokenCheck:
    """Checks tokens with the keys of an issuer. For one event loop."""

    def __init__(self, settings: ServeConfig, root: Path) -> None:
        self._settings = settings
        self._keys = _KeysOfFile(root / settings.jwks_file) if settings.jwks_file else _KeysOfAddress(settings)

    async def identity(self, token: str) -> Identity:
        """Return whom the token names. Raises RequestRefusedError: 401 when it is not valid, 503 without any keys."""
        name = _header(token).get("kid")
        if name is not None and (not isinstance(name, str) or len(name) > LONGEST_NAME):
            raise _invalid("its key has no usable name")
        key = await self._keys.find(name)
        if key is None:
            raise _invalid("it is signed with a key that its issuer does not publish")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_seconds,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.InvalidTokenError as error:
            raise _invalid(REASONS.get(type(error), "it cannot be read")) from None
        except (ValueError, TypeError):  # of the library of the signatures
            raise _invalid("it cannot be read") from None
        return _identity(claims, self._settings)


def make_token_check(project: Project) -> TokenCheck:
    """Return the check of a project. Raises MissingError without usable keys in a file, UsageError for an address."""
    settings, residency = project.config.serve, project.config.requirements.residency
    host = urlsplit(settings.jwks_url or "").hostname
    if settings.jwks_url and not (residency is None or is_local(settings.jwks_url) or host in residency):
        raise UsageError(
            f"requirements.residency does not allow a connection to {host}", hint="save its keys as [serve] jwks_file"
        )
    return TokenCheck(settings, project.root)


def is_token(secret: str) -> bool:
    """Whether a bearer token has the form of a JWT: three parts, of which the first is an object."""
    return secret.startswith("eyJ") and secret.count(".") == 2


def _header(token: str) -> dict[str, Any]:
    if len(token) > LONGEST_TOKEN:
        raise _invalid(f"it is longer than {LONGEST_TOKEN:,} characters")
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise _invalid("it cannot be read") from None


def _identity(claims: Mapping[str, Any], settings: ServeConfig) -> Identity:
    user = _claim(claims, settings.user_claim)
    if not isinstance(user, str) or not user.strip():
        raise _invalid(f"its claim {settings.user_claim} names nobody")
    if settings.user_claim == "email" and claims.get("email_verified") is False:
        raise _invalid("its e-mail address is not verified")
    return Identity(user, _texts(_claim(claims, settings.groups_claim), settings.groups_claim))


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, or by a path of names with dots; None where it is absent."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any, claim: str) -> tuple[str, ...]:
    """Return the groups of a claim: a list of texts, or one text with commas or spaces between them."""
    if value is None:
        return ()
    values: Sequence[Any] = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise _invalid(f"its claim {claim} is no list of texts")
    return tuple(dict.fromkeys(each for each in values if each))


# -- keys --------------------------------------------------------------------------------------------------------------


class _KeysOfFile:
    """The keys in a file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[PyJWK, ...] = ()
        self._read()  # a mistake in the file is told at the start

    async def find(self, name: str | None) -> PyJWK | None:
        try:
            self._read()
        except MissingError as error:
            log.warning("%s; the keys before are used", error.message)
        return _named(self._keys, name)

    def _read(self) -> None:
        try:
            info = self._path.stat()
            if (seen := (info.st_mtime_ns, info.st_ino)) != self._seen:
                self._keys = _signing_keys(PyJWKSet.from_json(self._path.read_text(encoding="utf-8")))
                self._seen = seen
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingError(f"cannot read {self._path}: {reason}", hint="mend [serve] jwks_file") from None
        except (ValueError, jwt.PyJWTError) as error:
            raise MissingError(f"{self._path} holds no keys: {error}", hint="mend [serve] jwks_file") from None


class _KeysOfAddress:
    """The keys that an issuer publishes, kept in memory. Whoever sends unknown keys causes few fetches."""

    def __init__(self, settings: ServeConfig) -> None:
        assert settings.jwks_url is not None
        self._client = PyJWKClient(settings.jwks_url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._longest = float(settings.jwks_seconds)
        self._keys: tuple[PyJWK, ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, name: str | None) -> PyJWK | None:
        if _age(self._fetched) >= REFRESH_SECONDS:
            await self._fetch(self._fetched)
        if _age(self._fetched) >= self._longest:
            message = "the keys of the issuer cannot be reached, so no token can be checked"
            headers = {"Retry-After": str(int(RETRY_SECONDS))}
            raise RequestRefusedError(ErrorReply(503, message, "server_error", "no_token_keys", headers=headers))
        key = _named(self._keys, name)
        if key is None:  # the issuer may have new ones
            await self._fetch(self._fetched)
            key = _named(self._keys, name)
        return key

    async def _fetch(self, seen: float | None) -> None:
        """Fetch the keys, unless that was just tried, or somebody else did while this request waited."""
        async with self._fetching:
            if self._fetched != seen or _age(self._tried) < RETRY_SECONDS:
                return
            self._tried = time.monotonic()
            try:
                keys = _signing_keys(await asyncio.to_thread(self._client.get_jwk_set))
            except (jwt.PyJWTError, ValueError, OSError) as error:
                log.warning("the keys of %s cannot be fetched: %s", self._client.uri, error)
                return
            self._keys, self._fetched = keys, time.monotonic()


def _age(moment: float | None) -> float:
    return float("inf") if moment is None else time.monotonic() - moment


def _signing_keys(keys: PyJWKSet) -> tuple[PyJWK, ...]:
    """Return the keys that sign with a public half; others, such as shared secrets, are left aside."""
    return tuple(
        key
        for key in keys.keys
        if key.algorithm_name in ALGORITHMS.get(key.key_type or "", ()) and key.public_key_use in ("sig", None)
    )


def _named(keys: Sequence[PyJWK], name: str | None) -> PyJWK | None:
    """Return the key of a name; without one, the only key there is."""
    if name is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.key_id == name), None)


def _invalid(reason: str) -> RequestRefusedError:
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    message = f"this token is not valid: {reason}"
    return RequestRefusedError(ErrorReply(401, message, "authentication_error", "invalid_token", headers=headers))
