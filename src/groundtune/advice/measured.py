"""Hold the guides against the figures of a comparison. Knows names and leaders only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.approaches.families import Parts, family_of


@dataclass(frozen=True, slots=True)
class Measured:
    """What the latest comparison found in this project."""

    sentence: str
    leaders: tuple[str, ...]
    """The best approach, and those that are not measurably worse."""
    run: str | None
    """Name of the run; None for results from outside a project."""
    compared: tuple[str, ...] = ()
    """All approaches that were compared."""
    parts: Parts = field(default_factory=dict)
    """The approaches that combinations ask."""

    @property
    def families(self) -> tuple[str, ...]:
        """The leaders in the words of the guides."""
        return self._families(self.leaders)

    def judge(self, says: str) -> str:
        """Return whether a guide was right about this project."""
        if says in ("either", "undecided"):
            return "left it open"
        if says in self.families:
            return "right"
        return "wrong" if self.leaders and says in self._families((*self.compared, *self.leaders)) else "not measured"

    def judge_all(self, opinions: Mapping[str, str]) -> str:
        """Return which guides were right, by what each says: `A, C: right; B: wrong`."""
        judged: dict[str, list[str]] = {}
        for guide, says in opinions.items():
            judged.setdefault(self.judge(says), []).append(guide)
        return "; ".join(f"{', '.join(names)}: {how}" for how, names in judged.items())

    def _families(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(family_of(name, self.parts) for name in names))
