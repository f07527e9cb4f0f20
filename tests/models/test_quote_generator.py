import asyncio
import re
from collections.abc import Sequence

import numpy as np
import pytest

from groundtune.citations.checking import check_citations
from groundtune.languages.text import words
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.quote_generator import CACHE, SHORTLIST, QuoteGenerator
from groundtune.models.quote_signals import lexical_overlap, question_type, quotable, relative_scores, type_match
from groundtune.protocols import Generator
from groundtune.types import Hit, Passage, Prompt, Vectors

RETURNS = (
    "We are glad that you ride with us. You can return a bike within 30 days of delivery. Keep the box if you can."
)
CANTEEN = "The canteen opens at 11:30. A hot lunch costs £3.50. Bring your own cup."
TABLE = "Zone: North; Fee: 40 euros; Days: 2 to 4\n\nZone: South; Fee: 55 euros; Days: 3 to 6"


def hit(text: str, number: int = 0, heading: str = "", **scores: float) -> Hit:
    passage = Passage(f"d{number}:0", f"d{number}", f"{number}.md", 0, 0, len(text), text, heading)
    return Hit(passage, scores.get("fused", 0.0), scores)


HITS = (hit(RETURNS, 1, "Returns"), hit(CANTEEN, 2, "Canteen"), hit(TABLE, 3, "Delivery fees"))


class Counting:
    """An embedder of hashed words that records the texts it embeds."""

    name, digest, dimension, max_tokens = "counting", "counting", 64, 256

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return await self.embed_queries(texts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        rows = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                row[sum(map(ord, word)) % self.dimension] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How long do I have to send a bike back?", "You can return a bike within 30 days of delivery. [1]"),
        ("How much is lunch?", "A hot lunch costs £3.50. [2]"),
        ("When does the canteen open?", "The canteen opens at 11:30. [2]"),
        ("What is the fee for the south?", "Zone: South; Fee: 55 euros; Days: 3 to 6 [3]"),
    ],
)
async def test_quotes_the_sentence_that_answers(embedder: BundledEmbedder, question: str, answer: str) -> None:
    generation = await QuoteGenerator(embedder, max_sentences=1).generate(Prompt(question, hits=HITS))
    assert generation.text == answer
    assert generation.confidence is not None
    assert 0 < generation.confidence < 1
    assert (generation.usage.usd, generation.usage.input_tokens) == (0.0, None)
    assert generation.usage.seconds is not None


async def test_every_quote_is_an_exact_citation(embedder: BundledEmbedder) -> None:
    for question in ("How long do I have?", "What does it cost?", "Which zones are there?"):
        generation = await QuoteGenerator(embedder).generate(Prompt(question, hits=HITS))
        text, citations = check_citations(generation.text, HITS, strict=True)
        assert text == re.sub(r"\[\d\]", "[1]", generation.text)
        assert {citation.support for citation in citations} == {"exact"}


async def test_confidence_is_higher_when_the_passages_contain_the_answer(embedder: BundledEmbedder) -> None:
    generator = QuoteGenerator(embedder)
    answerable = await generator.generate(Prompt("How much is a hot lunch in the canteen?", hits=HITS))
    unanswerable = await generator.generate(Prompt("Who founded the museum of modern art?", hits=HITS))
    assert answerable.confidence is not None
    assert unanswerable.confidence is not None
    assert answerable.confidence > unanswerable.confidence + 0.2


@pytest.mark.parametrize("hits", [(), (hit(""),), (hit(" \n\n "),)])
async def test_nothing_to_quote(hits: tuple[Hit, ...]) -> None:
    generation = await QuoteGenerator(Counting()).generate(Prompt("Why?", hits=hits))
    assert (generation.text, generation.confidence) == ("", 0.0)


@pytest.mark.parametrize("question", ["", "?", "What is it?", "42", "¿Qué?", "x" * 5000])
async def test_any_question(question: str) -> None:
    generation = await QuoteGenerator(Counting()).generate(Prompt(question, hits=HITS))
    assert generation.text
    assert generation.confidence is not None
    assert 0 <= generation.confidence <= 1


async def test_a_question_in_the_text_is_not_its_answer() -> None:
    faq = hit("How long does delivery take? It takes three days in most cases.")
    generation = await QuoteGenerator(Counting()).generate(Prompt("How long does delivery take?", hits=(faq,)))
    assert generation.text == "It takes three days in most cases. [1]"


async def test_a_second_sentence_only_when_it_is_nearly_as_good_and_says_more() -> None:
    twice = (hit("The fee is 40 euros a year.", 1), hit("The fee is 40 euros a year.", 2))
    generation = await QuoteGenerator(Counting()).generate(Prompt("What is the fee?", hits=twice))
    assert generation.text.count("\n") == 0
    both = (hit("The fee for adults is 40 euros.", 1), hit("Students have to pay 20 pounds as a fee.", 2))
    generation = await QuoteGenerator(Counting(), max_sentences=1).generate(Prompt("What is the fee?", hits=both))
    assert generation.text.count("\n") == 0


