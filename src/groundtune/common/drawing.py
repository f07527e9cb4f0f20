"""Draw by a text alone, so that the same text is drawn every time and by every process. Knows no random state."""

import hashlib
import json


def place_of(text: str) -> float:
    """Return a number from 0 to below 1, uniform over texts. For another draw, put another word before the text."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]) / 2**64


def unit_of(by: str, caller: str, key: str | None, first: str) -> str:
    """Return what stays together when traffic is split: all that a caller asks, or one conversation of a caller.

    by: `[serve.split] by`. first: the first message of the conversation, by which its later requests are known.
    """
    return json.dumps([caller, key] if by == "caller" else [caller, key, first])
