"""Put together the advice for a situation, and show it on one page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from groundtune.advice.guides import Guide, Opinion, apply_guide
from groundtune.advice.measured import Measured
from groundtune.advice.recommendation import Recommendation, applying, recommend
from groundtune.advice.situation import Situation
from groundtune.display import Block, Displayed, Line

TITLES: Mapping[str, str] = {
    "prompt": "a good prompt first: nothing speaks for more yet",
    "rag": "retrieve (RAG)",
    "fine-tune": "fine-tune",
    "both": "retrieve and fine-tune, retrieval first",
}


@dataclass(frozen=True, slots=True)
class Advice(Displayed):
    """What to do in a situation, what the guides say of it, and what to measure next."""

    situation: Situation
    seen: tuple[str, ...]
    """What was found out without asking."""
    recommendation: Recommendation
    opinions: tuple[Opinion, ...]
    conflicts: tuple[Mapping[str, str], ...]
    mistakes: tuple[Mapping[str, str], ...]
    options: tuple[Mapping[str, str], ...]
    costs: tuple[tuple[str, str], ...]
    """What each guide says of cost and time, with the name of the guide."""
    next: tuple[str, ...]
    """Commands that work in this folder as they stand."""
    measured: Measured | None = None
    """What the latest comparison found; None without one."""

    @property
    def agreeing(self) -> tuple[str, ...]:
        """Names of the guides that say the same, for a reason and not by default."""
        return tuple(
            opinion.guide
            for opinion in self.opinions
            if opinion.says == self.recommendation.approach and not opinion.by_default
        )

    @property
    def headline(self) -> str:
        """The recommendation in one line."""
        recommendation = self.recommendation
        title = TITLES[recommendation.approach]
        if not recommendation.reasons:
            return f"Nothing decides yet. Where to start: {title}"
        tuning = recommendation.approach in ("fine-tune", "both") and self.situation.task != "classify"
        if tuning and self.situation.prompting_exhausted is None:
            title += ", if prompting has been tried and does not suffice"
        return f"Recommended: {title}"

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        recommendation = self.recommendation
        return {
            "headline": self.headline,
            "situation": self.situation.known(),
            "seen": list(self.seen),
            "recommendation": {
                "approach": recommendation.approach,
                "steps": list(recommendation.steps),
                "hangs_on": list(recommendation.hangs_on),
                "reasons": [asdict(reason) for reason in recommendation.reasons],
                "against_training_now": [asdict(reason) for reason in recommendation.against],
                "flips": [asdict(flip) for flip in recommendation.flips],
                "agreeing_guides": list(self.agreeing),
            },
            "guides": [asdict(opinion) for opinion in self.opinions],
            "conflicts": [dict(entry) for entry in self.conflicts],
            "mistakes": [dict(entry) for entry in self.mistakes],
            "options": [dict(entry) for entry in self.options],
            "costs": [{"guide": guide, "says": text} for guide, text in self.costs],
            "next": list(self.next),
            "measured": self.measured
            and {
                "run": self.measured.run,
                "sentence": self.measured.sentence,
                "leaders": list(self.measured.leaders),
                "guides": {opinion.guide: self.measured.judge(opinion.says) for opinion in self.opinions},
            },
        }

    def view(self) -> list[Block]:
        recommendation = self.recommendation
        blocks: list[Block] = [Line(self.headline, "strong")]
        blocks += [Line(f"{reason.text}  ({reason.source})", indent=1) for reason in recommendation.reasons]
        if recommendation.against:
            blocks.append(Line("Something speaks for training, but not now:"))
            blocks += [Line(f"{reason.text}  ({reason.source})", indent=1) for reason in recommendation.against]
        known = [f"{name} = {_value(value)}" for name, value in self.situation.known().items()]
        known = [", ".join(known)] if known else ["nothing is known yet"]
        blocks += _titled("Your situation", [*known, *(f"seen here: {each}" for each in self.seen)])
        blocks += _titled("Steps", _numbered(recommendation.steps))
        blocks += _titled("It would change with an answer that is still open", _flip_lines(recommendation, known=False))
        blocks += _titled("It would change if an answer were different", _flip_lines(recommendation, known=True))
        if not recommendation.flips:
            blocks += [Line(""), Line("No single other answer would change it.")]
        blocks += [Line(""), Line("What the guides say of your situation", "strong"), *self._guides()]
        blocks += [Line(self._agreement(), indent=1)]
        if self.measured:
            blocks += _titled("What was measured here", self._measured(self.measured))
        blocks += _titled("Where they contradict each other", (f"{e['text']} {e['side']}" for e in self.conflicts))
        blocks += _titled("Mistakes that are near", map(_with_source, self.mistakes))
        blocks += _titled("Options that the guides do not know", map(_with_source, self.options))
        blocks += _titled("Cost and time, as the guides put it", (f"{guide}: {text}" for guide, text in self.costs))
        return [*blocks, *_titled("Measure next", self.next)]

    def _measured(self, measured: Measured) -> list[str]:
        """Return where the guides were right and wrong on this project's own figures."""
        judged = measured.judge_all({opinion.guide: opinion.says for opinion in self.opinions})
        return [f"{measured.sentence} (run {measured.run})", f"Guides, measured by its leaders: {judged}"]

    def _agreement(self) -> str:
        """Return which guides say the same and which say otherwise; those that say it by default count for neither."""
        others: dict[str, list[str]] = {}
        for opinion in self.opinions:
            if not opinion.by_default and opinion.says != self.recommendation.approach:
                others.setdefault(opinion.says, []).append(opinion.guide)
        parts = [f"the same: {', '.join(self.agreeing) or 'none'}"]
        parts += [f"{says}: {', '.join(names)}" for says, names in others.items()]
        return f"For a reason, not by default, say {'; '.join(parts)}."

    def _guides(self) -> Iterator[Line]:
        for each in self.opinions:
            default = " by default" if each.by_default and each.says != "undecided" else ""
            place = f" ({each.place})" if each.place else ""
            yield Line(f"{each.guide} says {each.says}{default}: {each.because}{place}", indent=1)
            yield Line(f"{each.title} ({each.source})" if each.source else each.title, "dim", indent=2)
            yield from (Line(f"also: {remark}", indent=2) for remark in each.remarks)


