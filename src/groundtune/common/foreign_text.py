"""Make text that others wrote safe to put into a prompt: it cannot pass for a turn, a delimiter, or be invisible.

The words stay as they are. Signs that only a chat template may write get a space that breaks them, and characters that
nobody sees are left out. What the text says may still be an instruction: the prompt says that it is data.
"""

import re

PASSAGE = "passage"
"""Name of the tag around a passage in a prompt."""

_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
"""Zero-width and direction signs, and the block of tag characters, which spells ASCII that no screen shows. The joiners
of Persian, Indic scripts and emoji are none of these."""
_NAMES = (
    r"s|bos|eos|pad|unk|mask|sep|cls|end|think|thinking|reasoning|tools?|tool_calls?|tool_responses?|tool_results?"
    r"|functions?|function_calls?|sys|system|user|assistant|model|human|start_of_turn|end_of_turn|extra_id_\d+"
    rf"|{PASSAGE}"
)
_TAG = re.compile(
    rf"<(?=/?(?:</?)?(?:{_NAMES})\b[^<>\n]{{0,80}}>)|<(?=[|｜][^<>\n]{{1,60}}[|｜]>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG|SEP|CLS|MASK|PAD|UNK)\])",
    re.IGNORECASE,
)
"""Where a sign of a chat template, or our own tag, begins: <|im_start|>, </s>, <start_of_turn>, [INST]."""


def as_data(text: str) -> str:
    """Return a text of a document, a user or an example as a prompt may hold it."""
    return _TAG.sub(lambda match: f"{match[0]} ", _INVISIBLE.sub("", text))


def as_line(text: str) -> str:
    """Return such a text on one line, as a title of a passage: no line of it can pass for another passage."""
    return " ".join(as_data(text).split())
