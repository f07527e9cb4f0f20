"""Estimate the calls, tokens, cost and time of a comparison. Renders prompts, calls no paid model."""

import contextlib
import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, median

import numpy as np

from groundtune import build
from groundtune.approaches.pipeline import Pipeline
from groundtune.build.approach_families import CASCADE, COMBINED, ROUTED, with_parts
from groundtune.build.approach_registry import build_registry, with_further_trainings
from groundtune.build.resources import Resources
from groundtune.build.router_file import read_router
from groundtune.build.training_kinds import training_kind
from groundtune.common.conversations import question_of, transcript
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError
from groundtune.extensions import adds_approach
from groundtune.measure.judges import Judge
from groundtune.models.token_counts import likely_tokens
from groundtune.protocols import Approach, CallsEndpoint, Generator, HasThreshold, RepeatableGenerator
from groundtune.types import Answer, Artifact, Example, Generation, Prompt, Vectors
from groundtune.workflows.calibrating import plan_calibration
from groundtune.workflows.choosing_prompts import PromptPlan, plan_prompts, with_prompts
from groundtune.workflows.comparing import require_examples
from groundtune.workspace import Workspace

SAMPLE = 20
"""Number of examples whose prompts are rendered; the rest are assumed to be similar."""
MESSAGE_TOKENS = 4
"""Assumed tokens of a message's role and delimiters."""
REPLY_TOKENS = 5
"""Assumed tokens of a reply beyond the gold output, such as a marker."""
FIRST_TOKEN_SECONDS = 0.5
VERDICT_TOKENS = 60.0
"""Assumed length of a judge's reply."""
TOKENS_PER_SECOND = 50.0
"""Assumed speed of a model that was never timed here."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate for one approach. None = unknown."""

    approach: str
    model: str | None
    """None if the approach calls no model."""
    calls: int
    cached: int
    """Calls answered from the cache; the figures below cover only the others."""
    input_tokens: int
    output_tokens: int
    """Assumes outputs as long as the gold outputs; the maximum is `calls` x max_output_tokens."""
    usd: float | None
    """Expected cost, with tokens estimated by script (models/token_counts.py); not a limit."""
    usd_at_most: float | None
    """Upper limit that a budget is checked against: one token per byte, all output tokens, each call made once.

    Calls whose prompts were not rendered count with the highest ceiling of those that were. None for a judge: the
    length and number of its prompts depend on the answers.
    """
    seconds: float | None
    timed: bool
    """Whether the seconds were measured rather than assumed."""


