"""Recognise passages that leak test examples, question and answer, so that they are not trained on.

Pure: covers only the passages it is shown, not the rest of the index.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from groundtune.measure.metrics import contains, gold_texts, tokenize
from groundtune.types import Example, Passage

MIN_QUESTION_WORDS = 5
"""Minimum words of a question; shorter ones could appear in a passage by chance."""


class Decontaminator:
    """Recognise passages that contain examples of the test split, and remember their sources."""

    def __init__(self, test: Sequence[Example] = ()) -> None:
        self._questions_by_start: dict[tuple[str, ...], list[tuple[Example, list[str]]]] = defaultdict(list)
        for example in test:
            question = tokenize(example.input)
            if example.output is not None and len(question) >= MIN_QUESTION_WORDS:
                self._questions_by_start[tuple(question[:MIN_QUESTION_WORDS])].append((example, question))
        self._ids_by_text: dict[str, list[str]] = {}
        self._leaks: dict[str, dict[str, None]] = defaultdict(dict)

    @property
    def leaks(self) -> Mapping[str, Sequence[str]]:
        """Map each source to the ids of the test examples found in it."""
        return {source: tuple(ids) for source, ids in self._leaks.items()}

    def leaks_test_example(self, passage: Passage) -> bool:
        """Whether the passage contains a whole question and a correct answer to it, ignoring case and punctuation."""
        text = passage.headed
        if text not in self._ids_by_text:
            self._ids_by_text[text] = self._examples(text) if self._questions_by_start else []
        if self._ids_by_text[text]:
            self._leaks[passage.source].update(dict.fromkeys(self._ids_by_text[text]))
        return bool(self._ids_by_text[text])

    def _examples(self, text: str) -> list[str]:
        text_words = tokenize(text)
        return [
            example.id
            for at in range(len(text_words) - MIN_QUESTION_WORDS + 1)
            for example, question in self._questions_by_start.get(tuple(text_words[at : at + MIN_QUESTION_WORDS]), ())
            if text_words[at : at + len(question)] == question and contains(text, gold_texts(example.output))
        ]
