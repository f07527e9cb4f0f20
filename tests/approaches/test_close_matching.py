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


SWAPPED = [
    ("english", "The landlord pays the tenant a deposit.", "The tenant pays the landlord a deposit."),
    ("english", "Anna reports to Peter in the Graz office.", "Peter reports to Anna in the Graz office."),
    ("english", "The train from Graz to Linz leaves at nine.", "The train from Linz to Graz leaves at nine."),
    ("english", "Lamps have 30 days and desks 60 days.", "Desks have 30 days and lamps 60 days."),
    ("german", "Der Vermieter zahlt dem Mieter die Kaution.", "Der Mieter zahlt dem Vermieter die Kaution."),
    ("dutch", "De verhuurder betaalt de huurder een bedrag.", "De huurder betaalt de verhuurder een bedrag."),
    ("russian", "Анна каждый месяц пишет отчёт Ивану.", "Иван каждый месяц пишет отчёт Анне."),
]
MOVED = [
    ("english", "The customer gets the charger, the keys and the papers.", "The customer gets the papers, the keys and "
     "the charger."),
    ("english", "Anna reports to Peter in the Graz office.", "In the Graz office, Anna reports to Peter."),
    ("english", "The costs of the return are paid by the buyer.", "The buyer pays the costs of the return."),
    ("german", "Die Kosten der Rückgabe trägt der Käufer.", "Der Käufer trägt die Kosten der Rückgabe."),
    ("russian", "Оплату производит клиент.", "Клиент производит оплату."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "passage", "claim"), SWAPPED)
def test_words_that_changed_places_are_another_statement(language: str, passage: str, claim: str) -> None:
    assert find_close(claim, passage, language=language) is None
    assert find_close(passage, passage, language=language)


@pytest.mark.parametrize(("language", "passage", "claim"), MOVED)
def test_words_in_another_order_are_the_same_statement(language: str, passage: str, claim: str) -> None:
    assert find_close(claim, passage, language=language)


@pytest.mark.parametrize(
    ("passage", "claim", "supported"),
    [
        ("The air cools down to -5 °C.", "The air cools down to 5 °C.", False),
        ("The air cools down to −5 °C.", "The air cools down to minus 5 °C.", True),
        ("Delivery takes 2–4 days.", "Delivery takes 4 days.", False),
        ("Delivery takes 2 to 4 days.", "Delivery takes between 2 and 4 days.", True),
        ("Delivery takes 2 or 4 days.", "Delivery takes 4 days.", True),
        ("The pipe is 1½ inches wide.", "The pipe is 1 inch wide.", False),
        ("The pipe is 1½ inches wide.", "The pipe is 1.5 inches wide.", True),
        ("The pipe is 3/4 inch wide.", "The pipe is 0.75 inch wide.", True),
        ("It costs more than 100 euros.", "It costs 100 euros.", False),
        ("More information costs 100 euros.", "Information costs 100 euros.", True),
        ("All employees except drivers get the bonus.", "All employees get the bonus.", False),
        ("The bonus is paid unless the employee resigns.", "The bonus is paid if the employee resigns.", False),
    ],
)
def test_amounts_and_their_bounds(passage: str, claim: str, supported: bool) -> None:
    assert (find_close(claim, passage) is not None) is supported
