"""Epochs, batches per step and learning rate follow from the number of rows; what is set is kept."""

import pytest

from groundtune.tune.lora.schedule import TOO_FEW, choose_schedule


@pytest.mark.parametrize(
    ("rows", "epochs", "accumulate", "steps"),
    [(12, 12, 1, 36), (50, 12, 1, 156), (72, 12, 1, 216), (200, 4, 1, 200), (1_000, 3, 2, 375), (10_000, 3, 4, 1_875)],
)
def test_small_sets_are_read_more_often(rows: int, epochs: int, accumulate: int, steps: int) -> None:
    chosen = choose_schedule(rows, mode="lora", width=576, batch_size=4)
    assert (chosen.epochs, chosen.accumulate, chosen.steps) == (epochs, accumulate, steps)


def test_what_is_set_is_kept_and_counts() -> None:
    chosen = choose_schedule(72, mode="lora", width=576, batch_size=4, epochs=3, accumulate=4, learning_rate=2e-4)
    assert (chosen.epochs, chosen.accumulate, chosen.learning_rate) == (3, 4, 2e-4)
    assert chosen.steps == 15 < TOO_FEW
    assert choose_schedule(72, mode="lora", width=576, batch_size=4, accumulate=4).epochs == 12
    assert choose_schedule(10_000, mode="lora", width=576, batch_size=16).accumulate == 1
    assert choose_schedule(200, mode="lora", width=576, batch_size=4, gpus=2).epochs == 8


def test_wide_models_learn_more_slowly() -> None:
    rates = [choose_schedule(200, mode="lora", width=width, batch_size=4).learning_rate for width in (576, 2048, 4096)]
    assert rates == [1e-3, 5e-4, 2e-4]
    assert choose_schedule(200, mode="full", width=576, batch_size=4).learning_rate == 2e-5
    assert choose_schedule(200, mode="dpo", width=576, batch_size=4).learning_rate == 1e-5
