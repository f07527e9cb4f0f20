"""What templates ask: of one thing in two documents, and in vain only what tables give of its like."""

import asyncio

from groundtune.drafting.corpus import DraftedCorpus
from groundtune.drafting.draft import Draft, Kind
from groundtune.drafting.templates import TemplateDrafts
from groundtune.types import Passage
from tests.drafting.passages import FARES, passage

SPEEDS = passage(
    "Line: Inner ring; Speed: 30 km/h\n\nLine: Coast line; Speed: 70 km/h\n\nLine: Harbour line; Speed: 40 km/h",
    source="docs/speeds.md",
    heading="Trams > Speeds",
)


def drafts(kind: Kind, *passages: Passage) -> list[Draft]:
    templates = TemplateDrafts(DraftedCorpus(passages, language="english", seed="0"))

    async def collect() -> list[Draft]:
        return [draft async for draft in templates.materials(kind)]

    return asyncio.run(collect())


def test_a_row_is_asked_in_vain_for_what_a_table_gives_of_its_like() -> None:
    found = {draft.apart for draft in drafts("unanswerable", FARES, SPEEDS)}
    assert {name for _, name in found} == {"Harbour line", "Night bus"}
    assert ("Speed", "Night bus") in found
    told = passage("The night bus has a speed of 40 km/h.", source="docs/bus.md")
    assert ("Speed", "Night bus") not in {draft.apart for draft in drafts("unanswerable", FARES, SPEEDS, told)}


def test_tables_about_other_things_are_not_crossed() -> None:
    rooms = passage("Room: Attic; Height: 2 m\n\nRoom: Cellar; Height: 3 m", source="docs/rooms.md", heading="House")
    assert drafts("unanswerable", FARES, rooms) == drafts("two-documents", FARES, rooms) == []


def test_a_row_of_two_documents_is_asked_about_with_both_titles() -> None:
    questions = [draft.question for draft in drafts("two-documents", FARES, SPEEDS)]
    assert "What is listed for “Coast line” under “Fare” (Fares), and what under “Speed” (Trams)?" in questions


def test_headings_of_two_documents_need_one_subject() -> None:
    one = passage("Brakes have pads; worn pads are replaced.", source="docs/a.md", heading="Tram > Brakes")
    two = passage("Worn pads of brakes and belts squeak.", source="docs/b.md", heading="Bus > Brakes and belts")
    pay = passage("Drivers who test brakes are paid twice.", source="docs/c.md", heading="Pay > Brakes")
    assert len(drafts("two-documents", one, two)) == 2
    assert drafts("two-documents", one, pay) == []


def test_only_figures_with_a_unit_are_compared() -> None:
    rows = "\n\n".join(
        f"Desk: {name}; Extension: {n}; Days open: {n}" for n, name in enumerate(("Fares", "Keys", "Pay"))
    )
    (columns,) = {draft.claims[0][1] for draft in drafts("comparison", passage(rows, heading="Desks"))}
    assert columns == "days open"
