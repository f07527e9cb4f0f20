"""An embedder that does not fit: what words find and vectors do not, and words cut into many pieces."""

import pytest

from groundtune.measure.domain_mismatch import DomainMismatch, ShatteredWords, domain_mismatch, shattered_words
from groundtune.models.local_embedder import BundledEmbedder

COUNT = BundledEmbedder().count_tokens
PLAIN = "The customer may return the bicycle within thirty days and gets the money back."
STRANGE = "Die Kreuzschlitzschraube KX-4711 verhindert Fugenversatzverschiebungen."


def mismatch(only_words: int, only_vectors: int, document: str, *, both: int = 20) -> DomainMismatch:
    by_words = [True] * only_words + [False] * only_vectors + [True] * both
    by_vectors = [False] * only_words + [True] * only_vectors + [True] * both
    texts = [STRANGE] * only_words + [PLAIN] * (only_vectors + both)
    return domain_mismatch(by_words, by_vectors, texts, [document], COUNT)


def shattered(*texts: str) -> ShatteredWords:
    found = shattered_words(texts, COUNT)
    assert found is not None
    return found


def test_words_of_another_language_and_codes_are_shattered() -> None:
    assert shattered(PLAIN).words == ()
    found = shattered(STRANGE, PLAIN)
    assert set(found.words) >= {"Kreuzschlitzschraube", "KX-4711", "Fugenversatzverschiebungen"}
    assert 0 < found.share < 0.5
    assert shattered("", "12 34 5,678").share == 0


@pytest.mark.parametrize(
    "text",
    [
        "返金は三十日以内に銀行口座へ振り込まれます。",
        "退款将在三十天内支付到您的银行账户。",
        "การคืนเงินจะโอนเข้าบัญชีธนาคารภายในสามสิบวัน",
    ],
)
def test_scripts_without_spaces_have_no_words_to_count(text: str) -> None:
    assert shattered_words([text], COUNT) is None
    assert shattered(f"{PLAIN} {PLAIN} {text}").words == ()
    assert mismatch(0, 0, text).sentence is None


def test_measurably_more_by_words_is_a_mismatch_with_advice() -> None:
    found = mismatch(12, 1, PLAIN + STRANGE)
    assert found.found
    assert found.sentence is not None
    assert "BM25 finds 12 of 33 pieces of evidence that vectors miss, vectors 1 that BM25 misses" in found.sentence
    assert "KX-4711" in found.sentence
    assert found.advice is not None
    assert [
        found.advice.index(word) for word in ("dense_weight", "[sweep.embedders]", "tuning the retriever")
    ] == sorted(found.advice.index(word) for word in ("dense_weight", "[sweep.embedders]", "tuning the retriever"))


def test_a_few_by_chance_are_no_mismatch() -> None:
    for found in (mismatch(3, 1, PLAIN), mismatch(1, 12, PLAIN), mismatch(0, 0, PLAIN)):
        assert (found.found, found.sentence, found.advice, found.view()) == (False, None, None, [])


def test_a_language_that_the_tokenizer_does_not_know_is_said_without_advice() -> None:
    found = mismatch(0, 0, STRANGE)
    assert found.sentence is not None
    assert "may not know the language" in found.sentence
    assert found.advice is None


def test_estimated_tokens_tell_nothing_of_words() -> None:
    found = domain_mismatch([True] * 12, [False] * 12, [STRANGE] * 12, [STRANGE], None)
    assert (found.shattered, found.missed_words) == (None, ())
    assert found.sentence is not None
    assert found.sentence.endswith("misses (p = 0.00049).")
