"""Keep the API keys of a server: made, found and revoked, in `.groundtune/keys.json`. Never keeps the key itself.

A key is 256 random bits, so that a plain SHA-256 of it can be neither guessed nor reversed.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError, UsageError
from groundtune.records.spending import Period
from groundtune.workspace import Workspace

FORMAT_VERSION = 2
"""1 knew no budgets."""
PREFIX = "gt-"
SECRET_BYTES = 32
LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key."""

    id: str
    name: str
    """Whose it is; unique among the keys that are not revoked."""
    digest: str
    """SHA-256 of the key, 64 hex digits."""
    groups: tuple[str, ...] = ()
    """Access groups of whoever has it."""
    per_minute: int | None = None
    """Most requests a minute; None: no limit of its own."""
    budget_usd: float | None = None
    """Most that its answers may cost in a period, in US dollars; None: no budget of its own."""
    budget_per: Period = "month"
    made: str = ""
    """ISO 8601, UTC."""
    revoked: str | None = None
    """When it was revoked; None while it is valid."""


class KeyFile:
    """The keys of a project. Changes by other processes are seen at once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.folder = workspace.folder
        self._path = workspace.folder / "keys.json"
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    def all(self) -> tuple[ApiKey, ...]:
        """Return all keys, revoked ones included, oldest first. Raises MissingError when the file is damaged."""
        signature = _signature(self._path)
        if signature != self._seen:
            self._keys = _read(self._path) if signature else ()
            self._seen = signature
        return self._keys

    def find(self, secret: str) -> ApiKey | None:
        """Return the valid key of a secret."""
        digest = _digest(secret)
        return next((key for key in self.all() if key.revoked is None and key.digest == digest), None)

    def create(
        self,
        name: str,
        *,
        groups: Sequence[str] = (),
        per_minute: int | None = None,
        budget_usd: float | None = None,
        budget_per: Period = "month",
    ) -> tuple[ApiKey, str]:
        """Add a key; return it with its secret, which nobody can show again. Raises UsageError for a name in use."""
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        limits = (tuple(groups), per_minute, budget_usd, budget_per)
        key = ApiKey(secrets.token_hex(4), name, _digest(secret), *limits, _now())
        with self._workspace.lock("api-keys", timeout_seconds=LOCK_SECONDS, action="is changing the keys of"):
            keys = self.all()
            if any(each.name == name and each.revoked is None for each in keys):
                raise UsageError(f"there is a key named {name!r}", hint=f"groundtune keys revoke {name}")
            self._write([*keys, key])
        return key, secret

    def revoke(self, name: str) -> ApiKey:
        """Make a key invalid, given its name or id. Raises MissingError when no valid key has it."""
        with self._workspace.lock("api-keys", timeout_seconds=LOCK_SECONDS, action="is changing the keys of"):
            keys = list(self.all())
            at = next((at for at, key in enumerate(keys) if key.revoked is None and name in (key.name, key.id)), None)
            if at is None:
                raise MissingError(f"no valid key named {name!r}", hint="groundtune keys list")
            keys[at] = replace(keys[at], revoked=_now())
            self._write(keys)
        return keys[at]

    def _write(self, keys: Sequence[ApiKey]) -> None:
        self._path.touch(mode=0o600)  # the mode is kept when the file is replaced
        write_json(self._path, versioned({"keys": [asdict(key) for key in keys]}, FORMAT_VERSION))


def shown(key: ApiKey) -> dict[str, Any]:
    """Return what may be shown of a key: all but its digest."""
    return {name: value for name, value in asdict(key).items() if name != "digest"}


def _read(path: Path) -> tuple[ApiKey, ...]:
    values = check_version(read_json(path), path=path, supported=FORMAT_VERSION, rebuild="groundtune keys create")
    try:
        return tuple(_key(row) for row in values["keys"])
    except (KeyError, TypeError) as error:
        raise MissingError(f"{path} is damaged: {error}", hint="delete it, then groundtune keys create") from None


def _key(row: dict[str, Any]) -> ApiKey:
    return ApiKey(**{**row, "groups": tuple(row["groups"])})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    return info.st_size, info.st_mtime_ns, info.st_ino