def total_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Sum of the estimates; None where any of them is unknown."""
    return Estimate(
        approach="(total)",
        model=None,
        calls=sum(estimate.calls for estimate in estimates),
        cached=sum(estimate.cached for estimate in estimates),
        input_tokens=sum(estimate.input_tokens for estimate in estimates),
        output_tokens=sum(estimate.output_tokens for estimate in estimates),
        usd=_sum_or_none([estimate.usd for estimate in estimates]),
        usd_at_most=_sum_or_none([estimate.usd_at_most for estimate in estimates]),
        seconds=_sum_or_none([estimate.seconds for estimate in estimates]),
        timed=all(estimate.timed for estimate in estimates),
    )


def _sum_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


EstimateOne = Callable[[str, Approach, Sequence[Example]], Awaitable[Estimate]]
"""Estimates the answers of an approach, under a name."""


class _Rehearsal:
    """A generator for dry runs, which records prompts and returns empty text."""

    def __init__(self, generator: Generator) -> None:
        self.name = generator.name
        self.window = getattr(generator, "window", None)
        self.generator = generator
        self.prompts: list[Prompt] = []
        self.silent = False
        """Whether to raise instead of answering, so that the caller does not retry."""
        self.asks = False
        """Whether to call the real generator: a locally trained model costs nothing, and its speed is unknown."""
        self.has_confidence = getattr(generator, "has_confidence", True)

    async def generate(self, prompt: Prompt) -> Generation:
        if self.asks:
            return await self.generator.generate(prompt)
        self.prompts.append(prompt)
        if self.silent:
            raise GroundtuneError("this is a rehearsal")
        return Generation("")


async def estimate(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    examples: Sequence[Example],
    *,
    calibration: Sequence[Example] = (),
    split: str = "test",
    chosen: Sequence[str | Approach] = (),
) -> list[Estimate]:
    """Return one estimate per available or named approach, in the order in which they would run.

    An approach whose threshold would be fitted has one more, `NAME (calibration)`; one whose prompt would be chosen has
    one for each, `NAME (prompt WORDING)`. calibration: as in `compare`. Raises
    what `compare` would raise before its first call.
    """
    require_examples(examples, split)
    rehearsals: list[_Rehearsal] = []

    def rehearse(generator: Generator) -> Generator:
        rehearsal = _Rehearsal(generator)
        rehearsals.append(rehearsal)
        return rehearsal

    resources = replace(resources, wrap_generator=rehearse, embedder=resources.batch_embedder)
    if build.usd_of_vectors(config) is None:
        resources = _without_paid_embedder(config, resources)
    # approaches of the caller and of packages cannot be estimated
    names = [choice for choice in chosen if isinstance(choice, str) and not adds_approach(choice)]
    combined = with_parts(config, names, read_router(resources.router_file) if ROUTED in names else None)
    names = [name for name in combined if name not in (COMBINED, CASCADE, ROUTED)]
    registry = await build_registry(config, resources, only=names if chosen else None)
    registry = registry if chosen and not names else registry.select(names)
    registry = await with_further_trainings(config, resources, registry)
    trained = dict.fromkeys(artifact.id for artifact in registry.artifacts.values())
    rehearsal_of = dict(zip([*dict.fromkeys(registry.model_tables.values()), *trained], rehearsals, strict=True))
    cached = build.cache_lookup(workspace.cache)
    prompt_plans = await plan_prompts(config, resources, registry, calibration, resources.fitted, compared_on=split)
    registry = with_prompts(config, resources, registry, resources.fitted, names)
    plans = await plan_calibration(config, resources, registry, calibration, resources.fitted, compared_on=split)
    estimates = []
    for name, approach in registry.ready.items():
        if name in registry.parts:
            continue  # it asks what the approaches behind it are asked, and finds their replies in the cache
        model, artifact = registry.model_tables.get(name), registry.artifacts.get(name)
        table = _endpoint_of(artifact) if artifact else config.models[model] if model else None
        questions = plans[name].questions if name in plans else ()
        unsure = approach.with_threshold(0.0) if questions and isinstance(approach, HasThreshold) else approach
        if table:
            rehearsal = rehearsal_of[artifact.id if artifact else model or ""]
            if questions and await _states_no_confidence(unsure, questions[0], rehearsal, cached):
                questions, unsure = (), approach
            estimate_one: EstimateOne = partial(_estimate_model, config, table, rehearsal, cached)
            estimates += await _estimate_prompts(name, approach, prompt_plans.get(name), estimate_one)
        else:
            if artifact:
                rehearsal_of[artifact.id].asks = True
            estimate_one = _estimate_local
        if questions:
            estimates.append(await estimate_one(f"{name} (calibration)", unsure, questions))
        estimates.append(await estimate_one(name, unsure, examples))
    if config.judge and (judge := build.judge(config, resources.embedder, rehearse)):
        estimates.append(await _estimate_judge(config, judge, rehearsals[-1], len(registry.ready), examples))
    return estimates


async def _estimate_prompts(
    name: str, approach: Approach, plan: PromptPlan | None, estimate_one: EstimateOne
) -> list[Estimate]:
    """Estimate the choice of a prompt, one estimate per wording."""
    if plan is None or not isinstance(approach, Pipeline):
        return []
    return [
        await estimate_one(
            f"{name} (prompt {wording.name})", approach.with_wording(wording).with_threshold(None), plan.questions
        )
        for wording in plan.wordings
    ]


def _endpoint_of(artifact: Artifact) -> ModelConfig | None:
    """Return the endpoint of a trained model; None if it runs on this machine."""
    kind = training_kind(artifact.kind)
    if not isinstance(kind, CallsEndpoint):
        return None
    model: ModelConfig = kind.model_config(artifact)
    return model


async def _estimate_judge(
    config: Config, judge: Judge, rehearsal: _Rehearsal, approaches: int, examples: Sequence[Example]
) -> Estimate:
    """Estimate the judge on every answer of every approach, as if each answer equalled the gold answer."""
    chosen, sample = config.models[config.judge.model if config.judge else ""], evenly_spaced(examples)
    rehearsal.silent = True
    for example in sample:
        for metric in config.judge.metrics if config.judge else ():
            with contextlib.suppress(GroundtuneError):  # the rehearsal always raises
                answer = Answer(str(example.output), "answered", example.output)
                await judge.judge(transcript(example.input, example.history), answer, example, metrics=[metric])
    prompts = rehearsal.prompts
    calls = round(len(examples) * approaches * len(prompts) / len(sample)) if sample else 0
    input_tokens = fmean(map(_tokens, prompts)) if prompts else 0.0
    prices = build.token_prices(config, chosen)
    usd_per_call = prices.usd(
        chosen.model or "", {"input_tokens": round(input_tokens), "output_tokens": round(VERDICT_TOKENS)}
    )
    return Estimate(
        approach="(judge)",
        model=chosen.model,
        calls=calls,
        cached=0,
        input_tokens=round(input_tokens * calls),
        output_tokens=round(VERDICT_TOKENS * calls),
        usd=None if usd_per_call is None else usd_per_call * calls,
        usd_at_most=0.0 if usd_per_call == 0 else None,
        seconds=(FIRST_TOKEN_SECONDS + VERDICT_TOKENS / TOKENS_PER_SECOND) * calls / chosen.concurrency,
        timed=False,
    )


async def _states_no_confidence(
    approach: Approach,
    example: Example,
    rehearsal: _Rehearsal,
    cached: Callable[[Generator, Prompt], Generation | None],
) -> bool:
    """Whether an earlier calibration found that the model states no confidence; it then asks nothing again."""
    rehearsal.prompts.clear()
    await approach.answer(question_of(example))
    generations = [cached(rehearsal.generator, prompt) for prompt in rehearsal.prompts[-1:]]
    return any(generation is not None and generation.confidence is None for generation in generations)


async def _estimate_local(name: str, approach: Approach, examples: Sequence[Example]) -> Estimate:
    """Estimate an approach that runs locally and costs nothing, by timing a few examples."""
    seconds = []
    for example in examples[:3]:
        began = time.perf_counter()
        await approach.answer(question_of(example))
        seconds.append(time.perf_counter() - began)
    n = len(examples)
    return Estimate(name, None, n, 0, 0, 0, 0.0, 0.0, median(seconds) * n if seconds else 0.0, timed=True)


async def _estimate_model(
    config: Config,
    chosen: ModelConfig,
    rehearsal: _Rehearsal,
    cached: Callable[[Generator, Prompt], Generation | None],
    name: str,
    approach: Approach,
    examples: Sequence[Example],
) -> Estimate:
    sample = evenly_spaced(examples)
    rehearsal.prompts.clear()
    for example in sample:
        await approach.answer(question_of(example))
    generator, prompts = rehearsal.generator, list(rehearsal.prompts)
    generations = [cached(generator, prompt) for prompt in prompts]
    uncached_share = sum(generation is None for generation in generations) / len(prompts) if prompts else 0.0
    calls = round(len(examples) * len(prompts) / len(sample)) if sample else 0
    uncached_calls = round(calls * uncached_share)
    input_tokens = fmean(_tokens(prompt) for prompt in prompts) if prompts else 0.0
    output_tokens = (
        fmean(likely_tokens(str(example.output or "")) + REPLY_TOKENS for example in sample) if sample else 0.0
    )
    prices = build.token_prices(config, chosen)
    usd_per_call = prices.usd(
        chosen.model or "", {"input_tokens": round(input_tokens), "output_tokens": round(output_tokens)}
    )
    times = [
        generation.usage.seconds
        for generation in generations
        if generation is not None and generation.usage.seconds is not None
    ]
    seconds_per_call = median(times) if times else FIRST_TOKEN_SECONDS + output_tokens / TOKENS_PER_SECOND
    return Estimate(
        approach=name,
        model=chosen.model,
        calls=calls,
        cached=calls - uncached_calls,
        input_tokens=round(input_tokens * uncached_calls),
        output_tokens=round(output_tokens * uncached_calls),
        usd=usd_per_call * uncached_calls if usd_per_call is not None else None,
        usd_at_most=_ceiling_usd(
            generator,
            [prompt for prompt, generation in zip(prompts, generations, strict=True) if generation is None],
            uncached_calls,
        ),
        seconds=seconds_per_call * uncached_calls / chosen.concurrency,
        timed=bool(times),
    )


def _ceiling_usd(generator: Generator, prompts: Sequence[Prompt], calls: int) -> float | None:
    """Sum of the ceilings of the prompts; other calls count as much as the most expensive of them."""
    if not calls:
        return 0.0
    if not isinstance(generator, RepeatableGenerator):
        return None
    ceilings = [ceiling for prompt in prompts if (ceiling := generator.ceiling_usd(prompt)) is not None]
    if not ceilings or len(ceilings) < len(prompts):
        return None
    return math.fsum(ceilings) + max(ceilings) * max(0, calls - len(ceilings))


class _RandomEmbedder:
    """A stand-in for an embedder that may cost money: it retrieves different passages, but of similar length."""

    def __init__(self, name: str, dimension: int) -> None:
        self.name = name
        self.digest = "stand-in"
        self.dimension = dimension
        self.max_tokens = 1_000_000

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [likely_tokens(text) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        seeds = [int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds]
        vectors: Vectors = np.asarray(rows, dtype=np.float32).reshape(len(texts), self.dimension)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self.embed(texts)


def _without_paid_embedder(config: Config, resources: Resources) -> Resources:
    """Return the resources with an embedder that may cost money replaced by a local stand-in."""
    dimension = config.embedder.dimension or resources.embedder().dimension
    embedder = _RandomEmbedder(config.embedder.model or "", dimension)
    index = resources.index.with_embedder(embedder) if resources.index else None
    return replace(resources, embedder=lambda: embedder, index=index, vector_folder=None)


def evenly_spaced(examples: Sequence[Example]) -> list[Example]:
    """Return at most SAMPLE examples, evenly spaced, because the first ones may be cached already."""
    step = max(1.0, len(examples) / SAMPLE)
    return [examples[int(at * step)] for at in range(min(SAMPLE, len(examples)))]


def _tokens(prompt: Prompt) -> int:
    return sum(likely_tokens(message.content) + MESSAGE_TOKENS for message in prompt.messages)
