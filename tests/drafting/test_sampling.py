"""Large files do not drown small ones, and a seed always draws the same sample."""

from groundtune.drafting.sampling import in_turn, spread


def test_files_are_taken_in_turn_until_each_is_empty() -> None:
    files = {"large": ["a", "b", "c"], "small": ["x"], "empty": []}
    assert list(in_turn(list(files), files.__getitem__)) == ["a", "x", "b", "c"]


def test_strata_are_taken_in_turn_in_an_order_that_the_seed_decides() -> None:
    items = [f"large {n}" for n in range(20)] + ["small 1"]

    def drawn(seed: str) -> list[str]:
        return spread(items, seed, stratum=lambda item: item.split()[0], key=str)

    assert "small 1" in drawn("1")[:2]
    assert sorted(drawn("1")) == sorted(items)
    assert drawn("1") == drawn("1") != drawn("2")
