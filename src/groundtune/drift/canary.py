"""Compare the answers to a frozen set of examples with those that were kept. Asks nothing and reads no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.drift.signals import MEASURABLE, DriftSignal
from groundtune.stats.significance import paired_difference
from groundtune.types import Interval


@dataclass(frozen=True, slots=True)
class CanaryAnswer:
    """The answer to an example of the canary set."""

    example: str
    status: str
    """`answered`, `abstained`, or `error`."""
    digest: str = ""
    """Of what was answered: the text itself would have to be erased with the documents that it quotes."""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class CanaryCheck:
    """What has become of the answers to the canary set."""

    time: str
    approach: str
    frozen: str
    """When the kept answers were given."""
    n: int
    """Examples that have a score both times."""
    failed: int
    """Examples that were not answered, because of an error."""
    changed: tuple[str, ...]
    """Examples whose answer reads otherwise."""
    worse: tuple[str, ...]
    """Examples whose score is lower."""
    before: float | None
    """Mean score of the kept answers."""
    now: float | None
    difference: Interval | None
    p: float | None
    """Two-sided p-value for the null hypothesis that the scores are equal."""
    new_index: bool = False
    """Whether the documents in the index have changed since."""

    @property
    def passed(self) -> bool:
        """Whether every example was answered and the scores are not measurably lower."""
        if self.failed or self.difference is None or self.p is None:
            return False
        return self.p >= MEASURABLE or self.difference.mean >= 0

    def signal(self) -> DriftSignal:
        """Return the scores as a signal."""
        signal = DriftSignal("canary", "score", "kept answers", self.n, self.n)
        if self.difference is None:
            return replace(signal, untested="no example has a score both times")
        signal = replace(signal, now=self.now, before=self.before)
        if not self.changed and self.difference.mean == 0:
            return replace(signal, untested="no answer has changed")
        return replace(signal, effect=self.difference, p=self.p)


def check_canary(
    kept: Sequence[CanaryAnswer],
    asked: Mapping[str, CanaryAnswer],
    *,
    time: str,
    approach: str,
    frozen: str,
    new_index: bool,
) -> CanaryCheck:
    """Compare the kept answers with those of today, by example."""
    pairs = [(before, asked[before.example]) for before in kept if before.example in asked]
    scored = [(old.score, new.score) for old, new in pairs if old.score is not None and new.score is not None]
    result = paired_difference([new for _, new in scored], [old for old, _ in scored]) if scored else None
    return CanaryCheck(
        time=time,
        approach=approach,
        frozen=frozen,
        n=len(scored),
        failed=sum(new.status == "error" for _, new in pairs),
        changed=tuple(old.example for old, new in pairs if (old.status, old.digest) != (new.status, new.digest)),
        worse=tuple(
            old.example
            for old, new in pairs
            if old.score is not None and new.score is not None and new.score < old.score
        ),
        before=sum(old for old, _ in scored) / len(scored) if scored else None,
        now=sum(new for _, new in scored) / len(scored) if scored else None,
        difference=Interval(result.difference, result.low, result.high, result.n) if result else None,
        p=result.p if result else None,
        new_index=new_index,
    )
