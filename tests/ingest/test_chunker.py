"""Passages of random documents: exact offsets, nothing lost, never over the embedder's limit or across headings."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from groundtune.ingest.chunker import Chunker, ContextualPassage, embedded_text
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.ingest.splitting import fixed_tokens, paragraphs, parent_child, sentence_window, whole_document
from groundtune.ingest.splitting.spans import Strategy
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.types import Document

Count = Callable[[Sequence[str]], list[int]]
QUICK = settings(max_examples=35, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def byte_level() -> Count:
    """Train a small byte-level BPE: unlike in WordPiece, line breaks and odd characters cost tokens of their own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(["the refund is paid within thirty days of the delivery of the goods"] * 20, trainer)
    return lambda texts: [len(encoding) + 2 for encoding in tokenizer.encode_batch_fast(list(texts))]


BYTE_LEVEL = byte_level()
WORDPIECE = BundledEmbedder().count_tokens
COUNTS = {"wordpiece": WORDPIECE, "byte-level": BYTE_LEVEL}
STRATEGIES: dict[str, Strategy] = {
    "paragraph": partial(paragraphs.split, min_tokens=20),
    "fixed": partial(fixed_tokens.split, overlap_tokens=7),
    "sentence-window": partial(sentence_window.split, window=2),
    "parent-child": partial(parent_child.split, min_tokens=8, parent_tokens=90),
    "document": partial(whole_document.split, min_tokens=8, parent_tokens=200),
}
LIMITS = [(256, 220, 60), (64, 220, 20), (32, 16, 8), (128, 128, 0)]

word = st.one_of(
    st.sampled_from(["the", "refund", "policy", "z.B.", "3,200", "Dr.", "e.g."]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    st.sampled_from(["x" * 400, "日本語のとても長い文" * 12, "👩‍🔧" * 40, "ß" * 90, "a-b_c/d" * 60]),
)
sentence = st.lists(word, min_size=1, max_size=25).map(lambda words: " ".join(words) + ".")
paragraph = st.lists(sentence, min_size=1, max_size=8).map(" ".join)
part = st.one_of(
    st.tuples(st.just("heading"), st.integers(1, 4), st.lists(word, min_size=1, max_size=6).map(" ".join)),
    st.tuples(st.just("heading"), st.integers(1, 2), st.sampled_from(["Same", "Same again", "t " * 300])),
    st.tuples(st.just("paragraph"), st.sampled_from([0, 0, 60, 700]), paragraph),
    st.tuples(st.just("code"), st.just(0), st.lists(sentence, max_size=6).map("\n\n  ".join)),
    st.tuples(st.just("code"), st.just(0), st.lists(sentence, max_size=6).map(f"\n{' ' * 50}".join)),
    st.tuples(st.just("row"), st.just(0), st.lists(word, min_size=1, max_size=5).map("|".join)),
    st.tuples(st.just("page"), st.just(0), st.just("")),
)
title = st.one_of(st.none(), st.lists(word, min_size=1, max_size=60).map(" ".join))


def build(parts: Sequence[tuple[str, int, str]], name: str | None = None) -> tuple[Document, ParsedDocument]:
    builder = TextBuilder()
    for kind, level, text in parts:
        match kind:
            case "heading":
                builder.heading(level, text)
            case "paragraph":
                builder.paragraph(text, page_breaks=range(level, len(text), level) if level else ())
            case "code":
                builder.code(text)
            case "row":
                builder.row(text.split("|"), ["Name", "Value"])
            case "page":
                builder.page()
    parsed = builder.build(title=name)
    return Document("d", "d.md", parsed.text, title=parsed.title, pages=parsed.pages), parsed


def check(
    contextual_passages: Sequence[ContextualPassage],
    document: Document,
    parsed: ParsedDocument,
    count: Count,
    limit: int,
    *,
    overlap: bool = False,
) -> None:
    passages = [contextual.passage for contextual in contextual_passages]
    assert [p.ordinal for p in passages] == list(range(len(passages)))
    assert len({p.id for p in passages}) == len(passages)
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.text.strip()
    assert all(left.start < right.start and left.end < right.end for left, right in pairwise(passages))
    assert overlap or all(left.end <= right.start for left, right in pairwise(passages))
    assert all(tokens <= limit for tokens in count([embedded_text(contextual) for contextual in contextual_passages]))
    covered = bytearray(len(document.text))
    for passage in passages:
        covered[passage.start : passage.end] = b"\1" * (passage.end - passage.start)
    for block in parsed.blocks:
        lost = [i for i in range(block.start, block.end) if not covered[i] and not document.text[i].isspace()]
        assert lost == []
    for passage in passages:
        inside = [block for block in parsed.blocks if block.start < passage.end and passage.start < block.end]
        assert {" > ".join(block.heading) for block in inside} == {passage.heading}
        between = set(range(passage.start, passage.end))
        for block in inside:
            between -= set(range(block.start, block.end))
        assert all(document.text[i].isspace() for i in between), "a heading stands inside a passage"
        assert inside[0].page is None or inside[0].page <= (passage.page or 0)
        if passage.page is not None:
            pages = [passage.page_at(offset) for offset in range(passage.start, passage.end)]
            assert pages == [bisect_right(document.pages, offset) for offset in range(passage.start, passage.end)]


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "most", "least"), LIMITS)
@pytest.mark.parametrize("tokenizer", COUNTS)
@QUICK
@given(parts=st.lists(part, max_size=14), name=title)
def test_any_document(
    tokenizer: str, limit: int, most: int, least: int, parts: list[tuple[str, int, str]], name: str | None
) -> None:
    document, parsed = build(parts, name)
    count = COUNTS[tokenizer]
    chunker = Chunker(
        count_tokens=count, limit=limit, max_tokens=most, strategy=partial(paragraphs.split, min_tokens=least)
    )
    check(chunker.split(document, parsed), document, parsed, count, limit)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(parent=QUICK, max_examples=20)
