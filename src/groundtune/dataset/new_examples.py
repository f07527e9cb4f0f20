"""Decide whether a new example may join those that are there: not twice, and never near what is measured with.

One rule for everything that makes examples: `examples import` and `draft`, `distil`, `collect` and the review of served
answers. Each says in `origin` where its examples come from. Writes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from groundtune.dataset.examples import example_key, input_key
from groundtune.languages.detection import detect
from groundtune.languages.text import content_words
from groundtune.types import Example, Message, Split

DRAFTED = "drafted"
"""The origin of examples that a program made up from the documents."""
REVIEWED = "review"
"""The origin of served answers that a person accepted or corrected."""
COLLECTED = "collected"
"""The origin of served answers that were taken by rule."""
ALREADY = "is an example already"
NEAR = 0.8
"""Share of the words of two inputs in common from which they are near-duplicates, as before a training."""
SPLIT_PRECEDENCE: tuple[Split, ...] = ("test", "validation", "train")
"""An input that occurs in several splits counts as of the first, to keep data held out."""


def distilled(approach: str) -> str:
    """Return the origin of examples that an approach labelled."""
    return f"distilled with {approach}"


class KnownInputs:
    """The inputs of examples, compared exactly and by their words. language: of texts too short to tell."""

    def __init__(self, examples: Iterable[Example] = (), *, language: str = "english") -> None:
        self._language = language
        self._splits: dict[str, Split] = {}
        self._examples: list[tuple[Example, frozenset[str]]] = []
        self._having: dict[str, list[int]] = defaultdict(list)
        """Word to the places of the examples that have it."""
        self._counts: Counter[str] = Counter()
        for example in examples:
            self.add(example)

    def add(self, example: Example) -> None:
        """Let later examples be compared with this one too."""
        key = example_key(example)
        earlier = self._splits.get(key, example.split)
        self._splits[key] = min(earlier, example.split, key=SPLIT_PRECEDENCE.index)
        words = self._words(example.input, example.history)
        for word in words:
            self._having[word].append(len(self._examples))
        self._counts.update(words)
        self._examples.append((example, words))

    def split(self, text: str, history: Sequence[Message] = ()) -> Split | None:
        """Return the split of an input that is there, ignoring case and white space; None when it is not."""
        return self._splits.get(input_key(text, (turn.content for turn in history)))

    def near(self, text: str, history: Sequence[Message] = ()) -> Example | None:
        """Return an example whose input has nearly the same words, of a held-out split first; None without one."""
        words = self._words(text, history)
        rarest = sorted(words, key=lambda word: self._counts[word])[: int(len(words) * (1 - NEAR) + 1e-9) + 1]
        places = sorted({place for word in rarest for place in self._having.get(word, ())})
        alike = [
            example
            for example, other in (self._examples[place] for place in places)
            if len(words & other) >= NEAR * len(words | other)
        ]
        return min(alike, key=lambda example: SPLIT_PRECEDENCE.index(example.split), default=None)

    def why_not(self, text: str, history: Sequence[Message] = ()) -> str | None:
        """Return why an input may not become a new example of the train split; None if it may.

        An input that nearly repeats one of the train split may: people do ask twice.
        """
        if self.split(text, history) is not None:
            return ALREADY
        near = self.near(text, history)
        return None if near is None or near.split == "train" else f"is nearly in the {near.split} split ({near.id})"

    def _words(self, text: str, history: Sequence[Message]) -> frozenset[str]:
        whole = "\n".join([*(turn.content for turn in history), text])
        return frozenset(content_words(whole, language=detect(whole, self._language)))
