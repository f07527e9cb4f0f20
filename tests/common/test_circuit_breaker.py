"""The circuit breaker: when it lets calls through, on a clock of the test."""

from hypothesis import given
from hypothesis import strategies as st

from groundtune.common.circuit_breaker import FAILURES, MAX_PAUSE_SECONDS, PAUSE_SECONDS, Admission, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock)
    for _ in range(FAILURES):
        assert breaker.admit() == "call"
        breaker.failed("call")
    return breaker


def test_failures_in_a_row_open_it_and_a_probe_closes_it() -> None:
    clock = Clock()
    breaker = broken(clock)
    assert breaker.admit() is None
    clock.now += PAUSE_SECONDS
    assert breaker.admit() == "probe"
    assert breaker.admit() is None, "a second probe at the same time"
    breaker.succeeded("probe")
    assert breaker.admit() == breaker.admit() == "call"


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = CircuitBreaker(Clock())
    for _ in range(5):
        for _ in range(FAILURES - 1):
            breaker.failed("call")
        breaker.succeeded("call")
    assert breaker.admit() == "call"


def test_failed_probes_double_the_pause_up_to_a_limit() -> None:
    clock = Clock()
    breaker, pause = broken(clock), PAUSE_SECONDS
    for _ in range(10):
        clock.now += pause - 0.001
        assert breaker.admit() is None
        clock.now += 0.001
        assert breaker.admit() == "probe"
        breaker.failed("probe")
        pause = min(2 * pause, MAX_PAUSE_SECONDS)


def test_a_probe_that_is_left_makes_room_for_another() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += PAUSE_SECONDS
    assert breaker.admit() == "probe"
    breaker.left("probe")
    assert breaker.admit() == "probe"


ENDINGS = st.sampled_from(["succeeded", "failed", "left"])
STEPS = st.lists(st.one_of(st.just("admit"), ENDINGS, st.floats(0, 400)), max_size=80)


@given(STEPS)
def test_there_is_one_probe_at_most_and_never_a_pause_without_end(steps: list[str | float]) -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    begun: list[Admission] = []
    failed_in_a_row = 0
    for step in steps:
        if isinstance(step, float):
            clock.now += step
        elif step == "admit":
            admission = breaker.admit()
            if admission is None:
                assert failed_in_a_row >= FAILURES, "refused without failures"
            else:
                begun.append(admission)
            assert begun.count("probe") <= 1
        elif begun:
            ended = begun.pop(0)
            getattr(breaker, step)(ended)
            failed_in_a_row = {"succeeded": 0, "failed": failed_in_a_row + 1, "left": failed_in_a_row}[step]
            if step == "succeeded" and breaker.admit() is None:  # of a call from before the pause
                failed_in_a_row = FAILURES
    for admission in begun:
        breaker.left(admission)
    clock.now += MAX_PAUSE_SECONDS
    assert breaker.admit() is not None
