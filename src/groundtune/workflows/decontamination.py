"""Recognise passages that give away test examples, question and answer, so that they are not trained on.

Pure: covers only the passages it is shown, not the rest of the index.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from groundtune.measure.metrics import contains, gold_texts, tokenize
from groundtune.types import Example, Passage

MIN_QUESTION_WORDS = 5
"""Minimum words of a question; shorter ones could appear in a passage by chance."""


class Decontaminator:
    """The test split, and the passages seen so far that contain its examples."""

    def __init__(self, test: Sequence[Example] = ()) -> None:
        self._starts: dict[tuple[str, ...], list[tuple[Example, list[str]]]] = defaultdict(list)
        for example in test:
            question = tokenize(example.input)
            if example.output is not None and len(question) >= MIN_QUESTION_WORDS:
                self._starts[tuple(question[:MIN_QUESTION_WORDS])].append((example, question))
        self._known: dict[str, list[str]] = {}
        self._found: dict[str, dict[str, None]] = defaultdict(dict)

    @property
    def leaks(self) -> Mapping[str, Sequence[str]]:
        """Map each source to the ids of the test examples found in it."""
        return {source: tuple(ids) for source, ids in self._found.items()}

    def gives_away(self, passage: Passage) -> bool:
        """Whether the passage contains a whole question and a right answer to it, ignoring case and punctuation."""
        text = passage.headed
        if text not in self._known:
            self._known[text] = self._examples(text) if self._starts else []
        if self._known[text]:
            self._found[passage.source].update(dict.fromkeys(self._known[text]))
        return bool(self._known[text])

    def _examples(self, text: str) -> list[str]:
        text_words = tokenize(text)
        return [
            example.id
            for at in range(len(text_words) - MIN_QUESTION_WORDS + 1)
            for example, question in self._starts.get(tuple(text_words[at : at + MIN_QUESTION_WORDS]), ())
            if text_words[at : at + len(question)] == question and contains(text, gold_texts(example.output))
        ]
