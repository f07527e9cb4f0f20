from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import auroc
from groundtune.stats.risk_coverage import OperatingPoint, choose_threshold, risk_coverage
from groundtune.stats.significance import holm, paired_difference
from groundtune.types import Interval

unit = st.floats(0, 1, allow_nan=False)


@settings(max_examples=40)
@given(st.lists(unit, min_size=1, max_size=40))
def test_the_interval_holds_the_mean_and_stays_in_bounds(values: list[float]) -> None:
    interval = bootstrap_mean(values, resamples=300)
    assert interval.n == len(values)
    assert interval.mean == pytest.approx(np.mean(values))
    assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9


@pytest.mark.parametrize("n", [35, 80, 300])
def test_fractions_agree_with_the_bca_bootstrap_of_scipy(n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).beta(2, 5, size=n)
    ours = bootstrap_mean(values.tolist())
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=10_000, rng=2).confidence_interval
    wider = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975)  # Hesterberg 2015
    assert ours.high - ours.low == pytest.approx(wider * (theirs.high - theirs.low), rel=0.04)
    assert ours.low == pytest.approx(theirs.low, abs=0.02 * (1 + 35 / n))
    assert ours.high == pytest.approx(theirs.high, abs=0.02 * (1 + 35 / n))


@pytest.mark.parametrize(("right", "n"), [(1, 3), (40, 60), (95, 100), (1, 300), (850, 1000)])
def test_scores_of_0_and_1_agree_with_wilson(right: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    level = 2 * stats.norm.cdf(stats.t.ppf(0.975, n - 1)) - 1  # that of Student's quantile
    exact = stats.binomtest(right, n).proportion_ci(level, method="wilson")
    interval = bootstrap_mean([1.0] * right + [0.0] * (n - right))
    assert (interval.low, interval.high) == (pytest.approx(exact.low, abs=1e-3), pytest.approx(exact.high, abs=1e-3))


def test_two_values_at_the_bounds_scale_the_interval_of_0_and_1() -> None:
    plain, wide = bootstrap_mean([1.0] * 30 + [0.0] * 10), bootstrap_mean([5.0] * 30 + [1.0] * 10, bounds=(1, 5))
    assert (wide.low, wide.high) == (pytest.approx(1 + 4 * plain.low), pytest.approx(1 + 4 * plain.high))


def test_both_resampling_methods_agree() -> None:
    scores = np.array([0.9] * 70 + [0.1] * 30)  # two distinct values: drawn by count
    jitter = np.linspace(0, 1e-9, 100)  # all distinct: drawn by index
    by_count, by_index = bootstrap_mean(scores.tolist()), bootstrap_mean((scores - jitter).tolist())
    assert by_count.low == pytest.approx(by_index.low, abs=0.01)
    assert by_count.high == pytest.approx(by_index.high, abs=0.01)


def test_a_95_percent_interval_has_about_95_percent_coverage() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        interval = bootstrap_mean(rng.binomial(1, 0.7, size=100).astype(float).tolist())
        covered += interval.low <= 0.7 <= interval.high
    assert 0.93 <= covered / 1000 <= 0.98


def test_the_same_seed_gives_the_same_interval_in_any_chunks() -> None:
    values = np.random.default_rng(3).random(3000).tolist()  # 1,000 resamples = 3 chunks
    assert bootstrap_mean(values, resamples=1000) == bootstrap_mean(values, resamples=1000)
    assert bootstrap_mean(values, resamples=1000) != bootstrap_mean(values, resamples=1000, seed=1)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_equal_values_agree_with_clopper_and_pearson(n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    exact = stats.binomtest(n, n).proportion_ci(0.95, method="exact")
    interval = bootstrap_mean([1.0] * n)
    assert (interval.mean, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(exact.low)


@pytest.mark.parametrize("values", [[0.8, 0.9], [1.0, 1.0, 0.99], [0.0, 1.0], [0.3, 0.3, 0.3, 0.31]])
def test_a_handful_of_values_has_a_wide_interval(values: list[float]) -> None:
    interval = bootstrap_mean(values)
    assert interval.high - interval.low > 0.5
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1


def test_clusters_of_size_1_change_nothing() -> None:
    for values in ([1.0] * 30 + [0.0] * 10, np.random.default_rng(5).random(40).tolist()):
        assert bootstrap_mean(values, clusters=range(40)) == bootstrap_mean(values)
        assert bootstrap_mean(values, clusters=[None] * 40) == bootstrap_mean(values)


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_repeating_every_row_does_not_narrow_a_clustered_interval(spread: float) -> None:
    """Scores of 0 and 1 use the Wilson score interval, others the bootstrap."""
    rng = np.random.default_rng(6)
    once = np.abs(rng.binomial(1, 0.8, size=60) - spread * rng.random(60))
    plain = bootstrap_mean(once.tolist())
    many = np.repeat(once, 10).tolist()
    counted = bootstrap_mean(many, clusters=[place // 10 for place in range(600)])
    assert counted.n == 600
    assert (counted.low, counted.high) == (pytest.approx(plain.low, abs=0.012), pytest.approx(plain.high, abs=0.012))
    ignored = bootstrap_mean(many)
    assert ignored.high - ignored.low < (counted.high - counted.low) / 2


def test_one_cluster_is_one_observation() -> None:
    interval = bootstrap_mean([1.0, 0.0, 1.0, 1.0], clusters=["x"] * 4)
    assert interval == Interval(0.75, pytest.approx(0.01875), pytest.approx(0.99375), 4)
    with pytest.raises(ValueError):
        bootstrap_mean([1.0, 0.0], clusters=["x"])


def test_the_mean_of_unequal_clusters_weights_rows_equally() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(50), rng.integers(1, 9, size=50))
    values = np.clip(rng.random(50)[labels] + 0.1 * rng.random(labels.size), 0, 1)
    interval = bootstrap_mean(values.tolist(), clusters=labels.tolist())
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high


def test_one_observation_has_a_very_wide_interval() -> None:
    assert bootstrap_mean([1.0]) == Interval(1.0, pytest.approx(0.025), 1.0, 1)
    assert bootstrap_mean([0.5], bounds=(-1, 1)) == Interval(0.5, pytest.approx(-0.9625), pytest.approx(0.9875), 1)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")], [-0.5, 0.5], [2.0]])
def test_invalid_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError):
        bootstrap_mean(values)


binary = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60)
@given(binary)
def test_p_of_binary_scores_is_the_exact_mcnemar_test(rows: list[tuple[bool, bool]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    wins, losses = sum(a > b for a, b in rows), sum(a < b for a, b in rows)
    exact = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert paired_difference(*_two(rows)).p == pytest.approx(exact)


@settings(max_examples=60)
@given(binary, st.integers(0, 3))
def test_a_paired_difference_is_consistent_and_antisymmetric(rows: list[tuple[bool, bool]], sharing: int) -> None:
    a, b = _two(rows)
    labels = [place // 4 if sharing == 3 else place for place in range(len(a))] if sharing else None
    result = paired_difference(a, b, clusters=labels, resamples=300)
    back = paired_difference(b, a, clusters=labels, resamples=300)
    assert result.n == len(rows)
    assert result.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert -1 - 1e-9 <= result.low <= result.difference <= result.high <= 1 + 1e-9
    assert result.low < result.high
    assert 0 < result.p <= 1
    assert (back.low, back.high) == (pytest.approx(-result.high, abs=1e-9), pytest.approx(-result.low, abs=1e-9))
    assert (back.needed, back.detectable) == (result.needed, result.detectable)
    assert result.detectable is None or 0 < result.detectable <= 1
    assert result.needed is None or result.needed >= 6


@settings(max_examples=40)
@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=30))
def test_a_paired_difference_of_fractions_is_consistent(rows: list[tuple[float, float]]) -> None:
    a, b = _two(rows)
    result = paired_difference(a, b, resamples=300)
    assert -1 - 1e-9 <= result.low <= result.difference + 1e-12
    assert result.difference - 1e-12 <= result.high <= 1 + 1e-9
    assert 0 < result.p <= 1


def test_the_permutation_test_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(8)
    a, b = rng.random(25), rng.random(25) - 0.15
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=20_000, rng=1,
    ).pvalue  # fmt: skip
    ours = paired_difference(a.tolist(), b.tolist()).p
    assert ours == pytest.approx(theirs, abs=0.01)
    rounded = paired_difference(a.round(1).tolist(), b.round(1).tolist()).p  # few distinct values: other draws
    assert rounded == pytest.approx(theirs, abs=0.05)


def test_p_of_few_pairs_is_near_the_exact_value() -> None:
    assert paired_difference([0.5] * 5, [0.4, 0.3, 0.2, 0.1, 0.0]).p == pytest.approx(2 / 2**5, abs=0.01)


def test_a_published_example_of_tangos_score_interval() -> None:
    """Fagerland, Lydersen and Laake 2014: 21 pairs, 1 and 7 of them discordant, interval -0.517 to -0.026."""
    result = paired_difference(*_two([(1, 0)] + [(0, 1)] * 7 + [(1, 1)] * 13))
    assert (result.low, result.high) == (pytest.approx(-0.517, abs=1e-3), pytest.approx(-0.026, abs=1e-3))


@pytest.mark.parametrize(("wins", "losses", "n"), [(12, 2, 100), (1, 12, 100), (9, 9, 50), (3, 0, 300)])
def test_the_limits_of_tangos_interval_are_just_rejected_by_a_score_test(wins: int, losses: int, n: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    result = paired_difference(*_two([(1, 0)] * wins + [(0, 1)] * losses + [(1, 1)] * (n - wins - losses)))
    for limit in (result.low, result.high):

        def unlikely(loss: float, limit: float = limit) -> float:
            shares = (loss + limit, loss, 1 - 2 * loss - limit)
            counts = (wins, losses, n - wins - losses)
            return -float(sum(count * np.log(max(share, 1e-300)) for count, share in zip(counts, shares, strict=True)))

        ends = (max(0.0, -limit), (1 - limit) / 2)
        loss = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-10}).x
        score = (wins - losses - n * limit) / np.sqrt(n * (2 * loss + limit - limit**2))
        assert abs(score) == pytest.approx(1.96, abs=2e-3)


def test_the_interval_without_discordant_pairs_has_nonzero_width() -> None:
    result = paired_difference([1.0] * 100, [1.0] * 100)
    assert (result.low, result.high) == (pytest.approx(-0.0362, abs=1e-4), pytest.approx(0.0362, abs=1e-4))
    assert (result.p, result.needed) == (1.0, None)
    assert result.detectable == pytest.approx(0.09, abs=0.01)  # 8 or 9 discordant pairs, all on one side
    fractions = paired_difference([0.5] * 100, [0.5] * 100)
    assert (fractions.low, fractions.high) == (result.low, result.high)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_with_few_pairs_no_difference_is_detectable(n: int) -> None:
    for a, b in (([1.0] * n, [0.0] * n), ([0.6] * n, [0.1] * n)):
        result = paired_difference(a, b)
        assert result.p > 0.05
        assert result.detectable is None
        assert result.low < 0.1


def test_detectable_and_needed_hold_in_simulation() -> None:
    """Power is about 80% at the minimum detectable effect, and at the required sample size."""
    rng = np.random.default_rng(9)

    def power(better: float, n: int) -> float:
        wins = rng.multinomial(n, (0.1 + better / 2, 0.1 - better / 2, 0.8), size=400)
        rows = ([(1, 0)] * up + [(0, 1)] * down + [(1, 1)] * same for up, down, same in wins)
        return float(np.mean([paired_difference(*_two(pair_rows)).p < 0.05 for pair_rows in rows]))

    result = paired_difference(*_two([(1, 0)] * 24 + [(0, 1)] * 16 + [(1, 1)] * 160))
    assert result.detectable is not None
    assert result.needed is not None
    assert 0.72 <= power(result.detectable, 200) <= 0.9
    assert 0.72 <= power(result.difference, result.needed) <= 0.9


@pytest.mark.parametrize("clustered", [False, True])
def test_intervals_of_differences_have_nominal_coverage(clustered: bool) -> None:
    rng = np.random.default_rng(10)
    labels = [place // 3 for place in range(150)] if clustered else None
    covered = 0
    for _ in range(400):
        hard = np.repeat(rng.random(50), 3) if clustered else rng.random(150)
        a, b = ((np.where(rng.random(150) < 0.5, hard, rng.random(150)) < rate).astype(float) for rate in (0.85, 0.75))
        result = paired_difference(a.tolist(), b.tolist(), clusters=labels, resamples=500)
        covered += result.low <= 0.1 <= result.high
    assert 0.92 <= covered / 400 <= 0.99


def test_clusters_are_the_independent_observations() -> None:
    once = _two([(1, 0)] * 12 + [(0, 1)] * 4 + [(1, 1)] * 44)
    plain = paired_difference(*once)
    many = [np.repeat(scores, 10).tolist() for scores in once]
    counted = paired_difference(*many, clusters=[place // 10 for place in range(600)])
    assert counted.p == pytest.approx(plain.p, abs=0.02)
    assert counted.low == pytest.approx(plain.low, abs=0.01)
    assert counted.high == pytest.approx(plain.high, abs=0.01)
    assert counted.detectable == pytest.approx(plain.detectable, rel=0.15)
    assert paired_difference(*many).p < counted.p / 100


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 0.0]), ([float("nan")], [1.0])])
def test_incomparable_scores_are_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError):
        paired_difference(a, b)


