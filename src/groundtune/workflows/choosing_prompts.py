"""Choose the prompt of each approach among the project's wordings, on validation examples. Never reads the test split.

What a choice was made on is kept with it, and a comparison chooses again when that has changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from groundtune.approaches.pipeline import Pipeline
from groundtune.approaches.wordings import Wording
from groundtune.build.approach_families import plain_name
from groundtune.build.approach_registry import ApproachRegistry
from groundtune.build.prompt_defaults import default_wording, made_for, usual_prompt
from groundtune.build.resources import Resources
from groundtune.build.task import primary_score, score_names
from groundtune.common.answers import request_answer
from groundtune.common.conversations import question_of
from groundtune.common.event_loop import run_workers
from groundtune.common.files import digest_text
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, FittedPrompt
from groundtune.errors import BudgetError, GroundtuneError, ProviderError
from groundtune.measure.scoring import Scorer
from groundtune.types import Example
from groundtune.workflows.calibrating import answer_conditions, sampled_ids
from groundtune.workflows.fitted_settings import update_fitted
from groundtune.workspace import Workspace

TOO_FEW = 10
"""Minimum number of examples for choosing a prompt."""
MAX_FAILED = 0.2
"""Largest share of failed questions; above it, the others are not representative."""

Progress = Callable[[str, int, int], None]
"""Called after each question with the approach, the questions done, and their total."""


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """How one approach gets its prompt."""

    wordings: Sequence[Wording] = ()
    """Wordings to try; empty when nothing has to be asked."""
    questions: Sequence[Example] = ()
    basis: str = ""
    reason: str = ""
    """Why nothing is asked."""


async def plan_prompts(
    config: Config,
    resources: Resources,
    registry: ApproachRegistry,
    examples: Sequence[Example],
    fitted: Fitted,
    *,
    compared_on: str = "test",
) -> dict[str, PromptPlan]:
    """Plan the choice for each approach with a model, by its plain name. examples: of all splits.

    Nothing is planned when the project names only one wording.
    """
    names = config.compare.prompt_names
    if len(names) == 1:
        return {}
    wordings = [resources.wordings[name] for name in names]
    most = config.compare.prompt_questions
    questions, reason = _questions(examples, most=most, compared_on=compared_on)
    shared = [
        *await answer_conditions(config, resources, fitted),
        _deciding_score(config),
        usual_prompt(config),
        [(wording.name, wording.digest(config.task)) for wording in wordings],
        [repr(example) for example in questions],
    ]
    plans = {}
    for name, table in registry.model_tables.items():
        if plain_name(name) != name or not isinstance(registry.ready.get(name), Pipeline):
            continue
        basis = digest_text(repr([shared, name, registry.requests.get(table)]))[:16]
        before = fitted.prompts.get(name)
        unchanged = "chosen already" if before and before.basis == basis else ""
        why = reason or unchanged
        plans[name] = PromptPlan((), (), basis, why) if why else PromptPlan(wordings, questions, basis)
    return plans


def _questions(examples: Sequence[Example], *, most: int, compared_on: str) -> tuple[list[Example], str]:
    """Return the examples to choose on, a sample that stays nearly the same, or why there are none."""
    if most < TOO_FEW:
        return [], f"prompt_questions = {most}, but {TOO_FEW} are needed"
    if compared_on == "validation":
        return [], "the validation split is compared on"
    rows = [example for example in examples if example.split == "validation"]
    if len(rows) < TOO_FEW:
        return [], f"{TOO_FEW} validation examples are needed; there are {len(rows) or 'none'}"
    chosen = set(sampled_ids(rows, most))
    return [example for example in rows if example.id in chosen], ""


def _deciding_score(config: Config) -> str:
    """Return the score that decides: that of the comparison, unless only a judge gives it."""
    judged = config.judge.metrics if config.judge else ()
    metric = primary_score(config)
    if metric in score_names(config) and metric not in judged:
        return metric
    return "chrf" if config.task == "write" else "correct"


async def choose_prompts(
    workspace: Workspace,
    config: Config,
    registry: ApproachRegistry,
    plans: Mapping[str, PromptPlan],
    fitted: Fitted,
    score: Scorer,
    *,
    progress: Progress = lambda *_: None,
) -> tuple[Fitted, dict[str, str]]:
    """Ask what is planned and save the choices; return all fitted values, and why an approach has no choice.

    Raises BudgetError; the answers so far stay in the cache.
    """
    reasons = {name: plan.reason for name, plan in plans.items() if plan.reason}
    for name, plan in plans.items():
        if not plan.questions:
            continue
        scores = await _scores(config, registry, name, plan, score, progress)
        if isinstance(scores, str):
            reasons[name] = scores
            continue
        chosen = _best(config, scores)
        table = registry.model_tables[name]
        wording = next(each for each in plan.wordings if each.name == chosen)
        n = len(scores[chosen])
        means = {each: fmean(values) for each, values in scores.items()}
        choice = FittedPrompt(chosen, n, _deciding_score(config), means, made_for(config, wording, table), plan.basis)
        fitted = update_fitted(workspace, partial(_with_choice, name, choice))
    return fitted, reasons


async def _scores(
    config: Config, registry: ApproachRegistry, name: str, plan: PromptPlan, score: Scorer, progress: Progress
) -> dict[str, list[float]] | str:
    """Return the scores of each wording on the questions that were scored in all of them, or why there are too few.

    A reply that cannot be read counts as wrong; other failures say nothing about the wording.
    """
    metric = _deciding_score(config)
    cells = [(wording, example) for example in plan.questions for wording in plan.wordings]
    found: dict[tuple[str, str], float] = {}
    failures: list[GroundtuneError] = []
    stopped: list[BudgetError] = []
    waiting, done = iter(cells), 0
    approach = registry.ready[name]
    worded = {
        wording.name: approach.with_wording(wording).with_threshold(None)
        for wording in plan.wordings
        if isinstance(approach, Pipeline)
    }

    async def work() -> None:
        nonlocal done
        for wording, example in waiting:
            if stopped:
                return
            try:
                answer = await request_answer(worded[wording.name], question_of(example))
                scores = score(answer, example)
                if metric in scores:
                    found[wording.name, example.id] = scores[metric]
            except BudgetError as error:
                stopped.append(error)
                return
            except GroundtuneError as error:
                if isinstance(error, ProviderError) and error.kind == "unreadable":
                    found[wording.name, example.id] = 0.0
                else:
                    failures.append(error)
            done += 1
            progress(name, done, len(cells))

    await run_workers(work, max(1, registry.concurrency.get(name, 1)))
    if stopped:
        raise stopped[0]
    if len(failures) > MAX_FAILED * len(cells):
        return f"{len(failures):,} of {len(cells):,} answers failed, the first: {failures[0].message}"
    common = [each.id for each in plan.questions if all((other, each.id) in found for other in worded)]
    if len(common) < TOO_FEW:
        return f"only {len(common)} examples have the score {metric} in each prompt, and {TOO_FEW} are needed"
    return {other: [found[other, each] for each in common] for other in worded}


def _best(config: Config, scores: Mapping[str, Sequence[float]]) -> str:
    """Return the wording with the highest mean; of equals the usual one, else the one that is listed first."""
    totals = {name: sum(values) for name, values in scores.items()}
    best = [name for name, total in totals.items() if total >= max(totals.values()) - 1e-9]
    usual = usual_prompt(config)
    return usual if usual in best else best[0]


def _with_choice(name: str, choice: FittedPrompt, fitted: Fitted) -> Fitted:
    return replace(fitted, prompts={**fitted.prompts, name: choice})


def with_prompts(
    config: Config, resources: Resources, registry: ApproachRegistry, fitted: Fitted, named: Sequence[str]
) -> ApproachRegistry:
    """Return the approaches with the chosen prompts, without those that would be the same under a second name.

    named: approaches that were asked for by name, which stay.
    """
    resources = replace(resources, fitted=fitted)
    ready = dict(registry.ready)
    for name, table in registry.model_tables.items():
        approach = ready.get(name)
        if plain_name(name) == name and isinstance(approach, Pipeline):
            wording = default_wording(config, resources, name, table)
            ready[name] = approach.with_wording(wording)
            if (repeated := f"{name}/{wording.name}") not in named:
                ready.pop(repeated, None)
    return replace(registry, ready=ready)


def describe_prompts(
    config: Config,
    registry: ApproachRegistry,
    plans: Mapping[str, PromptPlan],
    fitted: Fitted,
    reasons: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """Describe the prompt of each approach that has a choice, in plain JSON values.

    `n` is None when no examples are behind it; `reason` then says why.
    """
    described: dict[str, dict[str, Any]] = {}
    for name, plan in plans.items():
        approach, chosen = registry.ready[name], fitted.prompts.get(name)
        used = approach.wording.name if isinstance(approach, Pipeline) else usual_prompt(config)
        facts: dict[str, Any] = {"n": None, "score": None, "means": {}, "reason": reasons.get(name, "")}
        if chosen and chosen.basis == plan.basis:
            facts = {"n": chosen.n, "score": chosen.score, "means": dict(chosen.means), "reason": ""}
        elif chosen and chosen.name == used:
            facts["reason"] = f"chosen earlier; not again, because {facts['reason']}"
        described[name] = {"prompt": used, **facts}
    return described
