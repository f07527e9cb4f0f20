"""What people ask and the documents do not answer, or answer in two ways: a work list for whoever writes them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.common.text import format_count, one_line
from groundtune.display import Block, Displayed, Line
from groundtune.languages.language import load
from groundtune.languages.text import stem
from groundtune.languages.tokens import fold, tokenize
from groundtune.stats.clusters import groups_of
from groundtune.stats.inputs import Floats

SHOWN = 10
"""Topics of a kind, and questions of a topic, that are shown; the report has all."""
WORDS = 3
"""Words that name a topic."""
Kind = Literal["unanswered", "contradicting", "superseded"]
TITLES: Mapping[Kind, str] = {
    "contradicting": "Answered from documents that contradict each other",
    "superseded": "Answered from documents that a newer one replaces",
    "unanswered": "Not answered by any document",
}


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question that the documents leave open."""

    kind: Kind
    question: str
    times: int
    """How often it was asked."""
    answer: str | None = None
    """Id of its latest served answer; None for an example of the comparison."""
    sources: tuple[str, ...] = ()
    """Documents to mend."""
    why: str = ""
    """What they say, in their own words."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Questions about one thing."""

    kind: Kind
    label: str
    """The words that tell it from the other topics."""
    times: int
    questions: tuple[OpenQuestion, ...]
    """The most frequent first."""


@dataclass(frozen=True, slots=True)
class GapsReport(Displayed):
    """What is worth writing or mending in the documents, by what people ask."""

    days: int
    asked: int
    """Different questions that were looked at: served ones, and those of the comparison."""
    run: str | None
    """The comparison; None without one."""
    topics: tuple[Topic, ...]
    hidden: int
    """Questions that were left out, since they were asked with access groups that the reader of this list lacks."""

    @property
    def summary(self) -> str:
        """How much is open, on one line."""
        counts = Counter(topic.kind for topic in self.topics for _ in topic.questions)
        parts = [f"{counts[kind]:,} {kind}" for kind in TITLES if counts[kind]]
        return f"{format_count(self.asked, 'question')}: {', '.join(parts) or 'nothing is open'}"

    def view(self) -> list[Block]:
        """Return the topics, what contradicts first."""
        blocks: list[Block] = [Line(self.summary, tone="strong")]
        if self.hidden:
            left = format_count(self.hidden, "question")
            blocks.append(Line(f"{left} of people with other access groups left out; --group NAME shows them", "dim"))
        for kind, title in TITLES.items():
            topics = [topic for topic in self.topics if topic.kind == kind]
            if topics:
                blocks += [Line(""), Line(f"{title} ({len(topics):,})", tone="strong")]
            for topic in topics[:SHOWN]:
                blocks += _topic(topic)
            if topics[SHOWN:]:
                blocks.append(Line(f"and {len(topics) - SHOWN:,} more topics"))
        return blocks


def topics_of(kind: Kind, questions: Sequence[OpenQuestion], vectors: Floats, language: str) -> list[Topic]:
    """Group questions by topic, the most frequent first. vectors: of the questions, unit length."""
    groups = [[questions[place] for place in places] for places in groups_of(vectors)] if questions else []
    labels = _labels([[each.question for each in group] for group in groups], language)
    by_label: dict[str, list[OpenQuestion]] = {}
    for group, label in zip(groups, labels, strict=True):
        by_label.setdefault(label, []).extend(group)  # groups that no word tells apart are one topic
    topics = [
        Topic(
            kind,
            label,
            sum(each.times for each in group),
            tuple(sorted(group, key=lambda each: (-each.times, each.question))),
        )
        for label, group in by_label.items()
    ]
    return sorted(topics, key=lambda topic: -topic.times)


def _topic(topic: Topic) -> list[Block]:
    blocks: list[Block] = [Line(f"{topic.label} (asked {format_count(topic.times, 'time')})")]
    for each in topic.questions[:SHOWN]:
        blocks.append(Line(one_line(each.question, most=110), indent=1))
        if each.sources:
            why = f": {one_line(each.why, most=110)}" if each.why else ""
            blocks.append(Line(f"{', '.join(each.sources)}{why}", "dim", 2))
    if topic.questions[SHOWN:]:
        blocks.append(Line(f"and {len(topic.questions) - SHOWN:,} more", indent=1))
    return blocks


def _labels(groups: Sequence[Sequence[str]], language: str) -> list[str]:
    """Return a label for each group: the words that most of its questions have, and few of the others."""
    written: dict[str, Counter[str]] = {}
    by_group: list[Counter[str]] = []
    data = load(language) or load("english")
    ignored = data.stop_words if data else frozenset()
    for group in groups:
        stems: Counter[str] = Counter()
        for question in group:
            tokens = [token for token in tokenize(question) if fold(token.text) not in ignored and not token.number]
            for token in tokens:
                written.setdefault(stem(token, language), Counter())[token.text.lower()] += 1
            stems.update({stem(token, language) for token in tokens})
        by_group.append(stems)
    spread = Counter(found for stems in by_group for found in stems)

    def weight(stems: Counter[str], found: str) -> float:
        return stems[found] * math.log((1 + len(groups)) / spread[found])

    labels = []
    for group, stems in zip(groups, by_group, strict=True):
        best = sorted(stems, key=lambda found: (-weight(stems, found), found))[:WORDS]
        labels.append(", ".join(written[found].most_common(1)[0][0] for found in best) or one_line(group[0], most=40))
    return labels