def test_a_hand_computed_holm_adjustment() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError):
        holm([1.5])
    with pytest.raises(ValueError):
        holm([float("nan")])


@given(st.lists(unit, max_size=12))
def test_holm_is_monotone_and_never_lowers_a_p(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(p <= q <= 1 for p, q in zip(values, adjusted, strict=True))
    ordered = [q for _, q in sorted(zip(values, adjusted, strict=True))]
    assert ordered == sorted(ordered)


def _two(rows: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [float(a) for a, _ in rows], [float(b) for _, b in rows]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_auroc_agrees_with_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, truth = [float(score) for score, _ in rows], [positive for _, positive in rows]
    if len(set(truth)) < 2:
        assert auroc(scores, truth) is None
    else:
        assert auroc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_auroc_refuses_unequal_lengths_and_nan() -> None:
    with pytest.raises(ValueError):
        auroc([0.1, 0.2], [True])
    with pytest.raises(ValueError):
        auroc([0.1, float("nan")], [True, False])


def test_a_hand_computed_risk_coverage_curve() -> None:
    points = risk_coverage([0.9, 0.5, 0.9, 0.2], [1, 0, 1, 1])
    assert points == [
        OperatingPoint(0.9, 0.5, 0.0, 2),
        OperatingPoint(0.5, 0.75, pytest.approx(1 / 3), 3),
        OperatingPoint(0.2, 1.0, 0.25, 4),
    ]
    assert risk_coverage([], []) == []


@given(st.lists(st.tuples(unit, st.booleans()), min_size=1, max_size=30))
def test_risk_coverage_agrees_with_counting(rows: list[tuple[float, bool]]) -> None:
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


def test_a_threshold_needs_exactly_one_constraint() -> None:
    with pytest.raises(ValueError):
        choose_threshold([])
    with pytest.raises(ValueError):
        choose_threshold([], max_risk=0.1, min_coverage=0.5)
