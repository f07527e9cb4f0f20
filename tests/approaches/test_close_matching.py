import re

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


@pytest.mark.parametrize(
    ("language", "passage", "claim"),
    [
        (
            "english",
            "All {full }members of the club vote at the meeting in May.",
            "All members of the club vote at the meeting in May.",
        ),
        (
            "english",
            "No {unfinished }orders are sent to the customers of the shop.",
            "No orders are sent to the customers of the shop.",
        ),
        (
            "german",
            "Alle {ordentlichen }Mitglieder des Vereins stimmen auf der Versammlung im Mai ab.",
            "Alle Mitglieder des Vereins stimmen auf der Versammlung im Mai ab.",
        ),
        (
            "french",
            "Tous les membres{ fondateurs} du club votent à l'assemblée de mai.",
            "Tous les membres du club votent à l'assemblée de mai.",
        ),
    ],
)
def test_all_of_some_kind_are_not_all(language: str, passage: str, claim: str) -> None:
    narrower, same = passage.replace("{", "").replace("}", ""), re.sub(r"{.*?}", "", passage)
    assert find_close(claim, narrower, language=language) is None
    assert find_close(claim, same, language=language) is not None
