"""What a comparison would take: calls, tokens, money, time. Renders prompts, asks no model."""

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from groundtune import build
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError
from groundtune.lineup import Lineup, Material, line_up
from groundtune.measure.judges import Judge
from groundtune.protocols import Generator, RepeatableGenerator
from groundtune.types import Answer, Example, Generation, Prompt, Question, Scope, Vectors
from groundtune.workflows.comparing import require
from groundtune.workspace import Workspace

SAMPLE = 20
"""Examples whose prompts are rendered; the rest are taken to be like them."""
CHARACTERS_PER_TOKEN = 4.0
"""Of text in English; stated beside the figures, because every model counts otherwise."""
FIRST_TOKEN_SECONDS = 0.5
VERDICT_TOKENS = 60.0
"""Assumed of what a judge says."""
TOKENS_PER_SECOND = 50.0
"""Assumed of a model that was never timed here."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one approach would take. None = unknown."""

    approach: str
    model: str | None
    """None for what asks no model."""
    calls: int
    cached: int
    """Of the calls, those that the cache answers; figures below are of the others."""
    input_tokens: int
    output_tokens: int
    """As long as the gold outputs are; the most is `calls` x max_output_tokens."""
    usd: float | None
    """At four characters a token: what to expect, not a limit."""
    usd_at_most: float | None
    """The ceilings that a budget is held to: a token for each byte, all output tokens; each call made once.

    Calls whose prompts were not rendered count with the highest ceiling of those that were. None for a judge too: what
    it will have to read, and how often it is asked, is up to the answers.
    """
    seconds: float | None
    timed: bool
    """Whether the seconds were measured here, or assumed."""


def total(estimates: Sequence[Estimate]) -> Estimate:
    """All of them together; None where one of them is unknown."""
    return Estimate(
        approach="(total)",
        model=None,
        calls=sum(one.calls for one in estimates),
        cached=sum(one.cached for one in estimates),
        input_tokens=sum(one.input_tokens for one in estimates),
        output_tokens=sum(one.output_tokens for one in estimates),
        usd=_sum([one.usd for one in estimates]),
        usd_at_most=_sum([one.usd_at_most for one in estimates]),
        seconds=_sum([one.seconds for one in estimates]),
        timed=all(one.timed for one in estimates),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


class _Rehearsal:
    """A generator that answers nothing and keeps what it was asked."""

    def __init__(self, generator: Generator) -> None:
        self.name = generator.name
        self.window = getattr(generator, "window", None)
        self.generator = generator
        self.prompts: list[Prompt] = []
        self.silent = False
        """Whether it raises in the place of an answer, so that nobody asks again."""
        self.asks = False
        """Whether it asks after all: what was trained here costs nothing, and nobody knows its time."""

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
    material: Material,
    examples: Sequence[Example],
    *,
    split: str = "test",
    names: Sequence[str] = (),
) -> list[Estimate]:
    """One an approach that can run, or of the named ones, in the order in which they would run.

    Raises what `compare` would raise before it asks anything.
    """
    require(examples, split)
    rehearsals: list[_Rehearsal] = []

    def rehearse(generator: Generator) -> Generator:
        rehearsal = _Rehearsal(generator)
        rehearsals.append(rehearsal)
        return rehearsal

    material = replace(material, keep=rehearse, embedder=material.for_many)
    if config.embedder.kind == "openai":
        material = _without_calls(config, material)
    lineup = await line_up(config, material)
    lineup = lineup.chosen(names)
    trained = dict.fromkeys(one.id for one in lineup.artifacts.values())
    of = dict(zip([*dict.fromkeys(lineup.model.values()), *trained], rehearsals, strict=True))
    kept = build.kept(workspace.cache)
    found = []
    for name in lineup.ready:
        model, artifact = lineup.model.get(name), lineup.artifacts.get(name)
        if artifact and artifact.kind == "hosted":
            chosen = build.tuned_there(artifact)
            found.append(await _there(config, lineup, name, chosen, of[artifact.id], kept, examples))
        elif model:
            found.append(await _there(config, lineup, name, config.models[model], of[model], kept, examples))
        else:
            if artifact:
                of[artifact.id].asks = True
            found.append(await _here(lineup, name, examples))
    if config.judge and (judge := build.judge(config, material.embedder, rehearse)):
        found.append(await _judging(config, judge, rehearsals[-1], len(lineup.ready), examples))
    return found


