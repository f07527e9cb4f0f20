"""Digest the code of an object, to recognise that it would behave as before."""

import inspect
import uuid
from typing import Any

from groundtune.common.files import digest_text


def code_digest(value: object) -> str:
    """Return a digest of a function, class or object: its `digest` if it has one, else its source text and attributes.

    Returns a new one each time when the source is unknown, as for code typed at a prompt.
    """
    own = getattr(value, "digest", None)
    if isinstance(own, str) and not inspect.isclass(value):
        return own
    is_definition = inspect.isroutine(value) or inspect.isclass(value)
    definition: Any = value if is_definition else type(value)
    try:
        source = inspect.getsource(definition)
    except (OSError, TypeError):
        return uuid.uuid4().hex
    attributes = "" if is_definition else repr(sorted(getattr(value, "__dict__", {}).items()))
    return digest_text(f"{source}\n{attributes}")