def advise(
    situation: Situation,
    guides: Sequence[Guide],
    *,
    seen: Sequence[str] = (),
    commands: Sequence[str] = (),
    measured: Measured | None = None,
) -> Advice:
    """Run the guides and our own rules. seen: what was found out without asking; commands: what to measure next."""
    return Advice(
        situation=situation,
        seen=tuple(seen),
        recommendation=recommend(situation),
        opinions=tuple(apply_guide(guide, situation) for guide in guides),
        conflicts=tuple(applying("conflicts", situation)),
        mistakes=tuple(applying("mistakes", situation)),
        options=tuple(applying("options", situation)),
        costs=tuple((guide.name, text) for guide in guides for text in guide.costs),
        next=tuple(commands),
        measured=measured,
    )


def _with_source(entry: Mapping[str, str]) -> str:
    return f"{entry['text']}  ({entry['source']})"


def _flip_lines(recommendation: Recommendation, *, known: bool) -> list[str]:
    """One line for each question: the other answers, by what they lead to."""
    lines = []
    for question in recommendation.hangs_on:
        outcomes: dict[str, list[str]] = {}
        for flip in recommendation.flips:
            if flip.question == question and flip.known is known:
                outcomes.setdefault(flip.approach, []).append(_value(flip.answer))
        if outcomes:
            changes = ", ".join(f"{' or '.join(values)} → {approach}" for approach, values in outcomes.items())
            lines.append(f"{question}: {changes}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " and ".join(value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _titled(title: str, lines: Iterable[str]) -> list[Block]:
    """Return the lines under a title; nothing without lines."""
    shown: list[Block] = [Line(text, indent=1) for text in lines]
    return [Line(""), Line(title, "strong"), *shown] if shown else []


def _numbered(lines: Sequence[str]) -> list[str]:
    return [f"{number}. {text}" for number, text in enumerate(lines, 1)]
