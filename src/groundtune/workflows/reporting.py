"""Turn the figures of a matrix into a verdict and a report. Calls no model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.advice.measured import Measured
from groundtune.common.text import format_count
from groundtune.decide.diagnosis import Diagnosis, diagnose, largest_causes
from groundtune.decide.routing import routing_room
from groundtune.decide.rules import Case, Requirements, case_of
from groundtune.decide.trainings import TrainingCost, Trainings
from groundtune.decide.verdict import decide
from groundtune.decide.wording import scale_of
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import UsageError
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.types import ApproachSummary, Interval, Verdict
from groundtune.workflows.caveats import cost_caveats, cut_caveats, training_caveats
from groundtune.workflows.costing import CostReport, CostTerms, assumptions_of, measured_costs
from groundtune.workflows.curve_file import curve_sentences
from groundtune.workflows.figures import Figures, keep_figures
from groundtune.workflows.fitted_sentences import prompt_sentences, threshold_sentences
from groundtune.workflows.live_report import LiveReport
from groundtune.workflows.run_prices import machine_prices, parts_of_run
from groundtune.workflows.runs import Run
from groundtune.workflows.stopping import stopping_sentences
from groundtune.workflows.what_if import under_assumed_prices, unknown_prices

FIGURES = ("usd_per_1k", "p50_seconds", "p95_seconds", "cited")
"""Fields of an approach summary that a condition may name besides the scores."""
LIVE_HEADING = "On real questions, apart from the figures above:"
_CONDITION_PATTERN = re.compile(r"\s*(\S.*?)\s*(>=|<=)\s*(\d*\.?\d+(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A minimum or maximum that the recommended approach must meet, such as `correct>=0.8`."""

    metric: str
    at_least: bool
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition. Raises UsageError."""
        match = _CONDITION_PATTERN.fullmatch(text)
        if match is None:
            raise UsageError(f"invalid condition {text!r}", hint='write it like "correct>=0.8" or "p95_seconds<=2"')
        return cls(match[1], match[2] == ">=", float(match[3]))

    def met_by(self, summary: ApproachSummary) -> bool:
        """Whether an approach meets the condition; an unknown value never does."""
        values: dict[str, float | None] = {name: interval.mean for name, interval in summary.metrics.items()}
        values |= {name: getattr(summary, name) for name in FIGURES}
        actual = values.get(self.metric)
        if actual is None:
            return False
        return actual >= self.value if self.at_least else actual <= self.value


@dataclass(frozen=True, slots=True)
class Report(Displayed):
    """The verdict on a run with the figures behind it."""

    run: Run
    figures: Figures
    """What the rows of the matrix say."""
    approaches: tuple[ApproachSummary, ...]
    """Figures of each approach, with the price that includes its training."""
    verdict: Verdict
    costs: CostReport
    """What the approaches cost, on the terms of the comparison."""
    case: Case = field(compare=False, repr=False)
    """What the verdict was decided from."""
    live: LiveReport | None = None
    """What people think of approaches on real questions, none of which is in the matrix; None where nobody asked."""
    file: Path | None = None
    """Path of report.html, if written."""

    def view(self) -> list[Block]:
        """Return the verdict, a table of the approaches, and what was not run."""
        own = [name for name in self.own_scores if name != self.primary]
        rows = [
            [
                *(entry.name, _mean(entry), *(entry.metrics.get(name) for name in own)),
                *(entry.abstained, entry.errors, entry.p95_seconds, entry.usd_per_1k),
            ]
            for entry in sorted(self.approaches, key=lambda entry: -1.0 if entry.mean is None else -entry.mean)
        ]
        incomplete = [] if self.run.complete else [Line("This run is incomplete; compare resumes it.")]
        return [
            *self.verdict.view(),
            *([Line(self.figures.unreviewed_sentence, "strong")] if self.figures.unreviewed_sentence else []),
            *incomplete,
            Line(""),
            Table(["approach", self.primary, *own, "abstained", "errors", "p95 s", "usd/1k"], rows),
            *self._diagnosis_view(),
            *([Line(self.guides_sentence)] if self.guides_sentence else []),
            *(Line(f"{name}: {text}", "strong") for name, text in self.figures.errors.items()),
            *(Line(f"{name} was not run: {reason}", "dim") for name, reason in self.run.missing.items()),
            *([Line(self.routing_sentence)] if self.routing_sentence else []),
            *(Line(sentence) for sentence in self.curve_sentences),
            *(Line(sentence, "dim") for sentence in (*self.prompt_sentences, *self.threshold_sentences)),
            *self.costs.brief(self.verdict.leaders),
            *self.live_view(),
            Line(f"{format_count(self.n, 'example')}; {self.file or self.run.file}", "dim"),
        ]

    def live_view(self) -> list[Block]:
        """Return the figures on real questions under their heading; empty without any."""
        return [Line(LIVE_HEADING, "strong"), *self.live.view()] if self.live and self.live.comparisons else []

    def _diagnosis_view(self) -> list[Block]:
        """Return the largest cause of the failures of each approach, and all causes in a fold."""
        causes = [
            [each.approach, found.cause, found.count, found.share, ", ".join(found.examples), found.advice]
            for each in self.diagnoses
            for found in each.causes
        ]
        if not causes:
            return []
        lines = [
            line
            for heading, found in largest_causes(self.diagnoses)
            for line in (Line(heading, "strong"), *(Line(f"{where}. {advice}.", indent=1) for where, advice in found))
        ]
        table = Table(["approach", "cause", "rows", "share of its rows", "such as", "try first"], causes)
        return [*lines, Fold("All causes: diagnoses", [table])]

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """Where each approach fails, and what to try first."""
        return diagnose(self.figures.failures, self.approaches, task=self.run.about.get("task", "answer"))

    @property
    def measured(self) -> Measured:
        """What guides are held against."""
        compared = tuple(summary.name for summary in self.approaches)
        parts = parts_of_run(self.run.about)
        return Measured(self.verdict.sentence, self.verdict.leaders, self.run.name, compared, parts)

    @property
    def guides(self) -> list[dict[str, Any]]:
        """What each decision guide said of the project before the comparison, and whether the figures agree."""
        return [{**said, "figures": self.measured.judge(said["says"])} for said in self.run.about.get("guides", ())]

    @property
    def guides_sentence(self) -> str | None:
        """Which guides were right; None where the run, of an older version, does not say what they say."""
        said = {each["guide"]: each["says"] for each in self.guides}
        return f"Guides, by these figures: {self.measured.judge_all(said)}." if said else None

    @property
    def primary(self) -> str:
        """Name of the score that decides."""
        return self.figures.primary

    @property
    def n(self) -> int:
        """Number of examples in the matrix."""
        return self.figures.n

    @property
    def own_scores(self) -> list[str]:
        """Names of the scores of packages and of the caller."""
        return list(self.run.about.get("own_scorers", ()))

    @property
    def threshold_sentences(self) -> list[str]:
        """The confidence below which each approach abstained, and what it was fitted on; older runs do not say it."""
        return threshold_sentences(self.run.about.get("thresholds", {}))

    @property
    def curve_sentences(self) -> list[str]:
        """Scores by number of train examples, and what more would bring; empty without a curve of this score."""
        curve = self.run.curve
        if curve is None or curve.primary != self.primary:
            return []
        return curve_sentences(curve, {row.name: mean for row in self.approaches if (mean := _mean(row))})

    @property
    def routing_sentence(self) -> str | None:
        """Whether a router pays or, before one was tried, how much it could gain; None below two approaches."""
        routing, best = self.run.routing, self.figures.best_of_each
        if routing and routing.primary == self.primary:
            return routing.sentence
        return routing_room(best, scale_of(self.approaches, self.primary)) if best else None

    @property
    def prompt_sentences(self) -> list[str]:
        """The prompt of each approach that has several, and what it was chosen by; empty when there was no choice."""
        return prompt_sentences(self.run.about.get("prompts", {}))

    def costs_on(self, terms: CostTerms) -> CostReport:
        """Return the costs on other terms than those of the comparison, such as those of the project now."""
        costs = measured_costs(self.approaches, self.figures, self.verdict, self.run.about, terms)
        return replace(costs, run=self.run.name)

    def unmet_by(self, conditions: Sequence[Condition]) -> list[str]:
        """Return the conditions that the choice misses or, without a choice, that any leader misses.

        Raises UsageError for a score or figure that no approach has.
        """
        names = [self.verdict.choice] if self.verdict.choice else self.verdict.leaders
        chosen = [entry for entry in self.approaches if entry.name in names]
        scores = sorted({name for entry in self.approaches for name in entry.metrics})
        for condition in conditions:
            if condition.metric not in (*scores, *FIGURES):
                raise UsageError(
                    f"no approach has {condition.metric!r}", hint=f"choose one of {', '.join((*scores, *FIGURES))}"
                )
        return [
            str(condition)
            for condition in conditions
            if not chosen or not all(condition.met_by(summary) for summary in chosen)
        ]

    def summary(self) -> dict[str, Any]:
        """Return the content of report.json, which `--json` also prints."""
        return {
            "choice": self.verdict.choice,
            "sentence": self.verdict.sentence,
            "unreviewed": self.figures.unreviewed,
            "unreviewed_sentence": self.figures.unreviewed_sentence,
            "primary": self.primary,
            "n": self.n,
            "approaches": [asdict(summary) for summary in self.approaches],
            "comparisons": [asdict(difference) for difference in self.figures.differences],
            "verdict": {
                "reasons": self.verdict.reasons,
                "leaders": self.verdict.leaders,
                "ruled_out": self.verdict.ruled_out,
                "flips": [flip.sentence for flip in self.verdict.flips],
                "caveats": self.verdict.caveats,
                "more_examples": self.verdict.more_examples,
            },
            "flips": [asdict(flip) for flip in self.verdict.flips],
            "costs": self.costs.summary(),
            "unavailable": dict(self.run.missing),
            "stopping": asdict(self.run.stopping) if self.run.stopping else None,
            "routing_sentence": self.routing_sentence,
            "curve": asdict(self.run.curve) if self.run.curve else None,
            "thresholds": dict(self.run.about.get("thresholds", {})),
            "prompts": dict(self.run.about.get("prompts", {})),
            "tags": [
                {
                    "tag": tag,
                    "n": n,
                    "approaches": {name: asdict(mean) for name, mean in means.items()},
                    ASSERTED_WRONG: {name: asdict(mean) for name, mean in wrong.items()},
                }
                for (tag, n, means), (_, _, wrong) in zip(self.figures.tags, self.figures.wrong_tags, strict=True)
            ],
            "classes": {name: asdict(table) for name, table in self.figures.classes.items()},
            "fields": {name: asdict(table) for name, table in self.figures.fields.items()},
            "guides": self.guides,
            "diagnosis": [asdict(diagnosis) for diagnosis in self.diagnoses],
            "live": self.live.summary() if self.live else None,
            "run": self.run.name,
            "complete": self.run.complete,
            "results": str(self.run.file),
            "html": str(self.file) if self.file else None,
        }


def evaluate_run(run: Run, *, primary: str | None = None) -> Report:
    """Return the verdict under the requirements of the run.

    primary: the deciding score, instead of the run's own. Raises UsageError when no row has it.
    """
    figures = run.figures
    if figures is None or (primary and primary != figures.primary):
        from groundtune.workflows.measuring import measure  # reading a run whose figures were kept needs none of it

        figures = measure(run, primary)
        if run.key and primary is None:
            keep_figures(run.file.parent, run.key, figures)
    figures = under_assumed_prices(figures, run.about)
    measured = figures.approaches
    requirements = Requirements(**run.about.get("requirements", {}), barred=run.barred)
    requests, trainings = requirements.requests_per_month, _trainings(run.about)
    terms = CostTerms.of_run(run.about)
    machine = machine_prices(figures, run.about, assumptions_of(terms)["machine_usd_per_hour"].likely)
    case = case_of(
        measured,
        figures.differences,
        requirements,
        primary=figures.primary,
        examples=figures.n,
        prefer_simpler=run.about.get("prefer_simpler", True),
        trainings=trainings,
        machine=machine,
        errors_as_wrong=figures.errors_as_wrong,
    )
    summaries = case.priced
    verdict = decide(case, clusters=figures.groups)
    caveats = (
        *(stopping_sentences(run.stopping) if run.stopping else ()),
        *verdict.caveats,
        *figures.wording_caveats,
        *cut_caveats(summaries, run.about),
        *figures.warning_caveats,
        *unknown_prices(run.about, figures),
        *machine.notes([each.name for each in summaries]),
        *trainings.notes(case.requests, requests),
        *training_caveats(run.about, figures.training_means),
    )
    verdict = replace(verdict, caveats=caveats)
    costs = measured_costs(summaries, figures, verdict, run.about, terms)
    verdict = replace(verdict, caveats=(*verdict.caveats, *cost_caveats(verdict, costs.approaches)))
    return Report(run, figures, tuple(summaries), verdict, replace(costs, run=run.name), case)


def _trainings(about: Mapping[str, Any]) -> Trainings:
    paid, trainings = about.get("training_usd", {}), about.get("trainings", {})
    counts = {name: 1 + len(trainings.get(name, {}).get("further", ())) for name in paid}
    costs = {name: TrainingCost(usd, counts[name]) for name, usd in paid.items()}
    changes = about.get("costs", {}).get("documents_change")
    return Trainings(costs, about.get("months") or 12, changes, parts_of_run(about), about.get("artifacts", {}))


def _mean(summary: ApproachSummary) -> Interval | None:
    if summary.mean is None or summary.low is None or summary.high is None:
        return None
    return Interval(summary.mean, summary.low, summary.high, summary.n)