@given(parts=st.lists(part, max_size=14), name=title, context=st.sampled_from(["headings", "title", "none"]))
def test_any_document_with_every_strategy(
    strategy: str,
    context: Literal["headings", "title", "none"],
    parts: list[tuple[str, int, str]],
    name: str | None,
) -> None:
    document, parsed = build(parts, name)
    chunker = Chunker(count_tokens=WORDPIECE, limit=64, max_tokens=30, strategy=STRATEGIES[strategy], context=context)
    split = chunker.split(document, parsed)
    check(split, document, parsed, WORDPIECE, 64, overlap=strategy == "fixed")
    assert context != "none" or not any(contextual.context for contextual in split)
    for passage in (contextual.passage for contextual in split):
        start, end = passage.wider_start, passage.wider_end
        if strategy in ("paragraph", "fixed"):
            assert (start, end, passage.wider_heading) == (None, None, "")
            continue
        assert start is not None
        assert end is not None
        assert 0 <= start <= passage.start < passage.end <= end <= len(document.text)
        inside = {block.heading for block in parsed.blocks if block.start < end and start < block.end}
        assert all(" > ".join(heading).startswith(passage.wider_heading) for heading in inside)
        if strategy != "document":
            assert len(inside) == 1
            assert passage.wider_heading == passage.heading


def spans(strategy: Strategy, parts: Sequence[tuple[str, int, str]], most: int = 30) -> list[tuple[str, str | None]]:
    """Return each passage with the larger piece around it."""
    document, parsed = build(parts)
    split = Chunker(count_tokens=WORDPIECE, limit=256, max_tokens=most, strategy=strategy).split(document, parsed)
    shown = [(one.passage.wider_start, one.passage.wider_end) for one in split]
    return [
        (one.passage.text, None if start is None else document.text[start:end])
        for one, (start, end) in zip(split, shown, strict=True)
    ]


def test_fixed_windows_overlap_and_end_with_the_section() -> None:
    words = " ".join(f"word{chr(97 + n)}" for n in range(20))  # two tokens each
    texts = [
        text
        for text, _ in spans(
            STRATEGIES["fixed"], [("paragraph", 0, words), ("heading", 1, "B"), ("paragraph", 0, "End.")]
        )
    ]
    assert texts[-1] == "End."
    assert all(left.split()[-3:] == right.split()[:3] for left, right in pairwise(texts[:-1]))
    assert texts[-2].endswith("wordt")


def test_a_sentence_comes_with_its_neighbours_but_not_over_a_heading() -> None:
    parts = [
        ("paragraph", 0, "One is here. Two is here. Three is here."),
        ("paragraph", 0, "Four is here."),
        ("heading", 1, "B"),
        ("paragraph", 0, "Five."),
    ]
    found = dict(spans(partial(sentence_window.split, window=1), parts))
    assert found["One is here."] == "One is here. Two is here."
    assert found["Three is here."] == "Two is here. Three is here.\n\nFour is here."
    assert found["Five."] == "Five."