async def test_many_passages_embed_few_sentences_and_none_twice() -> None:
    embedder = Counting()
    generator = QuoteGenerator(embedder)
    many = tuple(hit(f"Item {n} is kept in hall {n % 7}. The lamp of desk {n} is green.", n) for n in range(400))
    first = await generator.generate(Prompt("Where is item 250 kept?", hits=many))
    assert first.text.startswith("Item 250 is kept in hall 5. [251]")
    count = len(embedder.embedded)
    assert count <= 60 + 12 * SHORTLIST
    again = await generator.generate(Prompt("Where is item 250 kept?", hits=many))
    assert len(embedder.embedded) == count
    assert (again.text, again.confidence) == (first.text, first.confidence)
    assert CACHE >= 20_000


async def test_questions_side_by_side_do_not_mix() -> None:
    generator = QuoteGenerator(Counting())
    prompts = [Prompt(f"What is the fee in the {zone}?", hits=HITS) for zone in ("north", "south") * 5]
    alone = [(await QuoteGenerator(Counting()).generate(prompt)).text for prompt in prompts]
    together = await asyncio.gather(*map(generator.generate, prompts))
    assert [generation.text for generation in together] == alone


def test_is_a_generator() -> None:
    assert isinstance(QuoteGenerator(Counting()), Generator)


def test_rows_stay_whole_and_fragments_go_with_what_follows() -> None:
    text = f"{TABLE}\n\nGCW. Gross combined weight: bike, rider and cargo. It is 230 kg\nat most.\n\nEnd."
    assert quotable(text, language="english") == [
        "Zone: North; Fee: 40 euros; Days: 2 to 4",
        "Zone: South; Fee: 55 euros; Days: 3 to 6",
        "GCW. Gross combined weight: bike, rider and cargo.",
        "It is 230 kg at most.",
        "End.",
    ]
    assert quotable("Rule: Ask first. Then ride; Fee: none", language="english") == [
        "Rule: Ask first. Then ride; Fee: none"
    ]


def test_a_relative_score_is_comparable_between_kinds_of_retrieval() -> None:
    assert relative_scores([hit("a", fused=0.8), hit("b", fused=0.6)]) == [1.0, pytest.approx(0.75)]
    assert relative_scores([hit("a"), hit("b")]) == [1.0, 1.0]
    bm25 = relative_scores([Hit(hit("a").passage, 30.0, {"bm25": 30.0}), Hit(hit("b").passage, 2.0, {"bm25": 2.0})])
    assert bm25[0] == 1.0
    assert 0.8 < bm25[1] < 1.0
    reranked = [
        Hit(hit("a").passage, -1.0, {"fused": 0.2, "reranked": -1.0}),
        Hit(hit("b").passage, -5.0, {"fused": 0.9}),
    ]
    assert relative_scores(reranked)[0] == 1.0


def test_lexical_weighs_rare_words_more() -> None:
    shares = lexical_overlap(["fee", "south"], [frozenset({"fee"}), frozenset({"fee", "south"}), frozenset({"fee"})])
    assert shares[1] == 1.0
    assert shares[0] == shares[2] < 0.5


@pytest.mark.parametrize(
    ("question", "kind", "has", "has_not"),
    [
        ("Who leads the workshop?", "who", "It is led by Anna Berg.", "the workshop is led well."),
        ("When did it open?", "when", "It opened in 2019.", "It opened quickly."),
        ("How long is the trial?", "duration", "It lasts four months.", "It lasts as agreed."),
        ("How many bikes are there?", "number", "There are 12 bikes.", "There are some bikes."),
        ("How much is lunch?", "money", "Lunch costs £3.50.", "Lunch is hot."),
        ("What percentage is paid?", "share", "We pay 80 percent.", "We pay a part."),
        ("Where is the shop?", "where", "The shop is in Marrowby.", "The shop is nice."),
        ("Why is it closed?", "why", "It is closed because of works.", "It is closed."),
    ],
)
def test_answer_types(question: str, kind: str, has: str, has_not: str) -> None:
    assert question_type(question) == kind
    question_words = frozenset(words(question))
    assert type_match(kind, question_words, has) > type_match(kind, question_words, has_not)


def test_without_a_type_the_fit_is_neutral() -> None:
    assert question_type("What is a Drover?") == ""
    assert type_match("", frozenset(), "A cargo bike.") == 0.0


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        (
            "To register you need:\n\na passport\n\na proof of address\n\nThen go to the desk.",
            "To register you need:\na passport\na proof of address",
        ),
        ("Bring the following:\n\n1. first.\n\n2. second\n\nAsk.", "Bring the following:\n1. first.\n2. second"),
        ("You must bring:\n\n- one\n\n- two\n\nThe rest.", "You must bring:\n- one\n- two"),
        ("These are not taken:\n\nOld bikes.\n\nHelmets.", "These are not taken:\nOld bikes.\nHelmets."),
        (
            "Sie brauchen dafür:\n\neinen Pass;\n\neine Adresse.\n\nGehen Sie dann.",
            "Sie brauchen dafür:\neinen Pass;\neine Adresse.",
        ),
        ("需要以下材料：\n\n护照\n\n地址证明", "需要以下材料：\n护照\n地址证明"),
        ("The fees are as follows:\n\nZone: EU; Fee: 14\n\nZone: UK; Fee: 17", None),
        ("Nothing follows this here:", "Nothing follows this here:"),
        ("All of this holds:\n\n" + "long " * 100, "All of this holds:"),
    ],
)
def test_a_sentence_that_ends_in_a_colon_comes_with_its_list(text: str, quote: str | None) -> None:
    units = quotable(text, language="english")
    assert (quote or text.replace("\n\n", "\n")) in units
    assert "\n" not in "".join(units[1:])
