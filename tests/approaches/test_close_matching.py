import pytest

from groundtune.approaches.close_matching import find_close


@pytest.mark.parametrize(
    ("language", "passage", "claim"),
    [
        (
            "english",
            "The program saves all changes every five minutes while the connection is stable. Ask us. We help.",
            "The program saves all changes every five minutes while the connection is unstable.",
        ),
        (
            "danish",
            "Programmet gemmer alle ændringer, så længe forbindelsen er stabil. Spørg os. Vi hjælper.",
            "Programmet gemmer alle ændringer, så længe forbindelsen er ustabil.",
        ),
    ],
)
def test_sentences_that_add_nothing_do_not_rescue_a_contradicted_one(language: str, passage: str, claim: str) -> None:
    assert find_close(claim, passage, language=language) is None
