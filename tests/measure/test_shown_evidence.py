"""Evidence is found in the text that a prompt gets, however it was split, within the same amount of text for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.measure.metrics import contains_quote
from groundtune.measure.shown_evidence import find_shown
from groundtune.stats.ranking_metrics import ndcg_of_ranks
from groundtune.types import Evidence, Hit, Passage

TEXT = (
    "The first rule is short. The second rule is that bikes go back within thirty days.\n\nNobody pays twice for one."
)
LONG = Evidence("a.md", "bikes go back within thirty days.\n\nNobody pays twice")


def hit(start: int, end: int, *, source: str = "a.md", also_in: tuple[str, ...] = ()) -> Hit:
    return Hit(Passage(f"{source}:{start}", source, source, start, start, end, TEXT[start:end]), 1.0, also_in=also_in)


def test_a_quote_over_two_passages_is_found_with_the_second() -> None:
    border = TEXT.index("\n\n")
    first, second = hit(0, border), hit(border + 2, len(TEXT))
    assert find_shown([second, first], [LONG], most_characters=None).ranks == (2,)
    assert find_shown([first], [LONG], most_characters=None).ranks == (None,)
    apart = [hit(0, 40), hit(60, len(TEXT))]
    assert find_shown(apart, [LONG], most_characters=None).ranks == (None,)


def test_text_that_two_passages_share_counts_once() -> None:
    found = find_shown([hit(0, 60), hit(40, 90), hit(10, 50)], [], most_characters=None)
    assert (found.characters, found.passages) == (90, 3)


def test_the_last_passage_is_cut_where_the_text_is_used_up() -> None:
    rule = Evidence("a.md", "The second rule")
    assert find_shown([hit(0, len(TEXT))], [rule], most_characters=45).ranks == (1,)
    found = find_shown([hit(0, len(TEXT)), hit(0, 20, source="b.md")], [rule, LONG], most_characters=45)
    assert (found.ranks, found.passages, found.characters) == ((1, None), 0, 45)


def test_evidence_is_found_in_a_copy_but_not_in_another_document() -> None:
    rule = Evidence("a.md", "The first rule")
    assert find_shown([hit(0, 30, source="b.md", also_in=("a.md",))], [rule], most_characters=None).ranks == (1,)
    assert find_shown([hit(0, 30, source="b.md")], [rule], most_characters=None).ranks == (None,)


@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 60)), min_size=1, max_size=8),
    st.integers(1, 120),
)
def test_pieces_of_any_size_show_what_their_union_shows(spans: list[tuple[int, int]], most: int) -> None:
    hits = [hit(start, min(len(TEXT), start + length)) for start, length in spans]
    found = find_shown(hits, [LONG], most_characters=None)
    covered = {place for one in hits for place in range(one.passage.start, one.passage.end)}
    assert found.characters == len(covered)
    whole = "".join(char if place in covered else "\0" for place, char in enumerate(TEXT))
    assert (found.ranks[0] is not None) >= contains_quote(whole, LONG.quote)
    limited = find_shown(hits, [LONG], most_characters=most)
    assert limited.characters == min(most, len(covered))
    assert limited.passages <= found.passages == len(hits)


@pytest.mark.parametrize(
    ("ranks", "ndcg"),
    [((1,), 1.0), ((None,), 0.0), ((2,), 0.6309), ((1, 1), 1.0), ((1, 2), 1.0), ((1, None), 0.6131), ((11,), 0.0)],
)
def test_ndcg_of_ranks(ranks: tuple[int | None, ...], ndcg: float) -> None:
    assert ndcg_of_ranks(ranks) == pytest.approx(ndcg, abs=1e-4)


def test_ndcg_needs_evidence() -> None:
    with pytest.raises(ValueError, match="at least one piece of evidence"):
        ndcg_of_ranks(())