async def _judging(
    config: Config, judge: Judge, rehearsal: _Rehearsal, approaches: int, examples: Sequence[Example]
) -> Estimate:
    """The judge on every answer of every approach, as if each said what the gold answer says."""
    chosen, sample = config.models[config.judge.model if config.judge else ""], spread(examples)
    rehearsal.silent = True
    for example in sample:
        for metric in config.judge.metrics if config.judge else ():
            with contextlib.suppress(GroundtuneError):  # it gets no verdict here
                answer = Answer(str(example.output), "answered", example.output)
                await judge.judge(example.input, answer, example, metrics=[metric])
    asked = rehearsal.prompts
    calls = round(len(examples) * approaches * len(asked) / len(sample)) if sample else 0
    given = fmean(map(_tokens, asked)) if asked else 0.0
    prices = build.prices(config, chosen)
    once = prices.usd(chosen.model or "", {"input_tokens": round(given), "output_tokens": round(VERDICT_TOKENS)})
    return Estimate(
        approach="(judge)",
        model=chosen.model,
        calls=calls,
        cached=0,
        input_tokens=round(given * calls),
        output_tokens=round(VERDICT_TOKENS * calls),
        usd=None if once is None else once * calls,
        usd_at_most=0.0 if once == 0 else None,
        seconds=(FIRST_TOKEN_SECONDS + VERDICT_TOKENS / TOKENS_PER_SECOND) * calls / chosen.concurrency,
        timed=False,
    )


async def _here(lineup: Lineup, name: str, examples: Sequence[Example]) -> Estimate:
    """What is answered on this machine costs no money; a few are tried for their time."""
    seconds = []
    for example in examples[:3]:
        began = time.perf_counter()
        await lineup.ready[name].answer(_question(example))
        seconds.append(time.perf_counter() - began)
    n = len(examples)
    return Estimate(name, None, n, 0, 0, 0, 0.0, 0.0, median(seconds) * n if seconds else 0.0, timed=True)


async def _there(
    config: Config,
    lineup: Lineup,
    name: str,
    chosen: ModelConfig,
    rehearsal: _Rehearsal,
    look: Callable[[Generator, Prompt], Generation | None],
    examples: Sequence[Example],
) -> Estimate:
    sample = spread(examples)
    rehearsal.prompts.clear()
    for example in sample:
        await lineup.ready[name].answer(_question(example))
    generator, asked = rehearsal.generator, list(rehearsal.prompts)
    kept = [look(generator, prompt) for prompt in asked]
    share = sum(one is None for one in kept) / len(asked) if asked else 0.0
    calls = round(len(examples) * len(asked) / len(sample)) if sample else 0
    fresh = round(calls * share)
    given = fmean(_tokens(prompt) for prompt in asked) if asked else 0.0
    made = fmean(len(str(example.output or "")) / CHARACTERS_PER_TOKEN + 5 for example in sample) if sample else 0.0
    prices = build.prices(config, chosen)
    once = prices.usd(chosen.model or "", {"input_tokens": round(given), "output_tokens": round(made)})
    times = [one.usage.seconds for one in kept if one is not None and one.usage.seconds is not None]
    each = median(times) if times else FIRST_TOKEN_SECONDS + made / TOKENS_PER_SECOND
    return Estimate(
        approach=name,
        model=chosen.model,
        calls=calls,
        cached=calls - fresh,
        input_tokens=round(given * fresh),
        output_tokens=round(made * fresh),
        usd=once * fresh if once is not None else None,
        usd_at_most=_at_most(
            generator, [prompt for prompt, one in zip(asked, kept, strict=True) if one is None], fresh
        ),
        seconds=each * fresh / chosen.concurrency,
        timed=bool(times),
    )


def _at_most(generator: Generator, prompts: Sequence[Prompt], calls: int) -> float | None:
    """The ceilings of the prompts; the other calls are taken to be like the dearest of them."""
    if not calls:
        return 0.0
    if not isinstance(generator, RepeatableGenerator):
        return None
    ceilings = [ceiling for prompt in prompts if (ceiling := generator.ceiling_usd(prompt)) is not None]
    if not ceilings or len(ceilings) < len(prompts):
        return None
    return math.fsum(ceilings) + max(ceilings) * max(0, calls - len(ceilings))


class _StandIn:
    """An embedder in the place of a hosted one: what it finds is as long as what would be found, but another thing."""

    def __init__(self, name: str, dimension: int) -> None:
        self.name = name
        self.digest = "stand-in"
        self.dimension = dimension
        self.max_tokens = 1_000_000

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [round(len(text) / CHARACTERS_PER_TOKEN) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        seeds = [int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(self.dimension) for seed in seeds]
        vectors: Vectors = np.asarray(rows, dtype=np.float32).reshape(len(texts), self.dimension)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self.embed(texts)


def _without_calls(config: Config, material: Material) -> Material:
    """The same material, for which no hosted embedder is asked."""
    embedder = _StandIn(config.embedder.model or "", config.embedder.dimension or 1)
    index = material.index.asked_by(embedder) if material.index else None
    return replace(material, embedder=lambda: embedder, index=index, vectors=None)


def spread(examples: Sequence[Example]) -> list[Example]:
    """At most SAMPLE examples, evenly over all: those of the beginning may have been asked already."""
    step = max(1.0, len(examples) / SAMPLE)
    return [examples[int(at * step)] for at in range(min(SAMPLE, len(examples)))]


def _tokens(prompt: Prompt) -> float:
    return sum(len(message.content) / CHARACTERS_PER_TOKEN + 4 for message in prompt.messages)


def _question(example: Example) -> Question:
    return Question(example.input, scope=Scope(groups=example.groups))
