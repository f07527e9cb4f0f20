"""Kind "retriever": the project's embedder or reranker, adapted to its questions. It answers nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundtune.build.training_kinds.encoder_base import encoder_digest, encoder_limits
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.build.training_kinds.retrieved_rows import ranking_settings, retrieval_rows
from groundtune.config import Config
from groundtune.config.tune_tables import RetrieverConfig
from groundtune.errors import UsageError
from groundtune.models.hub import BUNDLED
from groundtune.protocols import Generator
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow
from groundtune.types import Artifact, Example, Task, TunedApproach


class Retriever:
    """Trained by tune/retriever/, installed by `groundtune models adopt`."""

    kind = "retriever"
    config = RetrieverConfig
    tasks: tuple[Task, ...] | None = None
    sees_history = True

    def approaches(self, table: RetrieverConfig, task: Task) -> tuple[TunedApproach, ...]:
        return ()

    async def rows(
        self, inputs: TrainingInputs, table: RetrieverConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        return await retrieval_rows(
            inputs.resources,
            examples,
            negatives=table.hard_negatives,
            part=table.part,
            measured=measured,
            decontaminator=inputs.decontaminator,
        )

    def complete_job(self, inputs: TrainingInputs, table: RetrieverConfig, job: Job) -> Job:
        """Add the current ranking, which is the baseline; the embedder itself is the default base."""
        ranking = ranking_settings(inputs.config, inputs.resources)
        base = table.base or (table.part == "embedder" and ranking["embedder"]) or BUNDLED
        return replace(job, base=base, details={**job.details, **ranking})

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        return {"form": "passages", **encoder_limits(job)}, []

    def base_digest(self, job: Job) -> str | None:
        return encoder_digest(job)

    def estimate(self, job: Job) -> Bounds:
        from groundtune.tune.retriever import trainer

        return trainer.estimate(job)

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        from groundtune.tune.retriever import trainer

        return trainer.train(job, report_step)

    def load(self, config: Config, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        raise UsageError(f"{artifact.id} is a {artifact.kind}, which cannot answer questions")

    def adoption(self, artifact: Artifact, folder: str) -> tuple[str, Mapping[str, str]]:
        if artifact.details.get("part") == "reranker":
            return "retrieval", {"reranker": f"{folder}/model"}
        return "embedder", {"kind": "local", "model": f"{folder}/model"}
