"""Kind "extractor": an encoder that marks spans, which maps an input to a JSON object."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.build.training_kinds.encoder_base import encoder_digest, encoder_limits
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.build.training_kinds.labelled_rows import labelled_rows
from groundtune.config import Config
from groundtune.config.tune_tables import ExtractorConfig
from groundtune.protocols import Generator
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow
from groundtune.types import Artifact, Example, Task, TunedApproach


class Extractor:
    """Trained by tune/encoders/extractor.py, answers with models/extractor_generator.py."""

    kind = "extractor"
    config = ExtractorConfig
    tasks: tuple[Task, ...] = ("extract",)

    def approaches(self, table: ExtractorConfig, task: Task) -> tuple[TunedApproach, ...]:
        return ("tuned",)

    async def rows(
        self, inputs: TrainingInputs, table: ExtractorConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        return labelled_rows(examples)

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        return {"form": "object", **encoder_limits(job)}, []

    def base_digest(self, job: Job) -> str | None:
        return encoder_digest(job)

    def estimate(self, job: Job) -> Bounds:
        from groundtune.tune.encoders import extractor

        return extractor.estimate(job)

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        from groundtune.tune.encoders import extractor

        return extractor.train(job, report_step)

    def load(self, config: Config, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        from groundtune.models.extractor_generator import ExtractorGenerator

        return ExtractorGenerator(folder, artifact.details)
