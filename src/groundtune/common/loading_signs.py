"""Know the signs by which Markdown and HTML load or run something as soon as they are shown. Replaces none of them.

They can be found in a text that arrives in pieces: `UNFINISHED` is the end that may still become one.
"""

IMAGE = r"(?P<image>(?<!\w)!(?=\[)|!(?=\[[^\]\n]{0,200}\][(\[]))"
"""The sign of a Markdown image; without it the rest is a link."""
TAG = (
    r"(?P<tag><(?="
    r"/?(?:img|image|svg|picture|source|video|audio|track|iframe|frame|object|embed|applet|link|script|style|base|meta"
    r"|form|input|button|details)\b"
    r"|[a-z][^<>]*[\s\"'/](?:on[a-z]+|style|src|srcset|background|poster)\s*=))"
)
"""The beginning of an HTML tag that loads or runs something, by its name or by one of its attributes. A front end may
give a meaning of its own to `details`. To be compiled with re.IGNORECASE, as all of these."""
UNFINISHED = r"(?:!(?:\[[^\]\n]{0,200}\]?)?|<(?:[/a-z][^<>]*)?)\Z"
