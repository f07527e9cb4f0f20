"""Tell whether an embedder does not fit the documents: evidence that words find and vectors do not, shattered words.

A model cuts words that it does not know into many pieces, whose meaning it never learned. Pure; searches nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from groundtune.common.text import format_count
from groundtune.display import Block, Line
from groundtune.languages.segmentation import has_unspaced
from groundtune.stats.significance import exact_mcnemar

CountTokens = Callable[[Sequence[str]], list[int]]
PIECES = 4
"""Tokens from which a word counts as shattered: words of the language that a model was trained on take one or two."""
MANY = 0.05
"""Share of shattered words in the documents from which that alone is worth saying.

With the bundled English model: the example handbook 0.3%, articles of SQuAD 2%, French 6%, German 24%, Finnish 37%.
"""
SIGNIFICANT = 0.05
WORDS_SHOWN = 8
_WORD = re.compile(r"(?=\w*[^\W\d_])\w[\w-]{2,40}\w")
"""At least four characters with a letter among them."""


@dataclass(frozen=True, slots=True)
class ShatteredWords:
    """Words that the tokenizer of an embedder cuts into many pieces."""

    share: float
    """Share of the running words."""
    words: tuple[str, ...]
    """The most frequent ones."""


@dataclass(frozen=True, slots=True)
class DomainMismatch:
    """What BM25 and vectors find of the same evidence, and the words of the documents that the embedder shatters."""

    pieces: int
    """Pieces of evidence."""
    only_words: int
    """Pieces that BM25 finds and vectors do not."""
    only_vectors: int
    """The other way round."""
    shattered: ShatteredWords | None
    """In the documents; None if the tokens of the embedder are only estimated, and in scripts without spaces."""
    missed_words: tuple[str, ...]
    """Shattered words of the questions and evidence that only BM25 finds."""

    @property
    def p(self) -> float:
        """p-value for the null hypothesis that both find as much (exact McNemar test)."""
        return exact_mcnemar(self.only_words, self.only_vectors)

    @property
    def found(self) -> bool:
        """Whether vectors find measurably less than words."""
        return self.only_words > self.only_vectors and self.p < SIGNIFICANT

    @property
    def sentence(self) -> str | None:
        """What does not fit, in a sentence; None where nothing shows that."""
        cut = (
            f"it cuts {self.shattered.share:.0%} of their words into {PIECES} or more pieces" if self.shattered else ""
        )
        if self.found:
            text = (
                f"The embedder does not fit these documents: BM25 finds {self.only_words:,} of "
                f"{format_count(self.pieces, 'piece')} of evidence that vectors miss, vectors {self.only_vectors:,} "
                f"that BM25 misses (p = {self.p:.2g})"
            )
            words = f", such as {', '.join(self.missed_words)}" if self.missed_words else ""
            return f"{text}; {cut}{words}." if cut else f"{text}."
        if self.shattered and self.shattered.share >= MANY:
            return (
                f"The embedder may not know the language of these documents: {cut}, such as "
                f"{', '.join(self.shattered.words)}. Vectors do not find measurably less than BM25 for all that."
            )
        return None

    @property
    def advice(self) -> str | None:
        """What to try; None unless vectors find measurably less."""
        if not self.found:
            return None
        return (
            "Try, in this order: more weight on words (groundtune evaluate --fit, or a lower [retrieval] "
            "dense_weight); another embedder under [sweep.embedders], with groundtune evaluate --sweep; tuning the "
            "retriever (groundtune tune)."
        )

    def view(self) -> list[Block]:
        """Return what does not fit, and what to try; nothing where nothing shows that."""
        return [Line(text) for text in (self.sentence, self.advice) if text]


def shattered_words(texts: Iterable[str], count_tokens: CountTokens) -> ShatteredWords | None:
    """Return the words that take PIECES tokens or more; None where most letters are of scripts without spaces.

    What stands between two spaces is no word in such scripts, so it is left out. count_tokens: of the embedder,
    special tokens included.
    """
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    unspaced = Counter({word: count for word, count in counts.items() if has_unspaced(word)})
    if _letters(unspaced) > _letters(counts) / 2:
        return None
    counts -= unspaced
    total = counts.total()
    if not total:
        return ShatteredWords(0.0, ())
    words = list(counts)
    (special,) = count_tokens([""])
    tokens = dict(zip(words, count_tokens(words), strict=True))
    shattered = Counter({word: counts[word] for word in words if tokens[word] - special >= PIECES})
    frequent = tuple(word for word, _ in shattered.most_common(WORDS_SHOWN))
    return ShatteredWords(shattered.total() / total, frequent)


def _letters(counts: Counter[str]) -> int:
    return sum(len(word) * count for word, count in counts.items())


def domain_mismatch(
    by_words: Sequence[bool],
    by_vectors: Sequence[bool],
    texts: Sequence[str],
    documents: Iterable[str],
    count_tokens: CountTokens | None,
) -> DomainMismatch:
    """Compare what BM25 and vectors find of each piece of evidence.

    texts: the question and the quote of each piece. documents: passages, or a sample of them. count_tokens: of the
    embedder; None if it only estimates them.
    """
    only_words = [words and not vectors for words, vectors in zip(by_words, by_vectors, strict=True)]
    only_vectors = sum(vectors and not words for words, vectors in zip(by_words, by_vectors, strict=True))
    missed = [text for text, only in zip(texts, only_words, strict=True) if only]
    return DomainMismatch(
        pieces=len(texts),
        only_words=len(missed),
        only_vectors=only_vectors,
        shattered=shattered_words(documents, count_tokens) if count_tokens else None,
        missed_words=found.words if count_tokens and (found := shattered_words(missed, count_tokens)) else (),
    )
