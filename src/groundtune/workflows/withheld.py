"""Test examples to the passages that give them away, question and answer, so that none of these is trained on.

Pure; knows what it was asked about, not what else the index holds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from groundtune.measure.metrics import contains, gold_texts, words
from groundtune.types import Example, Passage

LEAST = 5
"""Words of a question from which on it is no chance that it stands somewhere."""


class Withheld:
    """The test split, and in which of the passages that it was shown its examples stand."""

    def __init__(self, test: Sequence[Example] = ()) -> None:
        self._starts: dict[tuple[str, ...], list[tuple[Example, list[str]]]] = defaultdict(list)
        for example in test:
            asked = words(example.input)
            if example.output is not None and len(asked) >= LEAST:
                self._starts[tuple(asked[:LEAST])].append((example, asked))
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, dict[str, None]] = defaultdict(dict)

    @property
    def found(self) -> Mapping[str, Sequence[str]]:
        """Source to the ids of the test examples that stand in it."""
        return {source: tuple(ids) for source, ids in self._found.items()}

    def gives_away(self, passage: Passage) -> bool:
        """Whether an example stands in it whole, its question and a right answer; case and punctuation aside."""
        text = passage.headed
        if text not in self._known:
            self._known[text] = self._examples(text) if self._starts else []
        if self._known[text]:
            self._found[passage.source].update(dict.fromkeys(self._known[text]))
        return bool(self._known[text])

    def _examples(self, text: str) -> list[str]:
        said = words(text)
        return [
            example.id
            for at in range(len(said) - LEAST + 1)
            for example, asked in self._starts.get(tuple(said[at : at + LEAST]), ())
            if said[at : at + len(asked)] == asked and contains(text, gold_texts(example.output))
        ]
