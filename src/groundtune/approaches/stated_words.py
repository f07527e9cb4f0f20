"""Tell whether a reply states a word as its answer, or only mentions it. Knows no task; the words are the caller's.

"Answer: refund", "The label is refund." and "refund" on a line of its own state it; "The code NOT_IN_DOCUMENTS is
printed on page 3" mentions it. `languages/data/replies.toml` holds the words that introduce an answer, in several
languages; a colon or a line of its own states a word in any language.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Literal

from groundtune.languages.reply_words import UNSPACED, reply_words

_NEAR_WORDS = 5
"""An answer word introduces what follows it within this many words."""
_OPENING = r"[\s*_~`\"'“‘«„「『\[{<(\\]*$"
_CLOSING = r"[\s*_~`\"'”’»“」』\]}>)\\]*"
_LETTER = re.compile(r"[^\W\d_]")
_MARKUP = re.compile(r"</?\w{1,20}>|\\\w{1,10}(?=\{)|[\[［【(^]+(?:\w{1,12}\s*)?\d[\d\s,;:–-]*(?:†\w*)?[\]］】)]")
"""Tags, commands of LaTeX, and markers of citations: `<b>`, `\\boxed{`, `[1]`, `【1†source】`, `[Passage 2]`."""
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]*_`]*\s+|[。！？]")
_ONLY_COMMA = re.compile(r"[^,，、]*[,，、]" + _OPENING)
_NEXT_STRING = r"[\"'”]\s*,\s*[\"'“]"
"""Between two strings of JSON."""
_PUNCTUATED = re.compile(rf"(?:[:：=→;；(（–—]|[-=]>|\s-){_OPENING}|{_NEXT_STRING}$")


Introduction = Literal["no", "comma", "punctuation", "answer", "final"]
"""What introduces a word: the only comma before it; a colon or a dash; a word for an answer or for a conclusion; or one
that calls the answer final."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a word stands in a reply."""

    alone: bool
    """Nothing is said before it in its sentence."""
    introduced: "Introduction"
    followed: Literal["end", "separated", "text"]
    """The sentence ends after it; a colon, a bracket or a reason follows; or the sentence goes on."""
    rejected: bool
    """A word such as "not" stands directly before it."""

    @property
    def stated(self) -> bool:
        introduced = self.introduced not in ("no", "comma")
        return not self.rejected and (self.alone or introduced) and self.followed != "text"

    @property
    def rank(self) -> int:
        """0 for a mention; a statement counts more when it is called the answer, and most when that is final."""
        return {"answer": 2, "final": 3}.get(self.introduced, 1) if self.stated else 0


def setting(reply: str, start: int, end: int) -> Setting:
    """Return how the word at `reply[start:end]` stands there."""
    words = _words()
    before, after = unescape(_line_before(reply, start)), unescape(reply[end:].partition("\n")[0])
    ends = _SENTENCE_END.search(after)
    rest = _MARKUP.sub(" ", after[: ends.start()] if ends else after)
    lead = _MARKUP.sub(" ", before)
    alone = not _LETTER.search(lead)
    is_named_after = alone and bool(words.named_after.match(rest))
    goes_on = _LETTER.search(rest) and not is_named_after
    return Setting(
        alone=alone,
        introduced="answer" if is_named_after else _introduced(lead, words),
        followed="end" if not goes_on else "separated" if words.separates.match(after) else "text",
        rejected=bool(words.rejects.search(lead)),
    )


def is_negation(reply: str, start: int, end: int) -> bool:
    """Whether the word at `reply[start:end]` negates the one after it, as in "no label fits"."""
    negated = re.match(r" +\w+ ?", reply[end:])
    return bool(negated and _words().denies.fullmatch(reply[start:end]) and not are_listed(negated[0]))


def is_absence(reply: str) -> bool:
    """Whether the reply is nothing but words that the documents do not hold the answer, in a language of the table."""
    return re.sub(r"[\W_]+", " ", reply.casefold()).strip() in _words().absent


def are_listed(between: str) -> bool:
    """Whether the text between two words makes them a list, such as a comma or "or"."""
    return bool(_words().lists.fullmatch(between))


def _line_before(reply: str, start: int) -> str:
    """Return the sentence before the word; for a word that begins a line, a line above that introduces it."""
    above, _, line = reply[:start].rpartition("\n")
    sentence = line[max((match.end() for match in _SENTENCE_END.finditer(line)), default=0) :]
    if not _LETTER.search(line) and _PUNCTUATED.search(above.rstrip()):
        return above.rstrip().rpartition("\n")[2]
    return sentence


def _introduced(lead: str, words: "_Words") -> Introduction:
    punctuated = bool(_PUNCTUATED.search(lead))
    near = lead if punctuated else " ".join(lead.split()[-_NEAR_WORDS:])
    denied = not punctuated and bool(words.denies.search(near))
    if (words.answer.search(near) and not denied) or words.concludes.search(lead):
        return "final" if words.final.search(lead) else "answer"
    if punctuated:
        return "punctuation"
    return "comma" if _ONLY_COMMA.match(lead) else "no"


@dataclass(frozen=True, slots=True)
class _Words:
    answer: re.Pattern[str]
    final: re.Pattern[str]
    concludes: re.Pattern[str]
    separates: re.Pattern[str]
    rejects: re.Pattern[str]
    denies: re.Pattern[str]
    named_after: re.Pattern[str]
    """It is called the answer after it: "refund is the right label"."""
    lists: re.Pattern[str]
    absent: frozenset[str]


@cache
def _words() -> _Words:
    table = {language: entry for language, entry in reply_words().items() if "answer" in entry}

    def any_of(kind: str, *, unspaced: bool = True) -> str:
        spaced = {word for language, entry in table.items() if language != UNSPACED for word in entry[kind]}
        joined = "|".join(map(re.escape, sorted(spaced, key=len, reverse=True)))
        others = [re.escape(word) for word in table[UNSPACED][kind]] if unspaced else []
        return "|".join([rf"(?<!\w)(?:{joined})(?!\w)", *others])

    because, answer, no = any_of("because"), any_of("answer"), any_of("not", unspaced=False)
    return _Words(
        answer=re.compile(answer, re.IGNORECASE),
        final=re.compile(r"(?<!\w)final\w*|最终|最終|최종", re.IGNORECASE),
        concludes=re.compile(rf"(?:{any_of('so')})[,，、:：]?{_OPENING}", re.IGNORECASE),
        separates=re.compile(
            rf"{_CLOSING}(?:[:：;；(（–—→\[【]|\s-\s|[-=]>|[,，]?\s*(?:{because}))|{_NEXT_STRING}", re.IGNORECASE
        ),
        rejects=re.compile(rf"(?:{no})(?:\s+(?!nur|{any_of('or')})(?:\w{{1,3}}|about))?{_OPENING}", re.I),
        denies=re.compile(no, re.IGNORECASE),
        named_after=re.compile(rf"{_CLOSING}\s+\w+(?:\s+\w+){{0,2}}?\s+(?:{answer})\W*(?:$|[,，;])", re.IGNORECASE),
        lists=re.compile(rf"[^\w\n.!?]*(?:(?:{any_of('or')})[^\w\n.!?]*(?:\w{{1,3}}\s)?)?", re.IGNORECASE),
        absent=frozenset(words for entry in table.values() for words in entry.get("absent", ())),
    )
