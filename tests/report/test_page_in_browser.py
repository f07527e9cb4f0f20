"""Walk through a report: filters, examples, citations, keys, addresses."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as Overdue

from tests.report.conftest import Visit
from tests.report.pages import APPROACHES, answer_page

SHOWN = "Array.from(document.querySelectorAll('.cells tbody a'), (one) => one.dataset.id)"
LISTED = f"(wanted) => JSON.stringify({SHOWN}) === JSON.stringify(wanted)"


def lists(page: Page, wanted: list[str]) -> None:
    """Wait until the matrix shows these examples in this order; the page updates after the address changes."""
    try:
        page.wait_for_function(LISTED, arg=wanted)
    except Overdue:
        assert page.evaluate(SHOWN) == wanted
        raise


def stands_at(page: Page, wanted: str) -> None:
    page.wait_for_function("(wanted) => location.hash === wanted", arg=wanted)


def outcome(cell: dict[str, Any]) -> str:
    if cell["status"] == "error":
        return "error"
    return f"{cell['status']} {cell['scores']['correct']}"


def ids(data: dict[str, Any], test: Callable[[list[str]], bool]) -> list[str]:
    cells = data["cells"]
    return [row["id"] for row in data["examples"] if test([outcome(cell) for cell in cells[row["id"]].values()])]


FILTERS: dict[str, Callable[[list[str]], bool]] = {
    "different": lambda cells: len(set(cells)) > 1,
    "all": lambda cells: True,
    "wrong": lambda cells: not any(cell.endswith("1.0") for cell in cells),
    "errors": lambda cells: "error" in cells,
    "abstained": lambda cells: any(cell.startswith("abstained") for cell in cells),
}


def test_filters_show_exactly_the_matching_examples(visit: Visit) -> None:
    page, data = visit("answer", "matrix"), answer_page()
    expect(page.get_by_role("button", name="Different")).to_have_attribute("aria-pressed", "true")
    lists(page, ids(data, FILTERS["different"]))
    for name, test in FILTERS.items():
        wanted = ids(data, test)
        button = page.locator(f"[data-value={name}]")
        expect(button).to_contain_text(str(len(wanted)))
        button.click()
        lists(page, wanted)
    page.locator("[data-value=all]").click()
    page.get_by_label("Tag").select_option("unanswerable")
    tagged = [row["id"] for row in data["examples"] if "unanswerable" in row["tags"]]
    lists(page, tagged)
    expect(page.get_by_role("status")).to_have_text(f"{len(tagged)} of {len(data['examples'])} examples")
    page.get_by_label("Search").fill("ROOST outage")
    expect(page.get_by_role("status")).to_contain_text("1 of")
    stands_at(page, "#matrix?filter=all&tag=unanswerable&q=ROOST+outage")
    page.get_by_label("Search").fill("no such words")
    page.get_by_role("link", name="Show all examples").click()
    lists(page, [row["id"] for row in data["examples"]])


def test_every_sign_has_a_word(visit: Visit) -> None:
    page = visit("hard", "matrix?filter=all")
    rows = page.locator(".cells tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent))"
    )
    assert rows == [
        ["✓correct", "✗wronguncited"],
        ["○answered, no scoreuncited", "·not run"],
        ["–✓rightly abstained", "!error"],
        ["✓correct", "✗wronguncited"],
        ["✗wrong", "0.25score 0.25"],
    ]


def test_many_rows_are_paged(visit: Visit) -> None:
    page = visit(answer_page(450), "matrix?filter=all")
    assert len(page.evaluate(SHOWN)) == 200
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("status")).to_have_text("450 of 450 examples; showing 201 to 400")
    stands_at(page, "#matrix?filter=all&page=2")
    last = page.evaluate(SHOWN)[-1]
    page.locator(f"[data-id='{last}']").click()
    expect(page.locator(".kicker")).to_contain_text(last)
    page.keyboard.press("j")  # the next example is on the next page
    page.keyboard.press("u")
    expect(page.get_by_role("status")).to_contain_text("showing 401 to 450")
    expect(page.locator(".cells tbody a").first).to_be_focused()


BOX = "(one) => one.getBoundingClientRect().toJSON()"


@pytest.mark.parametrize("width", [750, 1280, 1920])
def test_many_approaches_leave_the_questions_readable(visit: Visit, width: int) -> None:
    page = visit("crowded", "matrix?filter=all", width=width)
    heads, question = page.locator(".cells thead th"), page.locator(".cells tbody th").first
    assert heads.count() == 1 + 14
    for box in heads.evaluate_all(f"(all) => all.map({BOX})")[1:]:
        assert 64 <= box["width"] <= 120
    before = question.evaluate(BOX)
    assert before["width"] >= 240
    assert before["height"] < 120, "two lines of the question under its id"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heads.last.scroll_into_view_if_needed()
    assert heads.last.evaluate(BOX)["right"] <= width
    assert question.evaluate(BOX)["left"] == before["left"], "stays in sight while the frame scrolls sideways"


def test_the_head_of_many_approaches_stays_in_sight(visit: Visit) -> None:
    page = visit("crowded", "matrix?filter=all", width=800)
    frame, head = page.locator(".frame"), page.locator(".cells thead th").last
    expect(frame).to_have_attribute("tabindex", "0")
    links = page.locator(".cells tbody a")
    for at, key in [*((at, "j") for at in range(16)), *((at, "k") for at in reversed(range(4, 15)))]:
        page.keyboard.press(key)
        expect(links.nth(at)).to_be_focused()
    above, row = head.evaluate(BOX), links.nth(4).evaluate(BOX)
    assert 0 <= above["top"] < above["bottom"] <= row["top"]
    links.last.press("Enter")
    expect(page.locator(".card").first).to_be_visible()
    page.keyboard.press("u")
    expect(links.last).to_be_focused()
    above, row = head.evaluate(BOX), links.last.evaluate(BOX)
    assert 0 <= above["top"] < above["bottom"] <= row["top"] < row["bottom"] <= frame.evaluate(BOX)["bottom"] <= 900
    page.set_viewport_size({"width": 400, "height": 900})
    expect(frame).not_to_have_attribute("tabindex", "0")


# -- an example ----------------------------------------------------------------------------------------------------


def test_an_example_shows_answers_and_the_quote_in_its_passage(visit: Visit) -> None:
    page, data = visit("answer", "matrix"), answer_page()
    key, name, citation = next(
        (key, name, citation)
        for key, row in data["cells"].items()
        for name, cell in row.items()
        for citation in cell["citations"][:1]
        if citation["support"] == "exact" and cell["scores"]["correct"] == 1 and key in ids(data, FILTERS["different"])
    )
    example = next(row for row in data["examples"] if row["id"] == key)
    page.locator(f"[data-id='{key}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(example["input"])
    expect(page.get_by_text(example["evidence"][0]["quote"]).first).to_be_visible()
    cards = page.locator(".card")
    assert cards.count() == len(APPROACHES)
    card = cards.filter(has=page.get_by_role("heading", name=name))
    expect(card.locator("header")).to_contain_text("correct")
    expect(card).to_contain_text("gold passage")
    chip = card.get_by_role("button", name="Citation 1, exact")
    expect(card.locator(".cites.exact")).to_have_text(citation["sentence"].rstrip("."))

    chip.hover()
    passage = page.get_by_role("dialog", name="Passage of citation 1")
    expect(passage.locator("mark")).to_have_text(citation["quote"].rstrip("."))
    expect(passage).to_contain_text(citation["source"])
    expect(passage.locator(".path")).to_have_text(citation["heading"].replace(" > ", " › "))
    expect(passage.locator(".words")).to_have_text(data["passages"][citation["passage_id"]]["text"])
    page.mouse.move(0, 0)
    expect(passage).to_have_count(0)
    chip.focus()
    expect(passage).to_be_visible()
    chip.press("Enter")
    expect(passage).to_be_focused()
    page.keyboard.press("Escape")
    expect(passage).to_have_count(0)
    expect(chip).to_be_focused()
    chip.click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    expect(passage).to_be_visible()  # pinned
    page.get_by_role("heading", level=1).click()
    expect(passage).to_have_count(0)


def test_an_uncited_answer_and_every_state_of_support_look_different(visit: Visit) -> None:
    page = visit("hard", "matrix")
    row = page.locator(".cells tbody tr").filter(has=page.locator("[data-id='states']"))
    expect(row.get_by_role("cell").nth(0)).not_to_contain_text("uncited")
    expect(row.get_by_role("cell").nth(1)).to_contain_text("uncited")
    page.locator("[data-id='states']").click()
    cited, uncited = page.locator(".card").nth(0), page.locator(".card").nth(1)
    expect(cited.locator(".chip")).to_have_text(["[1] added", "[2] not checked", "[3] <i>half</i> true"])
    expect(cited.get_by_role("button", name="Citation 3, <i>half</i> true")).to_be_visible()
    expect(cited.locator(".answer .flag.uncited")).to_have_text("not cited")
    expect(cited.locator(".answer")).to_contain_text("Pigs <b>fly</b>.not cited")
    expect(cited.locator(".sources li")).to_have_count(4)
    expect(cited.locator(".sources li").last).to_have_text("not cited: “Pigs <b>fly</b>.”")
    expect(cited).not_to_contain_text("No sentence of this answer is cited.")
    expect(uncited).to_contain_text("No sentence of this answer is cited.")
    for name, text in {
        "Citation 1, exact, marker added": "The model gave no marker here; groundtune added it.",
        "Citation 2, not checked": "nothing could tell whether the meaning does",
        "Citation 3": "<i>half</i> true: so says another checker.",
    }.items():
        cited.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_contain_text(text)
        page.keyboard.press("Escape")


def test_offsets_count_as_python_does_and_markers_find_their_sentence(visit: Visit) -> None:
    page = visit("hard", "matrix")
    page.locator(".cells tbody a").first.click()
    answer = page.locator(".answer").first
    expect(answer.locator(".cites.exact")).to_have_text("Bikes 🚲 come with a lock")
    expect(answer.locator(".cites.missing")).to_have_text("They are free")
    expect(answer).to_have_text(
        'Bikes 🚲 come with a lock [1]. They are free [7] unsupported. See rows[3] & "more" {{page}}.'
    )
    answer.get_by_role("button", name="Citation 1").click()
    expect(page.locator("mark")).to_have_text("Bikes 🚲 come with a lock.")
    expect(page.locator(".passage .path")).to_contain_text('Fleet › "Locks" & keys, page 3')
    answer.get_by_role("button", name="Citation 7, unsupported").click()
    expect(page.locator(".passage")).to_contain_text("the model was given no passage for [7]")


def test_fields_errors_and_judges_are_shown(visit: Visit) -> None:
    page = visit("hard", "example/fields")
    card = page.locator(".card").first
    expect(card.locator(".differs")).to_have_text("items[2].nnot given✗ gold: 2")
    expect(card).to_contain_text("One item is lost.")
    page.goto(page.url.replace("fields", "constructor"))
    expect(page.locator(".failure")).to_contain_text("bad response</script>")
    expect(page.get_by_text("Abstain: the documents do not answer this.")).to_be_visible()
    page.goto(page.url.replace("constructor", "none-such"))
    expect(page.get_by_role("heading", level=1)).to_have_text("No such example")


# -- keys and addresses --------------------------------------------------------------------------------------------


def test_the_report_is_usable_by_keyboard_alone(visit: Visit) -> None:
    page, data = visit("answer"), answer_page()
    different = ids(data, FILTERS["different"])
    press = page.keyboard.press
    press("2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Matrix")
    press("j")
    press("ArrowDown")
    press("j")
    press("k")
    expect(page.locator(f"[data-id='{different[1]}']")).to_be_focused()
    press("Enter")
    expect(page.locator(".kicker")).to_contain_text(different[1])
    press("ArrowRight")
    press("j")  # both at once: each is for the example that is shown then
    expect(page.locator(".kicker")).to_contain_text(different[3])
    press("k")
    expect(page.locator(".kicker")).to_contain_text(different[2])
    expect(page.get_by_text(f"3 of {len(different)}")).to_be_visible()
    press("Escape")
    expect(page.locator(f"[data-id='{different[2]}']")).to_be_focused()
    press("/")
    page.keyboard.type("warranty 2 1")  # keys are text in the search
    expect(page.get_by_role("status")).not_to_contain_text(f"{len(different)} of")
    press("Escape")
    press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text(data["sentence"])
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_tab_reaches_everything(visit: Visit) -> None:
    page = visit("hard", "matrix?filter=all")
    reached = set()
    for _ in range(24):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.add(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert {"Skip to the content", "Verdict", "Matrix", "search"} <= reached
    assert any("Read the letter" in text for text in reached)


@pytest.mark.parametrize(
    "at", ["matrix?filter=abstained&tag=it&q=vpn&sort=gap", "example/q006?filter=all&q=offers", "verdict"]
)
def test_the_address_restores_the_state(visit: Visit, at: str) -> None:
    page = visit("answer", at)
    first = page.locator("main").inner_text()
    fields = "Array.from(document.querySelectorAll('select, input'), (one) => one.value)"
    values = page.evaluate(fields)
    page.reload()
    assert page.locator("main").inner_text() == first
    assert page.evaluate(fields) == values
    stands_at(page, f"#{at}")
    if at.startswith("matrix"):
        assert values == ["vpn", "it", "gap"]
        expect(page.locator("[data-value=abstained]")).to_have_attribute("aria-pressed", "true")
    if at.startswith("example"):
        page.get_by_role("link", name="Matrix").last.click()
        stands_at(page, "#matrix?filter=all&q=offers")
        page.go_back()
        expect(page.locator(".kicker")).to_contain_text("q006")


def test_the_report_works_with_little_data(visit: Visit) -> None:
    """Only a results file is available, or not even that."""
    data = answer_page()
    page = visit(data | {"examples": [], "passages": {}, "tags": [], "comparisons": []}, "matrix")
    assert set(page.evaluate(SHOWN)) == set(ids(data, FILTERS["different"]))
    page.locator(".cells tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The input is not in this report")
    for chip in page.locator(".chip").all():
        chip.click()
        page.keyboard.press("Escape")
    page = visit({"title": "empty", "sentence": "Nothing was compared.", "approaches": []})
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was compared.")
    page.keyboard.press("2")
    expect(page.get_by_text("No example matches.")).to_be_visible()


def test_a_reply_that_was_cut_off_says_so_in_the_table_and_beside_the_answer(visit: Visit) -> None:
    page = visit("hard", "example/fields")
    card = page.locator("article", has_text="Bob")
    expect(card.locator(".doubts li")).to_have_text(
        ["Cut off at max_output_tokens.", "the server read <b>half</b> of the prompt"]
    )
    expect(page.locator(".doubts")).to_have_count(1)
    page = visit("hard", "verdict")
    expect(page.get_by_role("columnheader", name="cut off")).to_be_visible()
    expect(page.get_by_role("row", name="prompt").first).to_contain_text("1max_output_tokens")
    expect(visit("answer", "verdict").get_by_role("columnheader", name="cut off")).to_have_count(0)
