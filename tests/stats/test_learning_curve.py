"""A forecast covers curves of known laws, is wider the less is known, and is refused where nothing can be said."""

import numpy as np
import pytest

from groundtune.stats.learning_curve import forecast
from groundtune.types import Forecast


def columns(means: list[float], n: int, seed: int = 0) -> list[list[float]]:
    """Scores of the same examples, some of which are hard in every training."""
    rng = np.random.default_rng(seed)
    difficulty = rng.random(n)
    return [
        ((0.7 * difficulty + 0.3 * rng.random(n)) < np.quantile(difficulty, mean)).astype(float).tolist()
        for mean in means
    ]


def known(found: list[Forecast] | str) -> list[Forecast]:
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize("law", [lambda n: 1 - 3 * n**-0.4, lambda n: 0.1 * np.log(n) + 0.05])
def test_a_forecast_covers_what_the_law_goes_on_to(law: object) -> None:
    assert callable(law)
    covered = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scores = [(rng.random(400) < law(n)).astype(float).tolist() for n in (150, 300, 600)]
        (at_900, at_1200) = known(forecast((150, 300, 600), scores, (900, 1200), seed=seed))
        covered += at_900.score.low <= law(900) <= at_900.score.high
        assert at_1200.score.high - at_1200.score.low >= at_900.score.high - at_900.score.low - 0.02
    assert covered >= 27


def test_points_off_the_law_and_trainings_apart_widen_it() -> None:
    smooth, rough = ([*columns([0.6, middle, 0.8], 300)] for middle in (0.7, 0.79))
    (narrow,), (off,), (apart,) = (
        known(forecast((100, 200, 400), scores, (600,), reach=reach))
        for scores, reach in ((smooth, 0.0), (rough, 0.0), (smooth, 0.1))
    )
    assert off.score.high - off.score.low > narrow.score.high - narrow.score.low
    assert apart.gain.high - apart.gain.low > narrow.gain.high - narrow.gain.low


def test_a_flat_curve_promises_nothing() -> None:
    (found,) = known(forecast((100, 200, 400), columns([0.7, 0.7, 0.7], 300), (800,)))
    assert found.gain.low < 0 < found.gain.high
    perfect = [[1.0] * 50] * 3
    (found,) = known(forecast((100, 200, 400), perfect, (800,)))
    assert found.score.mean == pytest.approx(1.0, abs=0.02)


def test_what_cannot_be_said_is_not_said() -> None:
    assert "3 are needed" in str(forecast((100, 200), columns([0.5, 0.6], 100), (300,)))
    assert "only 20 test examples" in str(forecast((1, 2, 4), columns([0.5, 0.6, 0.7], 20), (6,)))
    assert "fell with more examples" in str(forecast((100, 200, 400), columns([0.9, 0.7, 0.5], 200), (600,)))
    with pytest.raises(ValueError, match="beyond 2 times 400"):
        forecast((100, 200, 400), columns([0.5, 0.6, 0.7], 100), (900,))
