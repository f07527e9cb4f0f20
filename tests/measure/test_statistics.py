import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.measure.statistics import Point, auroc, bootstrap_mean, choose_threshold, risk_coverage
from groundtune.types import Interval

unit = st.floats(0, 1, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(unit, min_size=1, max_size=40))
def test_the_interval_holds_the_mean_and_stays_in_bounds(values: list[float]) -> None:
    interval = bootstrap_mean(values, resamples=300)
    assert interval.n == len(values)
    assert interval.mean == pytest.approx(np.mean(values))
    assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9


def test_it_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).beta(2, 5, size=80)
    ours = bootstrap_mean(values.tolist())
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=2).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.high, abs=0.004)


def test_both_ways_of_drawing_agree() -> None:
    scores = [1.0] * 70 + [0.0] * 30  # two distinct values: drawn by count
    jitter = np.linspace(0, 1e-9, 100)
    spread = np.clip(np.array(scores) - jitter, 0, 1)  # all distinct: drawn by index
    by_count, by_index = bootstrap_mean(scores), bootstrap_mean(spread.tolist())
    assert by_count.low == pytest.approx(by_index.low, abs=0.02)
    assert by_count.high == pytest.approx(by_index.high, abs=0.02)


def test_a_95_percent_interval_holds_the_truth_about_95_times_of_100() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        interval = bootstrap_mean(rng.binomial(1, 0.7, size=100).astype(float).tolist(), resamples=1000)
        held += interval.low <= 0.7 <= interval.high
    assert 0.91 <= held / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval_and_chunks_change_nothing_else() -> None:
    values = np.random.default_rng(3).random(3000).tolist()  # 1,000 resamples = 3 chunks
    assert bootstrap_mean(values, resamples=1000) == bootstrap_mean(values, resamples=1000)
    assert bootstrap_mean(values, resamples=1000) != bootstrap_mean(values, resamples=1000, seed=1)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_equal_values_leave_open_what_clopper_and_pearson_leave_open(n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    exact = stats.binomtest(n, n).proportion_ci(0.95, method="exact")
    interval = bootstrap_mean([1.0] * n)
    assert (interval.mean, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(exact.low)


def test_one_observation_says_almost_nothing() -> None:
    assert bootstrap_mean([1.0]) == Interval(1.0, pytest.approx(0.025), 1.0, 1)
    assert bootstrap_mean([0.5], bounds=(-1, 1)) == Interval(0.5, pytest.approx(-0.9625), pytest.approx(0.9875), 1)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")], [-0.5, 0.5], [2.0]])
def test_values_without_a_mean_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError):
        bootstrap_mean(values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_auroc_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, truth = [float(score) for score, _ in rows], [positive for _, positive in rows]
    if len(set(truth)) < 2:
        assert auroc(scores, truth) is None
    else:
        assert auroc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_auroc_refuses_lists_that_do_not_fit() -> None:
    with pytest.raises(ValueError):
        auroc([0.1, 0.2], [True])
    with pytest.raises(ValueError):
        auroc([0.1, float("nan")], [True, False])


def test_risk_and_coverage_by_hand() -> None:
    points = risk_coverage([0.9, 0.5, 0.9, 0.2], [1, 0, 1, 1])
    assert points == [Point(0.9, 0.5, 0.0, 2), Point(0.5, 0.75, pytest.approx(1 / 3), 3), Point(0.2, 1.0, 0.25, 4)]
    assert risk_coverage([], []) == []


@settings(deadline=None)
@given(st.lists(st.tuples(unit, st.booleans()), min_size=1, max_size=30))
def test_risk_coverage_is_what_counting_gives(rows: list[tuple[float, bool]]) -> None:
    points = risk_coverage([confidence for confidence, _ in rows], [right for _, right in rows])
    assert [point.threshold for point in points] == sorted({confidence for confidence, _ in rows}, reverse=True)
    for point in points:
        answered = [right for confidence, right in rows if confidence >= point.threshold]
        assert point.n == len(answered)
        assert point.coverage == pytest.approx(len(answered) / len(rows))
        assert point.risk == pytest.approx(answered.count(False) / len(answered))


def test_a_threshold_is_chosen_by_risk_or_by_coverage() -> None:
    points = risk_coverage([0.9, 0.7, 0.5, 0.2], [1, 1, 0, 1])
    assert choose_threshold(points, max_risk=0.3) == points[3]
    assert choose_threshold(points, max_risk=0.1) == points[1]
    assert choose_threshold(points, min_coverage=0.6) == points[3]
    assert choose_threshold(points, min_coverage=0.5) == points[1]
    assert choose_threshold(risk_coverage([0.5], [0]), max_risk=0.5) is None
    assert choose_threshold([], min_coverage=0.1) is None


def test_a_threshold_needs_exactly_one_demand() -> None:
    with pytest.raises(ValueError):
        choose_threshold([])
    with pytest.raises(ValueError):
        choose_threshold([], max_risk=0.1, min_coverage=0.5)
