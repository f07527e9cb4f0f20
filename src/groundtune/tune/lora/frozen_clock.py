"""Stop the clock of a chat template that writes the current date. A trained model then sees the date of its training
for ever, wherever it is served, instead of prompts that change every day.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

CLOCK = "strftime_now"
"""Function with which templates read the clock."""
DIRECTIVES = ("-d", "-m", "-H", "-I", "-M", "-S", "-j", "-y", *"aAwdbBhmyYHIMSfpPzZjUWcxXDFTReGuV")
"""Directives of strftime; those that this system does not know are left out."""


def reads_clock(tokenizer: Any) -> bool:
    """Whether the chat template writes the current date or time."""
    return any(map(_reads_clock, _templates(tokenizer).values()))


def freeze_clock(tokenizer: Any, now: datetime) -> None:
    """Make the chat template write this time instead of the current one; it still needs nothing but Jinja."""
    frozen = {
        name: _stop_clock(text, now) if _reads_clock(text) else text for name, text in _templates(tokenizer).items()
    }
    tokenizer.chat_template = frozen if isinstance(tokenizer.chat_template, Mapping) else frozen["default"]


def _templates(tokenizer: Any) -> Mapping[str, str]:
    templates = tokenizer.chat_template
    return templates if isinstance(templates, Mapping) else {"default": templates or ""}


def _reads_clock(template: str) -> bool:
    return CLOCK in template and f"macro {CLOCK}(" not in template


def _stop_clock(template: str, now: datetime) -> str:
    """Add a macro that takes the place of `strftime_now`: it puts fixed values for the directives of a format.

    The line break after it is removed by the option `trim_blocks`, which chat templates are always rendered with.
    """
    written = {f"%{name}": now.strftime(f"%{name}") for name in DIRECTIVES if f"%{name}" in template}
    known = {directive: text for directive, text in written.items() if "%" not in text and text != directive[1:]}
    replaced = "".join(f" | replace({directive!r}, {text!r})" for directive, text in known.items())
    return f"{{%- macro {CLOCK}(format) -%}}{{{{- format{replaced} -}}}}{{%- endmacro %}}\n{template}"
