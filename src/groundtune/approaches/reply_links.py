"""Keep a reply from loading or naming addresses that it was not given. Never reads an address.

Whoever plants an instruction in a document could have a page, a chat window or a reader carry text to their server.

An address that is in none of the texts of the prompt is left out. Images, and HTML that loads something, become text,
whatever their address: they are fetched without a click. The delimiters of passages, which small models repeat, go too.
A text that only quotes is not given to it: it stays word for word, and `serve/api/markdown.py` makes it harmless to
show.
"""

import re
from collections.abc import Iterable

from groundtune.common.foreign_text import PASSAGE
from groundtune.common.loading_signs import IMAGE, TAG, UNFINISHED
from groundtune.common.streamed_replacement import StreamedReplacement

REMOVED = "[link removed]"
WARNING = "an address that is in no passage was left out of the answer"

_REST = r"[#$%&*+,\-./0-9:;=?@A-Z_a-z~]"
"""Characters of an address; brackets, quotes and spaces end it, for the texts of the prompt as well."""
_SIGNS = re.compile(
    rf"(?P<address>(?<![\w/])(?:[a-z][a-z0-9+.-]{{1,15}}:)?//(?=[^\W_]){_REST}*"
    rf"|(?<![\w.@-])www\.{_REST}+"
    rf"|(?<!\w)(?:javascript|vbscript|mailto|data:[\w.+-]+/[\w.+-]+)[:;,]{_REST}+)"
    rf"|{IMAGE}"
    rf"|(?P<own></?{PASSAGE}>\n?)"
    rf"|{TAG}",
    re.IGNORECASE,
)
_BEGUN = re.compile(
    rf"{UNFINISHED}|(?:(?:!\[[^\]\n]{{0,200}}\]|<[/a-z][^<>]*[<>])[!-~]*|[!-~]+)\Z",
    re.IGNORECASE,
)
"""The end of an unfinished text that may still become one of these."""
_SCHEME = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:www\.)?", re.IGNORECASE)


class ReplyLinks:
    """The text of one reply, as it may be shown. It is given whole to `guarded`, or in pieces to `add`.

    sources: all texts of the prompt. grounded: it holds passages. A model that was shown none may name an address that
    it knows, but none that it made from one in the prompt.
    """

    def __init__(self, sources: Iterable[str], *, grounded: bool) -> None:
        self._sources = "\n".join(sources).casefold()
        self._grounded = grounded
        self._pieces = StreamedReplacement(_SIGNS, _BEGUN, self._shown)

    def guarded(self, text: str) -> str:
        """Return the reply without the addresses that it may not have."""
        return _SIGNS.sub(self._shown, text)

    def add(self, piece: str) -> str:
        """Return the part of the guarded reply that the next piece makes certain."""
        return self._pieces.add(piece)

    def finish(self) -> str:
        """Return the rest."""
        return self._pieces.finish()

    def _shown(self, match: re.Match[str]) -> str:
        if match["tag"]:
            return "< "
        if match["image"] or match["own"]:
            return ""
        address = match[0].rstrip(".,;:?*_~")
        return match[0] if self._may_name(address) else REMOVED + match[0][len(address) :]

    def _may_name(self, address: str) -> bool:
        bare = _SCHEME.sub("", address.casefold(), count=1).rstrip("/")
        if not self._grounded and not self._holds(re.split("[/?#]", bare, maxsplit=1)[0]):
            return True
        return self._holds(bare)

    def _holds(self, bare: str) -> bool:
        return not bare or re.search(rf"(?<![\w.-])(?:www\.)?{re.escape(bare)}", self._sources) is not None
