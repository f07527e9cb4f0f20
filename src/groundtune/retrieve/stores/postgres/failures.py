"""Turn errors of asyncpg into errors of groundtune. Messages name the server and database, never a user or password."""

import contextlib
import os
import re
from collections.abc import Iterator

from groundtune.errors import BusyError, MissingError, ProviderError, need
from groundtune.retrieve.stores.postgres.address import EXAMPLE


@contextlib.contextmanager
def connecting(where: str) -> Iterator[None]:
    """Translate what goes wrong while a connection is opened. `from None`: the original may quote the address."""
    pg = need("asyncpg", extra="postgres")
    try:
        yield
    except TimeoutError:
        raise ProviderError(
            f"the database at {where} does not answer", kind="timeout", retryable=True, hint="check host and port"
        ) from None
    except (pg.InvalidPasswordError, pg.InvalidAuthorizationSpecificationError):
        raise ProviderError(
            f"the database at {where} refuses the user or the password",
            kind="bad_key",
            hint="check user and password in the database's URL",
        ) from None
    except pg.InvalidCatalogNameError:
        raise MissingError(f"there is no such database: {where}", hint="create it, or correct the URL") from None
    except (pg.TooManyConnectionsError, pg.CannotConnectNowError) as error:
        raise ProviderError(
            f"the database at {where} accepts no connection now: {error.args[0]}", kind="server", retryable=True
        ) from None
    except pg.PostgresError as error:
        raise ProviderError(f"the database at {where} refuses the connection: {error.args[0]}", kind="server") from None
    except ValueError:
        raise MissingError(f"the URL of the database at {where} is wrong", hint=f"the form is {EXAMPLE}") from None
    except OSError as error:
        numbers = [error.errno] if error.errno else [int(number) for number in re.findall(r"Errno (\d+)", str(error))]
        reason = os.strerror(numbers[0]).lower() if numbers and numbers[0] > 0 else "no such host"
        raise ProviderError(
            f"cannot reach the database at {where}: {reason}",
            kind="no_server",
            retryable=True,
            hint="check that it runs and that host and port are right",
        ) from None


@contextlib.contextmanager
def working(where: str) -> Iterator[None]:
    """Translate what goes wrong while a connection is used."""
    pg = need("asyncpg", extra="postgres")
    try:
        yield
    except (TimeoutError, pg.QueryCanceledError) as error:
        raise ProviderError(
            f"the database at {where} took too long", kind="timeout", retryable=True, hint="try again"
        ) from error
    except lost_connection() as error:
        if not is_lost(error):
            raise
        raise ProviderError(
            f"the connection to the database at {where} was lost", kind="no_server", retryable=True, hint="try again"
        ) from error
    except (pg.UndefinedTableError, pg.InvalidSchemaNameError) as error:
        raise BusyError(
            f"this generation of the index is no longer in the database at {where}: it was rebuilt", hint="try again"
        ) from error
    except pg.InsufficientPrivilegeError as error:
        raise MissingError(
            f"the database at {where} does not allow this: {error.args[0]}",
            hint="ask an administrator to grant the permission",
        ) from error
    except pg.ReadOnlySQLTransactionError as error:
        raise MissingError(
            f"the database at {where} is read-only", hint="name the primary server, not a replica"
        ) from error
    except pg.InsufficientResourcesError as error:
        raise ProviderError(
            f"the database at {where} lacks resources: {error.args[0]}",
            kind="server",
            hint="free some space or memory on its server and try again",
        ) from error
    except pg.PostgresError as error:
        raise ProviderError(f"the database at {where} failed: {error.args[0]}", kind="server") from error


def lost_connection() -> tuple[type[Exception], ...]:
    """Return the errors that may mean: this connection is gone, and another one may work. See `is_lost`."""
    pg = need("asyncpg", extra="postgres")
    return (
        pg.PostgresConnectionError,
        pg.InterfaceError,
        pg.AdminShutdownError,
        pg.CrashShutdownError,
        pg.CannotConnectNowError,
        pg.IdleSessionTimeoutError,
        pg.IdleInTransactionSessionTimeoutError,
        OSError,
    )


def is_lost(error: Exception) -> bool:
    """Whether an error of `lost_connection` means that. asyncpg also raises InterfaceError for wrong arguments."""
    if isinstance(error, TimeoutError):
        return False
    if isinstance(error, need("asyncpg", extra="postgres").InterfaceError):
        return "closed" in str(error) or "closing" in str(error)
    return True
