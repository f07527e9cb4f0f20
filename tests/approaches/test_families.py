"""What kind of approach a name is, combinations included."""

import pytest

from groundtune.approaches.families import Family, asked_by, family_of

PARTS = {
    "cascade": ["quote-hybrid", "routed"],
    "routed": ["rag:large", "tuned@1"],
    "prompts": ["prompt", "fewshot"],
    "trained": ["tuned", "fewshot"],
}


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("rag/short", "rag"),
        ("tuned@ID", "fine-tune"),
        ("hybrid", "both"),
        ("context", "prompt"),
        ("routed", "both"),
        ("cascade", "both"),
        ("prompts", "prompt"),
        ("trained", "fine-tune"),
    ],
)
def test_a_combination_is_what_it_asks(name: str, family: Family) -> None:
    assert family_of(name, PARTS) == family


def test_what_a_combination_asks_is_named_once_through_others() -> None:
    assert asked_by("cascade", {**PARTS, "routed": ["rag", "quote-hybrid"]}) == ("quote-hybrid", "rag")
    assert asked_by("rag", PARTS) == ("rag",)
