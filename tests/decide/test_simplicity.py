import pytest

from groundtune.decide.simplicity import parts_of, simplest


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["rag", "prompt", "hybrid"], "prompt"),
        (["rag", "fewshot"], "fewshot"),
        (["fewshot", "fewshot-fixed"], "fewshot-fixed"),
        (["rag", "quote-hybrid"], "quote-hybrid"),
        (["quote-hybrid", "quote-dense"], "quote-dense"),
        (["rag", "context"], "context"),
        (["tuned", "rag"], "rag"),
        (["hybrid", "tuned"], "tuned"),
        (["routed", "hybrid"], "hybrid"),
        (["hybrid:letters@20260101-x", "tuned:letters"], "tuned:letters"),
        (["rag:large", "hybrid"], "rag:large"),
        (["rag"], "rag"),
    ],
)
def test_the_simplest_is_what_takes_least_to_build_and_run(names: list[str], expected: str) -> None:
    assert simplest(names) == expected
    assert simplest(names[::-1]) == expected


@pytest.mark.parametrize("names", [["rag", "rag:large"], ["rag", "our-own"], ["our-own", "prompt"], ["a", "b"]])
def test_equally_simple_and_unknown_approaches_have_no_simplest(names: list[str]) -> None:
    assert simplest(names) is None


def test_two_equally_simple_ones_do_not_hide_a_simpler_one() -> None:
    assert simplest(["rag", "rag:large", "prompt"]) == "prompt"


def test_a_combination_is_made_of_its_parts() -> None:
    others = ["prompt", "rag", "rag:large", "tuned", "hybrid", "routed"]
    assert list(parts_of("hybrid", others)) == ["rag", "rag:large", "tuned"]
    assert list(parts_of("routed", others)) == ["prompt", "rag", "rag:large", "tuned"]
    assert list(parts_of("rag", others)) == []
