"""Give each approach that states a confidence its own threshold, fitted on examples. Never reads the test split.

The confidences of two approaches mean different things, so they share no threshold. What a threshold was fitted on is
kept with it, and a comparison fits it again when that has changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from groundtune.approaches.pipeline import Pipeline
from groundtune.build.approach_families import threshold_key
from groundtune.build.approach_registry import ApproachRegistry, build_registry
from groundtune.build.resources import Resources
from groundtune.build.task import scorer
from groundtune.common.files import digest_text
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, FittedThreshold, read_fitted
from groundtune.measure.scoring import Scorer
from groundtune.protocols import HasThreshold
from groundtune.types import Example, Split
from groundtune.workflows.abstention_threshold import (
    NO_CONFIDENCE,
    TOO_FEW,
    Calibration,
    Progress,
    Uncalibrated,
    calibrate,
)
from groundtune.workflows.comparison_basis import settings
from groundtune.workflows.fitted_settings import update_fitted
from groundtune.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """How one approach gets its threshold."""

    key: str
    """Its name among the fitted values."""
    questions: Sequence[Example] = ()
    """What to ask it; empty when nothing has to be asked."""
    basis: str = ""
    reason: str = ""
    """Why nothing is asked."""


async def plan_calibration(
    config: Config,
    resources: Resources,
    registry: ApproachRegistry,
    examples: Sequence[Example],
    fitted: Fitted,
    *,
    compared_on: str = "test",
) -> dict[str, CalibrationPlan]:
    """Plan the calibration of each approach that can have a threshold. examples: of all splits."""
    plans = {}
    conditions = await answer_conditions(config, resources, fitted)
    for name, approach in registry.ready.items():
        if not isinstance(approach, HasThreshold):
            continue
        key = threshold_key(name, registry.artifacts.get(name))
        trained = name in registry.artifacts or has_trained_retriever(config, resources.model_folder)
        most = config.answers.calibration_questions
        questions = calibration_examples(examples, most=most, trained=trained, compared_on=compared_on)
        prompt = approach.wording.digest(config.task) if isinstance(approach, Pipeline) else None
        basis = digest_text(repr([conditions, prompt, [repr(example) for example in questions]]))[:16]
        reason = ""
        if config.answers.threshold is not None:
            reason = "one is set under [answers]"
        elif not approach.states_confidence:
            reason = NO_CONFIDENCE
        elif config.task == "write":
            reason = "no rule says which written texts are right"
        elif most == 0:
            reason = "calibration_questions = 0"
        elif not questions:
            reason = _too_few(examples, most, trained=trained, compared_on=compared_on)
        elif key in fitted.thresholds and fitted.thresholds[key].basis == basis:
            reason = "fitted already"
        plans[name] = CalibrationPlan(key, () if reason else questions, basis, reason)
    return plans


def calibration_examples(
    examples: Sequence[Example], *, most: int, trained: bool = False, compared_on: str = "test"
) -> list[Example]:
    """Return the examples of the train and validation splits to calibrate on; none if they are too few.

    most: number of examples; of more, a fixed sample with the same share of questions without an answer. trained: the
    approach has learned from the train split, so only validation is used. compared_on: a split that is measured on.
    """
    splits = _splits(trained=trained, compared_on=compared_on)
    chosen = [example for example in examples if example.split in splits]
    unanswerable = [example for example in chosen if example.output is None]
    if min(len(chosen), most) < TOO_FEW or not 0 < len(unanswerable) < len(chosen):
        return []
    if len(chosen) <= most:
        return chosen
    share = min(max(round(most * len(unanswerable) / len(chosen)), 1), most - 1)
    answerable = [example for example in chosen if example.output is not None]
    sample = {*sampled_ids(unanswerable, share), *sampled_ids(answerable, most - share)}
    return [example for example in chosen if example.id in sample]


def sampled_ids(examples: Sequence[Example], count: int) -> list[str]:
    """Return the ids of a sample that stays nearly the same when examples are added."""
    return sorted((example.id for example in examples), key=digest_text)[:count]


def _splits(*, trained: bool, compared_on: str) -> list[Split]:
    splits: list[Split] = ["validation"] if trained else ["train", "validation"]
    return [split for split in splits if split != compared_on]


def _too_few(examples: Sequence[Example], most: int, *, trained: bool, compared_on: str) -> str:
    if most < TOO_FEW:
        return f"calibration_questions = {most}, but {TOO_FEW} are needed"
    splits = _splits(trained=trained, compared_on=compared_on)
    chosen = [example for example in examples if example.split in splits]
    unanswerable = sum(example.output is None for example in chosen)
    named = f"{' and '.join(splits)} examples" if splits else "examples of a split that is not compared on"
    present = f"{len(chosen):,}, {unanswerable:,} of them without one" if chosen else "none"
    return f"{TOO_FEW} {named} are needed, some of them without an answer; there are {present}"


async def answer_conditions(config: Config, resources: Resources, fitted: Fitted) -> list[Any]:
    """Return what answers depend on, besides the questions, the prompt and the trained model."""
    index = resources.index
    return [
        version("groundtune"),
        settings(config),
        fitted.dense_weight,
        dict(index.manifest.parts) if index else None,
        await index.catalog.digest() if index else None,
        [repr(example) for example in resources.train],
    ]


def has_trained_retriever(config: Config, models: Path | None) -> bool:
    """Whether the embedder or the reranker of the project was trained here, on the train split."""
    named = [Path(model) for model in (config.embedder.model, config.retrieval.reranker) if model]
    return models is not None and any(models.resolve() in model.resolve().parents for model in named)


async def calibrate_all(
    config: Config,
    registry: ApproachRegistry,
    plans: Mapping[str, CalibrationPlan],
    score: Scorer,
    *,
    progress: Progress = lambda *_: None,
) -> dict[str, Calibration | Uncalibrated]:
    """Calibrate each approach that has questions to ask. Raises BudgetError; the answers so far stay in the cache."""
    results: dict[str, Calibration | Uncalibrated] = {}
    for name, plan in plans.items():
        if plan.questions:
            approach = registry.ready[name]
            concurrency = registry.concurrency.get(name, 1)
            results[name] = await calibrate(
                approach, plan.questions, config, score, concurrency=concurrency, progress=progress
            )
    return results


async def calibrate_one(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    name: str,
    examples: Sequence[Example],
    fitted: Fitted,
    *,
    progress: Progress = lambda *_: None,
) -> Calibration | Uncalibrated:
    """Calibrate an approach by name, whether it has a threshold or not, and save the threshold.

    Raises what `ApproachRegistry.select` raises for the name.
    """
    registry = (await build_registry(config, resources, only=[name])).select([name])
    unfitted = replace(fitted, thresholds={})
    plans = await plan_calibration(config, resources, registry, examples, unfitted)
    if name not in plans or plans[name].reason:
        return Uncalibrated(plans[name].reason if name in plans else NO_CONFIDENCE)
    score = scorer(config, resources.output_format, resources.root)
    calibration = (await calibrate_all(config, registry, plans, score, progress=progress))[name]
    save_thresholds(workspace, plans, {name: calibration})
    return calibration


def save_thresholds(
    workspace: Workspace, plans: Mapping[str, CalibrationPlan], results: Mapping[str, Calibration | Uncalibrated]
) -> Fitted:
    """Add the thresholds that were chosen to the fitted values of the project; return all fitted values."""
    chosen = {
        plans[name].key: _fitted_threshold(result, plans[name].basis)
        for name, result in results.items()
        if isinstance(result, Calibration)
    }
    if not chosen:
        return read_fitted(workspace.fitted)
    return update_fitted(workspace, lambda before: replace(before, thresholds={**before.thresholds, **chosen}))


def _fitted_threshold(calibration: Calibration, basis: str) -> FittedThreshold:
    point = calibration.point
    return FittedThreshold(
        point.threshold, calibration.n, calibration.rule, coverage=point.coverage, risk=point.risk, basis=basis
    )


def with_thresholds(registry: ApproachRegistry, results: Mapping[str, Calibration | Uncalibrated]) -> ApproachRegistry:
    """Return the approaches with the thresholds that were just chosen; the others stay as they are."""
    ready = dict(registry.ready)
    for name, result in results.items():
        approach = ready[name]
        if isinstance(result, Calibration) and isinstance(approach, HasThreshold):
            ready[name] = approach.with_threshold(result.point.threshold)
    return replace(registry, ready=ready)


def describe_thresholds(
    config: Config,
    registry: ApproachRegistry,
    plans: Mapping[str, CalibrationPlan],
    results: Mapping[str, Calibration | Uncalibrated],
    fitted: Fitted,
) -> dict[str, dict[str, Any]]:
    """Describe the threshold of each approach that can have one, in plain JSON values.

    `value` is None without a threshold, and `n` if no examples are behind it; `rule` then says why.
    """
    described: dict[str, dict[str, Any]] = {}
    for name, plan in plans.items():
        approach, result, kept = registry.ready[name], results.get(name), fitted.thresholds.get(plan.key)
        value = approach.threshold if isinstance(approach, HasThreshold) else None
        reason = result.reason if isinstance(result, Uncalibrated) else plan.reason
        facts: dict[str, Any] = {"n": None, "coverage": None, "risk": None}
        if config.answers.threshold is not None:
            rule = "set under [answers]"
        elif kept:
            facts = {key: getattr(kept, key) for key in facts}
            rule = kept.rule
        else:
            rule = reason if value is None else f"the default: {reason}"
        described[name] = {"value": value, "rule": rule, **facts}
    return described
