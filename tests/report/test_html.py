"""The report is self-contained, shows its verdict, and stays readable at every size and in both colour schemes."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from groundtune.report.html import render_page
from tests.report.conftest import Visit
from tests.report.pages import APPROACHES, answer_page, hard_page, labelled_page

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HARD_TO_READ = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


def embedded(text: str, name: str) -> Any:
    """Return the data that a browser would read from an embedded JSON element."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script', text, re.DOTALL)
    assert match
    return json.loads(match[1])


# -- the file ------------------------------------------------------------------------------------------------------


def test_the_file_is_self_contained() -> None:
    page = answer_page()
    text = render_page(page)
    code = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#|data:,)|@import|url\(|\bfetch\(|https?://(?!www\.w3\.org/2000/svg)', code)
    for part in ("examples", "cells", "passages"):
        assert embedded(text, part) == page[part]
    assert embedded(text, "page")["approaches"] == page["approaches"]


def test_hard_texts_stay_inside_their_elements() -> None:
    page = hard_page()
    text = render_page(page)
    assert text.count("</script") == text.count("<script") == 6
    assert "\u2028" not in text
    assert "</title><script>" not in text
    text.encode()  # no lone surrogate is left
    cells = embedded(text, "cells")
    assert cells["rtl/1?x=#2"]["rag"]["scores"] == {"correct": None}
    assert cells["fields"] == page["cells"]["fields"]
    assert embedded(text, "examples") == page["examples"]


def test_five_thousand_examples_are_rendered_and_usable_in_seconds(browser: Browser, tmp_path: Path) -> None:
    page = answer_page(5000)
    for row in page["cells"].values():
        for cell in row.values():
            if isinstance(cell["output"], str):
                cell["output"] = cell["output"].ljust(300, "x")
    began = time.process_time()
    text = render_page(page)
    assert time.process_time() - began < 3
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    tab = browser.new_page()
    for at, shown in (
        ("verdict", ".plot svg"),
        ("matrix?filter=all&page=20", ".cells tbody tr"),
        ("example/q006.30", ".card"),
    ):
        tab.goto("about:blank")
        began = time.perf_counter()
        tab.goto(f"{path.as_uri()}#{at}")
        tab.wait_for_selector(shown)
        assert time.perf_counter() - began < 30, at  # 1 s
    tab.close()


# -- the verdict ---------------------------------------------------------------------------------------------------


def test_the_verdict_comes_first(visit: Visit) -> None:
    page, data = visit("answer"), answer_page()
    expect(page.get_by_role("heading", level=1)).to_have_text(data["sentence"])
    verdict = data["verdict"]
    for text in (*verdict["reasons"], *verdict["flips"], *verdict["caveats"], data["unavailable"]["context-large"]):
        expect(page.get_by_text(text)).to_be_visible()
    expect(page.get_by_text("About 640 more examples would make smaller differences detectable")).to_be_visible()
    table = page.get_by_role("table", name="Approaches with score")
    assert table.get_by_role("rowheader").count() == len(APPROACHES)
    best = data["approaches"][0]
    row = table.get_by_role("row").filter(has_text=best["name"])
    expect(row).to_contain_text(f"{best['mean']:.2f} [{best['low']:.2f}, {best['high']:.2f}]")
    expect(row).to_contain_text("leader")
    expect(page.get_by_role("table", name="Score by tag", exact=True)).to_contain_text("unanswerable")
    page.get_by_text("The other 10 pairs").click()
    assert page.get_by_role("table", name=re.compile("Differences")).get_by_role("rowheader").count() == 15


def test_guides_are_held_against_the_figures(visit: Visit) -> None:
    rows = visit("answer").get_by_role("table", name="Guides and the figures").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("citations are asked for")
    expect(rows.nth(1)).to_contain_text("right")
    expect(rows.nth(2)).to_contain_text("<b>Vs</b>")
    expect(rows.nth(2)).to_contain_text("fine-tune (by default)")


def test_the_diagnosis_says_what_to_try_and_links_to_examples(visit: Visit) -> None:
    page, data = visit("answer"), answer_page()
    worst = max(data["diagnosis"], key=lambda each: each["failures"])
    largest = worst["causes"][0]
    heat = page.get_by_role("table", name="Failures by cause")
    expect(heat.get_by_role("row").filter(has_text=largest["cause"])).to_contain_text(f"{largest['share']['mean']:.2f}")
    remedy = page.locator(".remedies > div").filter(has_text=worst["approach"]).first
    expect(remedy).to_contain_text(f"{largest['cause']}: {largest['count']} of {worst['n']}")
    expect(remedy).to_contain_text(f"No tuning of <b>{worst['approach']}</b> will help")
    remedy.get_by_role("link", name=largest["examples"][1], exact=True).click()
    expect(page.locator(".kicker")).to_contain_text(largest["examples"][1])
    rest = [cause for each in data["diagnosis"] for cause in each["causes"][1:]]
    page.go_back()
    page.get_by_text(f"Other causes: {len(rest)}").click()
    expect(page.locator("details .remedies > div")).to_have_count(len(rest))


