"""Build approaches from their parts, and the judge of their answers."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from groundtune.build.extension_parts import make_part
from groundtune.build.models import added_part_violation, generator
from groundtune.common.conversations import HistoryUse
from groundtune.config import Config
from groundtune.errors import MissingError, UsageError
from groundtune.extensions import how_to_get, load_extensions
from groundtune.protocols import (
    Approach,
    ContextProvider,
    Embedder,
    Generator,
    Retriever,
    ShotChooser,
    SupportChecker,
)
from groundtune.types import Stage

if TYPE_CHECKING:
    from groundtune.approaches.context import DocumentById
    from groundtune.approaches.output_formats import OutputFormat
    from groundtune.approaches.search_query import MakeQuery
    from groundtune.measure.judges import Judge


QUOTE_THRESHOLD = 0.3
"""Confidence below which a verbatim quote is not given as an answer, until the project's own examples calibrate it."""


def compose_approach(
    config: Config,
    name: str,
    generator: Generator,
    *,
    output_format: "OutputFormat | None" = None,
    context: ContextProvider | None = None,
    shots: ShotChooser | None = None,
    constrained: bool = False,
    threshold: float | None = None,
    checker: SupportChecker | None = None,
    local_slots: asyncio.Semaphore | None = None,
) -> Approach:
    """Build an approach. threshold: the confidence below which it abstains; None: it has no threshold.

    constrained: the schema of the task holds in the decoder. local_slots: held during local work before the model call,
    when many questions run concurrently.
    """
    from groundtune.approaches.output_formats import AnswerFormat
    from groundtune.approaches.pipeline import Pipeline

    return Pipeline(
        name,
        generator,
        output_format=output_format or AnswerFormat(config.instructions or ""),
        context=context,
        shots=shots,
        constrained=constrained,
        question_at=config.context.question,
        threshold=threshold,
        strict=config.answers.strict,
        language=config.language,
        checker=checker,
        local_slots=local_slots,
    )


def support_checker(config: Config) -> SupportChecker | None:
    """Build the checker of citations that a package adds, or None without one.

    Raises MissingError when no package adds it, UsageError when it cannot be made or may not be used.
    """
    name = config.answers.checker
    if name is None:
        return None
    if name not in load_extensions().checkers:
        raise MissingError(f'answers.checker: there is no checker "{name}"', hint=how_to_get("checker", name))
    if reason := added_part_violation(config, "checker", name):
        raise UsageError(f"answers.checker: {reason}", hint="choose another one")
    checker: SupportChecker = make_part("checker", name, SupportChecker, place="answers.checker")
    return checker


def retrieved_context(
    config: Config,
    retriever: Retriever,
    document: "DocumentById",
    *,
    model: Callable[[], Generator],
    stage: Stage | None = None,
) -> ContextProvider:
    """Build the passages that an answer may cite. model: called when a question with a history is to be rewritten."""
    from groundtune.approaches.context import RetrievedContext
    from groundtune.approaches.search_query import RewriteHistory, ignore_history, join_history

    make_query: dict[HistoryUse, MakeQuery] = {
        "join": join_history,
        "rewrite": RewriteHistory(model),
        "ignore": ignore_history,
    }
    return RetrievedContext(
        retriever,
        document,
        passages=config.answers.max_passages,
        stage=stage,
        make_query=make_query[config.retrieval.history],
    )


def judge(
    config: Config,
    embedder: Callable[[], Embedder],
    wrap_generator: Callable[[Generator], Generator] = lambda generator: generator,
    *,
    patience_seconds: float = 0.0,
) -> "Judge | None":
    """Build the judge of the project file, or None.

    wrap_generator: such as the result of `caching_wrapper`. Other parameters as for `generator`.
    """
    from groundtune.measure.judges import Judge

    chosen = config.judge
    if chosen is None:
        return None
    return Judge(
        wrap_generator(generator(config, chosen.model, embedder, patience_seconds=patience_seconds)),
        metrics=chosen.metrics,
        instructions=chosen.instructions,
        embedder=embedder() if "answer_relevancy" in chosen.metrics else None,
        task=config.task,
    )
