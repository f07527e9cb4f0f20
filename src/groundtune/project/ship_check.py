"""Say what is missing before a project is served to people. Asks no model, and changes nothing."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from groundtune import build
from groundtune.build.approach_registry import default_approach
from groundtune.common.text import format_count
from groundtune.config import Config
from groundtune.config.telemetry_table import COLLECTORS
from groundtune.display import Block, Displayed, Line, Table
from groundtune.errors import GroundtuneError
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.project.choice_check import check_choice
from groundtune.project.validation import check_project
from groundtune.types import Example
from groundtune.workflows.canary import canary_examples, canary_key, read_canary
from groundtune.workflows.choosing import Choice, recorded_choice
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ShipItem:
    """One thing that has to be in place."""

    name: str
    ready: bool
    message: str
    hint: str | None = None
    """What puts it in place; None when it is."""


@dataclass(frozen=True, slots=True)
class ShipReport(Displayed):
    """Whether a project may be served to people."""

    items: tuple[ShipItem, ...]

    @property
    def ready(self) -> bool:
        """Whether everything is in place."""
        return all(item.ready for item in self.items)

    def view(self) -> list[Block]:
        """Return the verdict and every item."""
        missing = [item.name for item in self.items if not item.ready]
        verdict = "ready to ship" if not missing else f"not ready to ship: {', '.join(missing)}"
        rows = [["✓" if item.ready else "✗", item.name, item.message] for item in self.items]
        hints = [Line(f"{item.name}: {item.hint}", "dim") for item in self.items if item.hint and not item.ready]
        blocks: list[Block] = [Line(verdict, tone="strong"), Table(["", "", ""], rows)]
        return blocks + ([Line(""), *hints] if hints else [])


def check_ship(
    workspace: Workspace, config: Config, examples: Sequence[Example], *, environ: Mapping[str, str] | None = None
) -> ShipReport:
    """Check everything that has to be in place. examples: of all splits."""
    environ = os.environ if environ is None else environ
    choice = recorded_choice(workspace, config.answers.approach)
    return ShipReport(
        (
            _project(workspace, environ),
            _choice(workspace, config, examples, choice),
            _asserted_wrong(workspace, config, choice),
            _canary(workspace, config, examples, choice),
            _monitoring(config, environ),
            _fallback(config),
            _review(config),
            _budget(config),
        )
    )


def _project(workspace: Workspace, environ: Mapping[str, str]) -> ShipItem:
    report = check_project(workspace.root, environ=environ)
    wrong = sum(finding.level != "warning" for finding in report.findings)
    if wrong:
        return ShipItem(
            "project", False, f"groundtune check finds {format_count(wrong, 'problem')}", "groundtune check"
        )
    return ShipItem("project", True, "groundtune check finds nothing wrong or missing")


def _choice(workspace: Workspace, config: Config, examples: Sequence[Example], choice: Choice | None) -> ShipItem:
    if choice is None:
        message = "no approach was chosen by groundtune use"
        return ShipItem("choice", False, message, "groundtune compare, then groundtune use --verdict")
    for _, message, hint in check_choice(workspace, config, examples):
        return ShipItem("choice", False, message, hint)
    where = f"recommended by {choice.run}" if choice.run else "named by hand"
    return ShipItem("choice", True, f"{choice.approach}, {where}, and nothing has changed since")


def _asserted_wrong(workspace: Workspace, config: Config, choice: Choice | None) -> ShipItem:
    name, limit = ASSERTED_WRONG, config.requirements.max_asserted_wrong
    if limit is None:
        hint = "write [requirements] max_asserted_wrong = 0.05, or what your users can bear"
        return ShipItem(name, False, "the project file names no limit for wrong answers without a word of doubt", hint)
    try:
        report = evaluate_run(read_run(run_folder(workspace, choice.run if choice else None)))
    except GroundtuneError as error:
        return ShipItem(name, False, f"not measured: {error.message}", error.hint or "groundtune compare")
    plain = (config.answers.approach or default_approach(config)).partition("@")[0]
    found = next((each for each in report.approaches if each.name.partition("@")[0] == plain), None)
    share = found.metrics.get(ASSERTED_WRONG) if found else None
    if share is None:
        return ShipItem(name, False, f"{plain} was not measured in {report.run.name}", "groundtune compare")
    figure = f"{share.mean:.1%} [{share.low:.1%}, {share.high:.1%}] n={share.n:,}; the limit is {limit:.1%}"
    if share.mean <= limit:
        return ShipItem(name, True, figure)
    return ShipItem(name, False, figure, "a threshold ([answers] max_risk), another approach, or better documents")


def _canary(workspace: Workspace, config: Config, examples: Sequence[Example], choice: Choice | None) -> ShipItem:
    if not config.drift.canary:
        return ShipItem("canary", False, "no canary set is asked again", "write [drift] canary = 20")
    again = "groundtune drift"
    try:
        kept = read_canary(workspace)
    except GroundtuneError as error:
        return ShipItem("canary", False, error.message, error.hint)
    key = canary_key(choice, default_approach(config), canary_examples(examples, config.drift.canary))
    if kept is None or kept.key != key or kept.last is None:
        return ShipItem("canary", False, "it was not asked again since the choice was made", again)
    last = kept.last
    if datetime.fromisoformat(last.time) < datetime.now(UTC) - timedelta(days=config.drift.days):
        return ShipItem("canary", False, f"it was last asked on {last.time[:10]}", again)
    figures = "" if last.now is None else f", score {last.before:.3f} then and {last.now:.3f} now"
    message = f"{len(last.changed):,} of {last.n + last.failed:,} answers changed{figures}, {last.failed:,} failed"
    return ShipItem("canary", last.passed, message, None if last.passed else "groundtune compare")


def _monitoring(config: Config, environ: Mapping[str, str]) -> ShipItem:
    if not config.serve.audit:
        message = "answers are not recorded, so nobody can tell what was served"
        return ShipItem("monitoring", False, message, "write [serve] audit = true")
    if config.ship.monitored_by:
        return ShipItem("monitoring", True, f"answers are recorded; watched by {config.ship.monitored_by}")
    collector = config.telemetry.endpoint or next((environ[name] for name in COLLECTORS if environ.get(name)), None)
    if collector:
        return ShipItem("monitoring", True, f"answers are recorded; spans go to {collector}")
    hint = 'write [telemetry] endpoint = "…", or [ship] monitored_by = "…" with who looks at /metrics'
    return ShipItem("monitoring", False, "answers are recorded, but nothing says who watches", hint)


def _fallback(config: Config) -> ShipItem:
    if config.fallback is None:
        return ShipItem("fallback", False, "nothing stands in for an approach that fails", "add a table [fallback]")
    names = [*config.fallback.approaches, *(["quote-hybrid"] if config.task == "answer" else [])]
    if not names:
        hint = 'write [fallback] approaches = ["…"]'
        return ShipItem("fallback", False, "[fallback] names no approach that stands in", hint)
    return ShipItem("fallback", True, f"{' and '.join(names)} within {config.fallback.max_seconds:g} s")


def _review(config: Config) -> ShipItem:
    review = config.review
    if not review.groups:
        hint = 'write [review] groups = ["editors"], and give those people a key or group'
        return ShipItem("review", False, "nothing says who may review answers", hint)
    held = f"; held: {', '.join(review.hold)}" if review.hold else ""
    return ShipItem("review", True, f"by {', '.join(review.groups)}, {review.sample:.0%} of all answers{held}")


def _budget(config: Config) -> ShipItem:
    if (most := config.serve.budget_usd_per_day) is not None:
        return ShipItem("budget", True, f"${most:,.2f} a day, then {config.serve.when_spent}")
    if not list(_billed(config)):
        return ShipItem("budget", True, "no model costs anything but this machine")
    hint = "write [serve] budget_usd_per_day = 20"
    return ShipItem("budget", False, "nothing limits what answers cost a day", hint)


def _billed(config: Config) -> Iterator[str]:
    """Yield the models that may be billed: endpoints without a price of 0."""
    for name, model in config.models.items():
        if model.kind == "openai" and model.model:
            price = build.token_prices(config, model).usd(model.model, {"input_tokens": 1_000, "output_tokens": 1_000})
            if price != 0:
                yield name