def test_children_share_a_parent_and_documents_are_whole_up_to_a_length() -> None:
    sentence = "This sentence has about ten tokens in it."
    parts = [("heading", 1, "A"), *[("paragraph", 0, sentence)] * 4, ("heading", 1, "B"), ("paragraph", 0, sentence)]
    parents = [shown for _, shown in spans(partial(parent_child.split, min_tokens=0, parent_tokens=25), parts)]
    pair = f"{sentence}\n\n{sentence}"
    assert parents == [pair, pair, pair, pair, sentence]
    document, _ = build(parts)
    whole = [shown for _, shown in spans(partial(whole_document.split, min_tokens=0, parent_tokens=999), parts)]
    assert set(whole) == {document.text.removeprefix("A\n\n")}


def test_indentation_counts_where_it_is_tokens() -> None:
    code = f"\n{' ' * 40}".join(["first step.", "second step.", "third step.", "fourth step."])
    document, parsed = build([("heading", 1, "Steps"), ("code", 0, code), ("paragraph", 0, "Then stop.")])
    split = Chunker(
        count_tokens=BYTE_LEVEL, limit=64, max_tokens=220, strategy=partial(paragraphs.split, min_tokens=20)
    ).split(document, parsed)
    check(split, document, parsed, BYTE_LEVEL, 64)


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", COUNTS)
def test_one_paragraph_of_long_sentences_and_words(tokenizer: str) -> None:
    count = COUNTS[tokenizer]
    text = "word " * 9_000 + "x" * 9_000 + " 👩‍🔧" * 900 + ". Then. " + "a, b; " * 3_000
    document, parsed = build([("heading", 1, "h" * 5_000), ("paragraph", 0, text)], "t " * 20_000)
    contextual_passages = Chunker(count_tokens=count, limit=256).split(document, parsed)
    check(contextual_passages, document, parsed, count, 256)
    assert len(contextual_passages) > 50


def passages(parts: Sequence[tuple[str, int, str]], **options: int) -> list[str]:
    document, parsed = build(parts)
    chunker = Chunker(count_tokens=WORDPIECE, limit=256, **options)
    return [contextual.passage.text for contextual in chunker.split(document, parsed)]


def test_short_neighbours_under_one_heading_are_joined() -> None:
    assert passages([("heading", 1, "A"), ("paragraph", 0, "One."), ("paragraph", 0, "Two."), ("row", 0, "x|y")]) == [
        "One.\n\nTwo.\n\nName: x; Value: y"
    ]


def test_long_neighbours_are_not_joined() -> None:
    long = "A sentence of about ten tokens stands right here. " * 8
    assert len(passages([("paragraph", 0, long), ("paragraph", 0, long)])) == 2
    assert len(passages([("paragraph", 0, long), ("paragraph", 0, "Short.")])) == 1


def test_nothing_is_joined_across_headings() -> None:
    parts = [("heading", 1, "A"), ("paragraph", 0, "One."), ("heading", 1, "B"), ("paragraph", 0, "Two.")]
    assert passages(parts) == ["One.", "Two."]


def test_nothing_is_joined_across_a_repeated_heading() -> None:
    parts = [("heading", 1, "A"), ("paragraph", 0, "One."), ("heading", 1, "A"), ("paragraph", 0, "Two.")]
    assert passages(parts) == ["One.", "Two."]


def test_nothing_is_joined_across_pages() -> None:
    parts = [("page", 0, ""), ("paragraph", 0, "One."), ("page", 0, ""), ("paragraph", 0, "Two.")]
    document, parsed = build(parts)
    contextual_passages = Chunker(count_tokens=WORDPIECE, limit=256).split(document, parsed)
    assert [(s.passage.text, s.passage.page) for s in contextual_passages] == [("One.", 1), ("Two.", 2)]


def test_paragraphs_are_split_between_sentences() -> None:
    sentences = [f"This is the sentence that bears the number {n}." for n in range(60)]
    texts = passages([("paragraph", 0, " ".join(sentences))], max_tokens=100)
    assert len(texts) > 5
    assert all(text.startswith("This is") and text.endswith(".") for text in texts)
    assert " ".join(texts).split() == " ".join(sentences).split()


def test_no_text_no_passages() -> None:
    assert passages([]) == []


def test_a_heading_alone_is_a_passage() -> None:
    assert passages([("heading", 1, "Closed on 1 May"), ("heading", 1, "Prices"), ("paragraph", 0, "One.")]) == [
        "Closed on 1 May",
        "One.",
    ]


def test_title_and_headings_are_the_context() -> None:
    document, parsed = build([("heading", 1, "Prices"), ("heading", 2, "Wrenches"), ("paragraph", 0, "30 €")], "Shop")
    (contextual,) = Chunker(count_tokens=WORDPIECE, limit=256).split(document, parsed)
    assert contextual.context == "Shop > Prices > Wrenches"
    assert contextual.passage.heading == "Prices > Wrenches"
    assert embedded_text(contextual) == "Shop > Prices > Wrenches\n30 €"
