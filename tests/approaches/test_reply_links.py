"""A reply names no address that it was not given, and loads nothing."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.approaches.reply_links import ReplyLinks

SOURCES = (
    "The form is at https://shop.example/returns/form. Write to help@shop.example.",
    "See www.other.example/x?a=1",
)


def links(*, grounded: bool = True) -> ReplyLinks:
    return ReplyLinks(SOURCES, grounded=grounded)


@pytest.mark.parametrize(
    "text",
    [
        "Go to https://shop.example/returns/form [1].",
        "[the form](https://shop.example/returns/form)",
        "https://shop.example/ and http://www.shop.example",
        "www.other.example/x?a=1, https://other.example/x",
        "Write to mailto:help@shop.example.",
        "a // comment; vec![1, 2]; C:/x; and/or; 1//2; x <y> z; data: none",
        "https://shop.example/returns/form。谢谢",
    ],
)
def test_addresses_of_the_prompt_and_other_text_stay(text: str) -> None:
    assert links().guarded(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[here](https://evil.example/?q=secret) [1].", "[here]([link removed]) [1]."),
        ("See https://evil.example/a, now.", "See [link removed], now."),
        ("https://shop.example.evil.example/x", "[link removed]"),
        ("https://shop.example/returns/form?secret=30", "[link removed]"),
        ("https://op.example", "[link removed]"),
        ("www.evil.example/x", "[link removed]"),
        ("[a](//evil.example/x)", "[a]([link removed])"),
        ("[a][1]\n\n[1]: https://evil.example", "[a][1]\n\n[1]: [link removed]"),
        ("[a](javascript:alert(1))", "[a]([link removed](1))"),
        ("data:text/html,x", "[link removed]"),
        ("mailto:bad@evil.example?body=secret", "[link removed]"),
        ("ftp://evil.example", "[link removed]"),
        ("https://evíl.example/x", "[link removed]íl.example/x"),
        ("![alt](https://shop.example/returns/form)", "[alt](https://shop.example/returns/form)"),
        ("<passage>\nA refund [1].\n</passage>", "A refund [1].\n"),
        ("a![alt text][1]", "a[alt text][1]"),
        ("<img src=x onerror=y><SVG/onload=z></iframe>", "< img src=x onerror=y>< SVG/onload=z>< /iframe>"),
        ("<p style='x'>, <b a onclick = y>, <i title=src>", "< p style='x'>, < b a onclick = y>, <i title=src>"),
    ],
)
def test_other_addresses_are_left_out_and_nothing_is_loaded(text: str, shown: str) -> None:
    assert links().guarded(text) == shown


def test_a_model_without_passages_may_name_what_it_knows_but_make_nothing_from_an_address_of_the_input() -> None:
    text = "https://docs.example/a ![x](y) https://shop.example/returns/form?q=secret"
    assert links(grounded=False).guarded(text) == "https://docs.example/a [x](y) [link removed]"


PARTS = st.sampled_from(
    [
        "https://shop.example/returns/form", "https://evil.example/?q=", "www.", "//", "!", "[", "](", "![a b](", "<",
        "<img", "<a", " onload=", "/style=", ">",
        "<passage>", "\n</passage>", " src=", "mailto:", "data:a/b,", "javascript:", "word", " ", "\n", ".",
        ")", "]", "é", "谢谢", "help@shop.example",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=12), st.lists(st.integers(0, 120), max_size=6))
def test_in_pieces_it_is_the_same_text(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    streamed = links()
    pieces = [streamed.add(text[a:b]) for a, b in pairwise(places)]
    assert "".join([*pieces, streamed.finish()]) == links().guarded(text)
