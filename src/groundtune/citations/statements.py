"""Tell sentences that state something from those that need no source: headings, lead-ins, questions, courtesies."""

import re
from functools import cache

from groundtune.languages.reply_words import all_words
from groundtune.languages.text import words

LEAD_IN_WORDS = 12
OFFER_WORDS = 16
HEADING_WORDS = 8
"""Most words of a lead-in, an offer of help, and a heading in bold; longer ones state something."""

_HEADING = re.compile(r"\s*#{1,6}\s")
_BOLD = re.compile(r"\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+)?(?:\*\*[^*]+\*\*|__[^_]+__)\s*")
_CLOSED = re.compile(r"[.!…。！।؟?][\s*_\"'”’»]*$")
_QUESTION = re.compile(r"(?:[?？؟\u037e]|[\u0370-\u03ff]\s*;)[\s*_\"'”’»)）]*$")
_HEAD = re.compile(r"([^:：\n]{1,40})[:：][\s*_]*(?=[^\s*_])")
_LEAD_IN = re.compile(r"[:：][\s*_]*$")
_SIGNS = re.compile(r"[^\w'’\s]+|_")


def states_something(sentence: str, line: str) -> bool:
    """Whether a sentence claims something that a passage could support. Both texts are without markers."""
    if is_heading(line) or leads_in(sentence) or _QUESTION.search(sentence):
        return False
    plain = _plain(sentence)
    if not plain or plain in _phrases("yes_no"):
        return False
    return not (_greets(sentence, plain) or _offers(plain))


def leads_in(sentence: str) -> bool:
    """Whether a sentence only introduces what follows, such as "The rules are:"."""
    short = len(sentence.split()) <= LEAD_IN_WORDS and not re.search(r"\d", sentence)
    return bool(_LEAD_IN.search(sentence)) and short


def without_head(sentence: str) -> str:
    """Return the sentence without the words that only announce an answer: "Final answer: …"."""
    head = _HEAD.match(sentence)
    return sentence[head.end() :] if head and _plain(head[1]) in _phrases("heads") else sentence


def is_heading(line: str) -> bool:
    """Whether a line is a heading: marked as one, or a few words in bold without a full stop."""
    if _HEADING.match(line):
        return True
    return bool(_BOLD.fullmatch(line)) and not _CLOSED.search(line) and len(line.split()) <= HEADING_WORDS


def _greets(sentence: str, plain: str) -> bool:
    """Whether it is a greeting or a courtesy, alone or with up to two names."""
    if plain in _phrases("greetings"):
        return True
    pieces = plain.split()
    for names in (1, 2):
        if len(pieces) > names and " ".join(pieces[:-names]) in _phrases("greetings"):
            return all(name[:1].isupper() for name in _SIGNS.sub(" ", sentence).split()[-names:])
    return False


def _offers(plain: str) -> bool:
    if any(char.isdigit() for char in plain) or len(plain.split()) > OFFER_WORDS:
        return False
    return f"{plain} ".startswith(_offer_beginnings())


@cache
def _phrases(kind: str) -> frozenset[str]:
    return frozenset(map(_plain, all_words(kind)))


@cache
def _offer_beginnings() -> tuple[str, ...]:
    """Return the beginnings of offers; a script with spaces needs a whole word."""
    plain = (_plain(phrase) for phrase in all_words("offers"))
    return tuple(phrase if ord(phrase[-1]) >= 0x0E00 else f"{phrase} " for phrase in plain)


def _plain(text: str) -> str:
    """Return the words of a text in small letters and without accents, joined by single spaces."""
    spaced = words(text)
    return " ".join(spaced) if spaced else ""
