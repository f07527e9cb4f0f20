"""Find the parameter for which a server refuses a request, by asking again without it. Pure; sends nothing itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.models.server_errors import ServerError, is_overflow

Body = Mapping[str, Any]
Alternatives = Mapping[str, Sequence[str | None]]
"""Parameters that a server may refuse, each with the names to try instead, in order; None omits the parameter."""
Refused = Mapping[str, str | None]
"""Parameters that a server refuses, with the name that it takes instead; None when it takes none."""


@dataclass(slots=True)
class CallerChoices:
    """Parameters of one request whose values its caller chose: a refusal may be of the value, and is not remembered."""

    names: frozenset[str] = frozenset()
    omitted: set[str] = field(default_factory=set)
    """Those that were omitted in the end; filled in by the request."""

    def note_omitted(self, refused: Refused) -> None:
        """Note which choices a request that succeeded left out."""
        self.omitted = {name for name in self.names if refused.get(name, name) is None}


REFUSALS = frozenset({400, 404, 405, 406, 415, 422, 501})
"""Statuses that may be about a parameter."""
UNRELATED_CODES = frozenset({"content_filter", "model_not_found", "invalid_api_key"})
_ABOUT_FORMAT = re.compile(r"grammar|schema|format|stream", re.IGNORECASE)
_ABOUT_LOGPROBS = re.compile(r"log[_ ]?prob", re.IGNORECASE)
_VARYING = re.compile(r"[0-9a-f-]{8,}|\d+", re.IGNORECASE)
"""Parts of an error that differ from request to request."""


def may_refuse_parameter(error: ServerError) -> bool:
    """Whether the server may refuse a parameter rather than what was asked, so that asking again may help."""
    if error.code in UNRELATED_CODES or is_overflow(error):
        return False
    if error.status == 403:  # OpenAI, of models that may not tell them
        return bool(_ABOUT_LOGPROBS.search(error.words))
    return error.status in REFUSALS or (error.status == 500 and bool(_ABOUT_FORMAT.search(error.words)))


def fixed_words(error: ServerError) -> str:
    """Return the words without numbers and ids: the same error has the same ones."""
    return _VARYING.sub("#", error.words)


def suspects(
    body: Body, optional: Alternatives, refused: Refused, error: ServerError
) -> Iterator[tuple[str, str | None]]:
    """Yield parameters with their next alternative: those that the error names first, the longest of them first.

    The order saves requests and decides nothing.
    """
    patterns = {name: rf"\b{name.replace('_', '[_ ]')}\b" for name in optional}  # "does not support response format"
    patterns |= {"stream": r"\b[Ss]tream(?:ing)?\b"}
    is_named = {name: error.parameter == name or bool(re.search(patterns[name], error.words)) for name in optional}
    for name in sorted((name for name in optional if name in body), key=lambda name: (not is_named[name], -len(name))):
        names = optional[name]
        for other in names[names.index(refused[name]) + 1 if name in refused else 0 :]:
            yield name, other


def adapted(body: Body, refused: Refused) -> Body:
    """Return the body without the refused parameters, or with their other names."""
    names = {name: refused.get(name, name) for name in body}
    if names.get("stream", "stream") is None:
        names["stream_options"] = None
    if names.get("logprobs", "logprobs") is None:
        names["top_logprobs"] = None
    return {new: body[name] for name, new in names.items() if new is not None and name in body}
