"""Join the lines of subtitles (.srt, .vtt) into running text, without their times. Never guesses who speaks."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from groundtune.ingest.loaders.text import decode
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

_TIMES = re.compile(r"\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{3}\s*-->.*")
_VOICE = re.compile(r"<v(?:\.[\w.]+)?\s+([^>]+)>")
_TAG = re.compile(r"</?(?:[bicuv]|lang|ruby|rt|font)\b[^>]*>|<\d[\d:.]*>|\{\\[^}]*\}")
_SETTINGS = ("WEBVTT", "NOTE", "STYLE", "REGION")
_ENDS = tuple(".!?…。！？")
_LONGEST = 700
"""Characters after which a sentence ends a paragraph."""


def parse(path: Path, data: bytes) -> list[ParsedDocument]:
    builder = TextBuilder()
    paragraph = ""
    for cue in _cues(decode(data)):
        speaks = bool(_VOICE.match(cue))
        text = _shown(cue)
        if not text or paragraph.endswith(text):
            continue  # captions of live speech repeat the line above
        if paragraph and (speaks or (len(paragraph) > _LONGEST and paragraph.endswith(_ENDS))):
            builder.paragraph(paragraph)
            paragraph = ""
        paragraph = f"{paragraph} {text}".strip()
    builder.paragraph(paragraph)
    return [builder.build()]


def _cues(text: str) -> Iterator[str]:
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.strip("\n").split("\n")
        times = next((at for at, line in enumerate(lines) if _TIMES.fullmatch(line)), None)
        if times is not None:
            yield " ".join(lines[times + 1 :])
        elif not lines[0].startswith(_SETTINGS):
            yield " ".join(lines)


def _shown(cue: str) -> str:
    cue = _VOICE.sub(lambda found: f"{found[1].strip()}: ", cue)
    return " ".join(html.unescape(_TAG.sub("", cue)).split())