@pytest.mark.parametrize("width", [1280, 800, 360])
def test_labels_of_the_plot_do_not_overlap(visit: Visit, width: int) -> None:
    data = answer_page()
    crowd = [
        {**data["approaches"][0], "name": f"approach-number-{at}", "usd_per_1k": 1 + at / 50, "mean": 0.8 + at / 200,
         "low": 0.7, "high": 0.9} for at in range(10)
    ]  # fmt: skip
    free = {**crowd[0], "name": "local", "usd_per_1k": 0}
    unknown = {**crowd[0], "name": "unpriced", "usd_per_1k": None}
    page = visit(data | {"approaches": [*crowd, free, unknown]}, width=width)
    boxes = page.eval_on_selector_all(".plot .label", "(all) => all.map((one) => one.getBoundingClientRect().toJSON())")
    assert len(boxes) == 11
    for at, box in enumerate(boxes):
        for other in boxes[at + 1 :]:
            aside = box["right"] <= other["left"] or other["right"] <= box["left"]
            assert aside or box["bottom"] <= other["top"] or other["bottom"] <= box["top"]
    expect(page.locator(".plot")).to_contain_text("Not drawn: unpriced (price unknown)")


def test_time_stands_in_for_an_unknown_price(visit: Visit) -> None:
    data = answer_page()
    page = visit(data | {"approaches": [approach | {"usd_per_1k": None} for approach in data["approaches"]]})
    expect(page.locator(".plot svg").first).to_have_attribute("aria-label", re.compile("seconds, 95th percentile"))


def test_labels_have_their_tables(visit: Visit) -> None:
    page, data = visit("labels"), labelled_page()
    expect(page.get_by_role("table", name="Precision and recall of the hardest labels")).to_be_visible()
    grid = page.get_by_role("table", name="Confusion matrix")
    for name in ("tuned-classifier", "prompt-large"):
        page.get_by_role("combobox", name="Approach").select_option(name)
        shown = grid.locator("tbody tr").evaluate_all(
            "(rows) => rows.map((row) => [...row.cells].slice(1).map((cell) => Number(cell.textContent || 0)))"
        )
        assert shown == data["classes"][name]["confusion"]
    assert page.evaluate("location.hash") == "#verdict?of=prompt-large"
    page.reload()
    expect(page.get_by_role("combobox", name="Approach")).to_have_value("prompt-large")


def test_signs_that_are_not_labels_are_explained(visit: Visit) -> None:
    data = labelled_page(labels=3, examples=60)
    note = "–: no label (row: none is correct; column: the approach abstained); (other): a reply that is not one"
    page = visit(data)
    expect(page.get_by_role("table", name="Confusion matrix")).to_be_visible()
    expect(page.get_by_text("column: the approach abstained")).to_have_count(0)
    for table in data["classes"].values():
        table["labels"] = [*table["labels"], "–", "(other)"]
        table["confusion"] = [*([*row, 1, 0] for row in table["confusion"]), [0] * 5, [0] * 5]
    expect(visit(data).get_by_text(note)).to_be_visible()


@pytest.mark.parametrize(
    ("choice", "leaders", "kicker"),
    [("rag-large", ["rag-large"], "Verdict"), (None, ["rag-large", "rag-small"], "No clear winner"),
     (None, [], "No eligible approach")],
)  # fmt: skip
def test_the_kicker_above_the_sentence(visit: Visit, choice: str | None, leaders: list[str], kicker: str) -> None:
    data = answer_page()
    page = visit(data | {"choice": choice, "verdict": data["verdict"] | {"leaders": leaders}})
    expect(page.locator(".kicker")).to_have_text(kicker)


def test_the_page_does_not_claim_that_more_examples_decide_a_tie(visit: Visit) -> None:
    """After a tie, more examples could only detect a difference worth knowing, and the sentence says so."""
    data = answer_page()
    tie = data["verdict"] | {"more_examples": 990}
    box = visit(data | {"choice": None, "verdict": tie}).get_by_role("region", name="What would change the verdict")
    expect(box).to_contain_text("About 990 more examples would make smaller differences detectable.")
    expect(box).not_to_contain_text("decide")


def test_figures_of_pairs_are_explained(visit: Visit) -> None:
    data = answer_page()
    pairs = data["comparisons"]
    agreed = [pair | {"low": 0.01, "high": 0.2, "difference": 0.1, "p_adjusted": 0.001} for pair in pairs]
    page = visit(data | {"comparisons": agreed})
    expect(page.get_by_role("columnheader", name="needed in total").first).to_be_visible()
    expect(page.get_by_text("the only pair tested")).to_contain_text("and accounts for all pairs")
    expect(page.get_by_text("seem to disagree")).to_have_count(0)
    page = visit(data | {"comparisons": [agreed[0] | {"p_adjusted": 0.32}, *agreed[1:]]})
    expect(page.get_by_text("seem to disagree: the interval is for that pair alone")).to_be_visible()


# -- every screen --------------------------------------------------------------------------------------------------

PLACES = [
    ("answer", "verdict"), ("answer", "matrix"), ("answer", "example/q006"),
    ("labels", "verdict"), ("labels", "matrix"), ("labels", "example/t1"),
    ("hard", "verdict"), ("hard", "matrix?filter=all"), ("hard", "example/fields"),
    ("hard", "example/rtl%2F1%3Fx%3D%232"),
    ("crowded", "verdict"), ("crowded", "matrix"),
]  # fmt: skip


@pytest.mark.parametrize(("width", "scale"), [(360, 1), (640, 2), (1280, 1)], ids=["phone", "zoomed", "wide"])
def test_the_page_never_scrolls_sideways(visit: Visit, width: int, scale: int) -> None:
    for report, at in PLACES:
        page = visit(report, at, width=width, device_scale_factor=scale)
        assert page.evaluate(OVERFLOW) <= 0, (report, at)
        if page.locator(".chip").count():
            page.locator(".chip").last.click()
            assert page.evaluate(OVERFLOW) <= 0, (report, at)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(visit: Visit, scheme: str) -> None:
    for report, at in PLACES:
        page = visit(report, at, color_scheme=scheme)
        assert page.evaluate(HARD_TO_READ) == [], (report, at)
