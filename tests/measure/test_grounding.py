"""Evidence is found in the prompt as `evaluate` finds it in the index, and counts as cited where a marker names it."""

from dataclasses import replace

from groundtune.measure.grounding import MAX_IDS, grounding_of
from groundtune.measure.retrieval_quality import locate
from groundtune.types import (
    Answer,
    Citation,
    Document,
    Evidence,
    EvidenceUse,
    Example,
    Grounding,
    Hit,
    Passage,
    Prompt,
    Trace,
)

ARAM = "The bridge toll in Aram is 40 pence on working days."
BORN = "The bridge toll in Born is 70 pence on working days."
QUOTE = "The bridge toll in Born is 70 pence"


def hit(text: str, place: int, source: str = "tolls.md", also_in: tuple[str, ...] = ()) -> Hit:
    return Hit(Passage(f"d:{place}", "d", source, place, 0, len(text), text), 0.9, {"fused": 0.9}, also_in)


def example(*evidence: Evidence) -> Example:
    return Example("e", "How much is it?", "70 pence", evidence)


def answered(*hits: Hit, cited: str | None = None) -> Answer:
    citations = (Citation(1, "It is 70 pence.", "missing", cited),) if cited else ()
    return Answer("It is 70 pence.", "answered", citations=citations, hits=hits)


BORN_QUOTE = example(Evidence("tolls.md", QUOTE))


def test_ranks_and_citations_of_each_piece() -> None:
    found = grounding_of(answered(hit(ARAM, 0), hit(BORN, 1), cited="d:1"), BORN_QUOTE)
    assert found == Grounding(2, ("d:0", "d:1"), (EvidenceUse(2, cited=True),))
    two = example(Evidence("tolls.md", QUOTE), Evidence("tolls.md", "in Cole is 90 pence"))
    assert grounding_of(answered(hit(BORN, 1)), two).evidence == (EvidenceUse(1, False), EvidenceUse(None, False))
    assert grounding_of(answered(hit(BORN, 1), cited="d:9"), BORN_QUOTE).evidence == (EvidenceUse(1, False),)
    assert grounding_of(answered(hit(BORN, 1, "other.md")), BORN_QUOTE).evidence == (EvidenceUse(None, False),)
    assert grounding_of(answered(hit(BORN, 1, "other.md", ("tolls.md",))), BORN_QUOTE).evidence[0].rank == 1


def test_a_passage_with_half_of_the_quote_counts_only_where_none_has_the_whole() -> None:
    text = f"{ARAM}\n\n{BORN}"
    passages = [
        Passage(f"d:{at}", "d", "tolls.md", at, text.index(part), text.index(part) + len(part), part)
        for at, part in enumerate((ARAM, BORN))
    ]
    located = [locate(BORN_QUOTE.evidence[0], Document("d", "tolls.md", text), passages)]
    assert located[0].whole
    assert grounding_of(answered(hit(ARAM, 0)), BORN_QUOTE, located).evidence == (
        EvidenceUse(None, cited=False, missed="ranked too low"),
    )
    assert grounding_of(answered(hit(BORN, 1)), BORN_QUOTE, located).evidence == (EvidenceUse(1, cited=False),)
    split = [locate(BORN_QUOTE.evidence[0], Document("d", "tolls.md", text), passages[:1])]
    assert not split[0].whole
    assert grounding_of(answered(hit(ARAM, 0)), BORN_QUOTE, split).evidence[0].rank == 1
    assert grounding_of(answered(hit(ARAM, 0), hit(BORN, 1)), BORN_QUOTE, split).evidence[0].rank == 2


def test_an_abstention_shows_few_passages_but_was_given_those_of_its_prompt() -> None:
    prompt = Prompt("How much is it?", hits=(hit(ARAM, 0), hit(BORN, 1)))
    abstention = Answer("Not in your documents.", "abstained", hits=prompt.hits[:1], trace=Trace(prompt, "how much"))
    assert grounding_of(abstention, BORN_QUOTE).evidence == (EvidenceUse(2, cited=False),)


def test_no_passages_by_design_and_none_found_are_told_apart() -> None:
    answer = Answer("It is 70 pence.", "answered", trace=Trace(Prompt("How much is it?")))
    assert grounding_of(answer, BORN_QUOTE) == Grounding(None, evidence=(EvidenceUse(None, cited=False),))
    searched = replace(answer, status="abstained", trace=Trace(None, "how much"))
    assert grounding_of(searched, BORN_QUOTE) == Grounding(0, (), (EvidenceUse(None, cited=False),))


def test_the_whole_corpus_is_counted_and_only_its_first_ids_are_kept() -> None:
    hits = tuple(hit(BORN if at == 90 else ARAM, at) for at in range(100))
    found = grounding_of(answered(*hits), BORN_QUOTE)
    assert (found.passages, len(found.ids), found.evidence[0].rank) == (100, MAX_IDS, 91)
