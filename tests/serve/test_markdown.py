"""What a document says is shown as it is by clients that show Markdown, and loads nothing there."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from groundtune.serve.api.markdown import as_markdown, markdown_pieces
from tests.serve.conftest import HTTP, Serve

SHOWN = {
    "Write <img src=x onerror=alert(1)> now.": "Write <img src=x onerror=alert(1)> now.",
    "It is ![alt text](x.png) in Markdown.": "It is !alt text in Markdown.",
    "\\<script>alert(1)</script> is escaped.": "&#60;script>alert(1)</script> is escaped.",
    "A <b onmouseover='x()'>word.": "A <b onmouseover='x()'>word.",
    "<p style='background: url(//x)'> and <b>bold": "<p style='background: url(//x)'> and bold",
    "<details type=tool_calls embeds=x>, <IFRAME src=x>": "<details type=tool_calls embeds=x>, <IFRAME src=x>",
}
"""Texts of documents, and what somebody reads whose client shows Markdown with HTML."""


@pytest.mark.parametrize("text", SHOWN)
def test_signs_that_load_something_are_shown_as_text(text: str) -> None:
    page = LexborHTMLParser(MarkdownIt("commonmark", {"html": True}).render(as_markdown(text)))
    assert page.body is not None
    assert page.body.text().strip() == SHOWN[text]
    assert page.css("img, script, iframe, details, [style], [onmouseover]") == []


@pytest.mark.parametrize("text", ["a < b, x <y> z", "Well done! [1] See [the form](https://a.example).", "vec![1, 2]"])
def test_other_text_stays(text: str) -> None:
    assert as_markdown(text) == text


PARTS = st.sampled_from(
    ["<", "<img", "</", "<a", " onload=", "!", "[", "a b", "](", ">", " ", "\n", "x", "<p", "style="]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=12), st.lists(st.integers(0, 60), max_size=6))
def test_in_pieces_it_is_the_same_text(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = markdown_pieces()
    assert "".join([*(pieces.add(text[a:b]) for a, b in pairwise(places)), pieces.finish()]) == as_markdown(text)


def test_a_quote_is_word_for_word_and_harmless(serve: Serve) -> None:
    server = serve()
    said = 'Pictures in a wiki page are written as <img src="https://elsewhere.example/x.png"> by hand.'
    (server.project.root / "docs/wiki.txt").write_text(said)
    server.project.ingest()
    question = "How are pictures written in a wiki page?"
    assert said in server.project.ask(question, approach="quote-hybrid").text
    body = {"model": "quote-hybrid", "messages": [{"role": "user", "content": question}]}
    reply = HTTP.post(f"{server.url}/v1/chat/completions", json=body).json()
    shown = said.replace("<img", "&#60;img")
    assert reply["choices"][0]["message"]["content"].startswith(f"{shown} [1]")
    (cited, *_) = reply["groundtune"]["citations"]
    assert (cited["quote"], cited["support"]) == (said, "exact")
    place = reply["choices"][0]["message"]["annotations"][0]["url_citation"]
    assert reply["choices"][0]["message"]["content"][place["start_index"] : place["end_index"]] == "[1]"
    with server.client() as client:
        options = {"extra_body": {"groundtune": {"sources": True}}}
        stream = client.chat.completions.create(**body, stream=True, **options)
        chunks = [chunk.model_dump() for chunk in stream]
    text = "".join(choice["delta"]["content"] or "" for chunk in chunks for choice in chunk["choices"])
    assert text == reply["choices"][0]["message"]["content"]
    assert any(shown in event["event"]["data"]["document"][0] for event in chunks if "event" in event)
