"""The page that shows a passage in its document."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.serve.pages.passages import SHOWN, passage_html
from groundtune.types import Document, Passage
from tests.serve.conftest import HTTP, Running

TAG = re.compile(r"<[^>]*>")


def shown(text: str, start: int, end: int, pages: tuple[int, ...] = ()) -> str:
    document = Document("d", "a.md", text, pages=pages)
    return passage_html(Passage("d:0", "d", "a.md", 0, start, end, text[start:end]), document)


@given(st.text(alphabet=st.sampled_from("ab<>&\"'\n é漢"), max_size=60), st.data())
def test_the_passage_is_marked_by_its_offsets_and_escaped(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    page = shown(text, start, end)
    before, inside, after = re.split(r"<mark [^>]*>|</mark>", page)
    assert (html.unescape(before), html.unescape(inside), html.unescape(after)) == (
        text[:start],
        text[start:end],
        text[end:],
    )
    assert TAG.sub("", page).count("<") == 0


def test_pages_and_left_out_text_are_told() -> None:
    page = shown("one two three", 4, 7, pages=(0, 4, 8))
    assert re.findall(r'class="page">page (\d)', page) == ["1", "2", "3"]
    long = "x" * (SHOWN + 10)
    assert "10 characters left out" in shown(long + "passage", len(long), len(long) + 7)


def test_a_link_of_a_citation_leads_to_its_passage(quotes: Running) -> None:
    reply = quotes.client().responses.create(model="acme", input="When is a refund paid?")
    url = reply.output[0].content[0].annotations[0].url  # type: ignore[union-attr]
    page = HTTP.get(url)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert re.search(r"<mark [^>]*>A refund is paid within 30 days of delivery.", page.text)
    for asset in re.findall(r'href="(/assets/[^"]+)"', page.text):
        assert HTTP.get(quotes.url + asset).status_code == 200


@pytest.mark.parametrize(
    "path", ["/passages/none", "/passages/..%2F..%2Fetc", "/assets/keys.json", "/assets/..%2Fapp.py"]
)
def test_nothing_else_is_shown(quotes: Running, path: str) -> None:
    assert HTTP.get(quotes.url + path).status_code == 404
