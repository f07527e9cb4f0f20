"""Digest the code of an object, to recognise that it would behave as before."""

import inspect
import uuid

from groundtune.common.files import digest_text


def code_digest(value: object) -> str:
    """Return a digest of a function or object: its own `digest` if it has one, else its source text and attributes.

    Returns a new one each time when the source is unknown, as for code typed at a prompt.
    """
    own = getattr(value, "digest", None)
    if isinstance(own, str):
        return own
    definition = value if inspect.isroutine(value) else type(value)
    try:
        source = inspect.getsource(definition)
    except (OSError, TypeError):
        return uuid.uuid4().hex
    attributes = "" if inspect.isroutine(value) else repr(sorted(getattr(value, "__dict__", {}).items()))
    return digest_text(f"{source}\n{attributes}")
