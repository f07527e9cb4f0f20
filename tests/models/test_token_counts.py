"""Test what is known of the tokens of a text without its tokenizer."""

import pytest

from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.token_counts import least_tokens, likely_tokens

ENGLISH = "The bike of class 7 is checked after ten days, its chain is oiled, and its brakes are set by hand. " * 20
CHINESE = "自行车送达后三十天内可以退货，退货时必须附上两把钥匙。"


def test_no_text_has_fewer_than_the_least() -> None:
    (tokens,) = BundledEmbedder().count_tokens([ENGLISH])
    assert 0.5 * tokens < least_tokens(ENGLISH) < tokens
    assert least_tokens("") == 0


def test_long_words_have_more_than_one_token() -> None:
    assert least_tokens("Donaudampfschifffahrtsgesellschaft" * 30) > 80
    assert least_tokens("-" * 3000) <= 1


@pytest.mark.parametrize(
    ("text", "least", "likely"),
    [
        ("30 days", 1, 2),
        (CHINESE, len(CHINESE) // 5, len(CHINESE)),
        ("สามารถคืนจักรยานได้ภายในสามสิบวัน", 6, 30),
        ("Велосипед можно вернуть", 2, 10),
    ],
)
def test_scripts_differ(text: str, least: int, likely: int) -> None:
    assert least_tokens(text) >= least
    assert likely_tokens(text) >= likely
    assert least_tokens(text) <= likely_tokens(text)
