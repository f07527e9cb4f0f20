"""Read the address of a database, and name the database without the user and the password. Opens no connection."""

import os
from urllib.parse import parse_qs, unquote, urlsplit

from groundtune.errors import MissingError

SCHEMES = ("postgresql", "postgres")
EXAMPLE = "postgresql://user:password@host:5432/database"


def read_dsn(variable: str) -> str:
    """Return the address in an environment variable. Raises MissingError if it is not set or not an address."""
    dsn = os.environ.get(variable, "").strip()
    if not dsn:
        raise MissingError(
            f"the environment variable {variable} with the address of the database is not set",
            hint=f"export {variable}={EXAMPLE}",
        )
    check_dsn(dsn)
    return dsn


def check_dsn(dsn: str) -> None:
    """Raise MissingError unless the text is the URL of a PostgreSQL database. Never shows the text."""
    scheme, separator, _ = dsn.partition("://")
    if separator and scheme in SCHEMES:
        return
    if separator and scheme.partition("+")[0] in SCHEMES:  # as SQLAlchemy writes it
        raise MissingError(
            "the address of the database names a driver", hint=f"write postgresql:// instead of {scheme}://"
        )
    raise MissingError("the address of the database is not a PostgreSQL URL", hint=f"the form is {EXAMPLE}")


def place(dsn: str) -> str:
    """Return host, port and database of a URL: `db.example:5432/app`."""
    try:
        parts = urlsplit(dsn)
        query = parse_qs(parts.query)
    except ValueError:
        return "the database"
    hosts = ",".join(query.get("host", [])) or unquote(parts.netloc.rpartition("@")[2])
    port = f":{query['port'][0]}" if "port" in query else ""
    database = unquote(parts.path.removeprefix("/")) or ",".join(query.get("dbname", query.get("database", [])))
    return f"{hosts or 'localhost'}{port}/{database}"
