import re

import pytest

from groundtune.citations.close_matching import find_close


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


LEFT_OUT = [
    ("The rooms are not cleaned by the firm on Sundays.", "The rooms are not by the firm on Sundays."),
    ("The bill goes to the tenant, rather than the landlord.", "The bill goes to tenant, rather than"),
    ("It takes over 200 steps and up to 14 years to build there.", "It takes over 200 steps to build there."),
    ("Courses and non-degree programmes are paid by the state.", "Courses and programmes are paid by the state."),
    ("After the war the growth was c. 6%, so that flats were rare.", "After the war growth was 6%, so flats rare."),
    ("It has the districts North Bay, North San Rey, North Park and East Bay.", "It has the districts North Bay, North "
     "San, North Park and East Bay."),
    ("It flies across 1,600 miles (2,600 km) over the sea.", "It flies across miles (2,600 km) over the sea."),
    ("The office was moved within the first decade of his reign.", "The office was moved within decade of his reign."),
]  # fmt: skip
CHANGED = [
    ("Anna does not pay the costs and Peter pays the fees.", "Anna pays the costs and Peter does not pay the fees."),
    ("It takes up to 14 years to build on the land.", "It takes 14 years to build on the land."),
    ("Non-members pay the full price at the door.", "Members pay the full price at the door."),
    ("The locomotives failed to oust the steam engine.", "The locomotives oust the steam engine."),
    ("The terms can be amended, except for the second part.", "The terms can be amended, for the second part."),
    ("Trains run from Graz to Linz every day.", "Trains run from Graz to Linz and from Linz to Graz every day."),
]  # fmt: skip


@pytest.mark.parametrize(("passage", "claim"), LEFT_OUT)
def test_what_leaves_out_words_beside_a_critical_one_says_the_same(passage: str, claim: str) -> None:
    assert find_close(claim, passage)


@pytest.mark.parametrize(("passage", "claim"), CHANGED)
def test_what_leaves_out_or_moves_a_critical_word_says_something_else(passage: str, claim: str) -> None:
    assert find_close(claim, passage) is None


CHANGES = [
    ("english", "Last year the prices rose by 20 %.", "Last year prices rose to 20 %."),
    ("german", "Im letzten Jahr stiegen die Preise um 20 %.", "Im letzten Jahr stiegen Preise auf 20 %."),
    ("dutch", "Vorig jaar stegen de prijzen met 20 %.", "Vorig jaar stegen prijzen tot 20 %."),
    ("french", "L'an dernier les prix ont augmenté de 20 %.", "L'an dernier prix ont augmenté à 20 %."),
    ("spanish", "El año pasado los precios aumentaron un 20 %.", "El año pasado precios aumentaron al 20 %."),
    ("italian", "L'anno scorso i prezzi sono aumentati del 20 %.", "L'anno scorso prezzi sono aumentati al 20 %."),
    ("portuguese", "No ano passado os preços aumentaram em 20 %.", "No ano passado preços aumentaram para 20 %."),
    ("romanian", "Anul trecut prețurile au crescut cu 20 %.", "Anul trecut prețurile crescut la 20 %."),
    ("swedish", "Förra året ökade priserna med 20 %.", "Förra året ökade priserna till 20 %."),
    ("danish", "Sidste år steg priserne med 20 %.", "Sidste år steg priserne til 20 %."),
    ("norwegian", "I fjor økte prisene med 20 %.", "I fjor økte prisene til 20 %."),
    ("russian", "В прошлом году цены выросли на 20 %.", "В прошлом году цены выросли до 20 %."),
    ("greek", "Πέρυσι οι τιμές αυξήθηκαν κατά 20 %.", "Πέρυσι οι τιμές αυξήθηκαν στο 20 %."),
    ("arabic", "في العام الماضي ارتفعت الأسعار بنسبة 20%.", "في العام الماضي ارتفعت الأسعار إلى 20%."),
    ("finnish", "Viime vuonna hinnat nousivat 20 prosentilla.", "Viime vuonna hinnat nousivat 20 prosenttiin."),
    ("hungarian", "Tavaly az árak 20 százalékkal emelkedtek.", "Tavaly az árak 20 százalékra emelkedtek."),
    ("turkish", "Geçen yıl fiyatlar 20 lira arttı.", "Geçen yıl fiyatlar 20 liraya arttı."),
    ("tamil", "கடந்த ஆண்டு விலைகள் 20 சதவீதம் உயர்ந்தன.", "கடந்த ஆண்டு விலைகள் 20 சதவீதமாக உயர்ந்தன."),
]


@pytest.mark.parametrize(("language", "by", "to"), CHANGES)
def test_a_rise_by_an_amount_is_no_rise_to_it(language: str, by: str, to: str) -> None:
    assert find_close(to, by, language=language) is None
    assert find_close(by, to, language=language) is None
    assert find_close(by, by, language=language)
    assert find_close(to, to, language=language)


@pytest.mark.parametrize(
    ("claim", "supported"),
    [
        ("Sales rose to 20 million euros.", True),
        ("Sales rose from 10 million euros.", True),
        ("Sales rose by 10 million euros.", False),
        ("Sales rose by 20 million euros.", False),
        ("Sales rose from 20 million euros.", False),
    ],
)
def test_the_ends_of_a_change(claim: str, supported: bool) -> None:
    assert (find_close(claim, "Last year sales rose from 10 million to 20 million euros.") is not None) is supported


def test_an_increase_of_an_amount_is_an_increase_by_it() -> None:
    assert find_close("Sales increased by 20 %.", "There was an increase of 20 % in sales.")
    assert find_close("Sales increased to 20 %.", "There was an increase of 20 % in sales.") is None
