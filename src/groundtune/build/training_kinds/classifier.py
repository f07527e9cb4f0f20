"""Kind "classifier": an encoder with a head, which maps an input to one label."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.build.training_kinds.encoder_base import encoder_digest, encoder_limits
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.build.training_kinds.labelled_rows import labelled_rows
from groundtune.config import Config
from groundtune.config.tune_tables import ClassifierConfig
from groundtune.protocols import Generator
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow
from groundtune.types import Artifact, Example, Task, TunedApproach


class Classifier:
    """Trained by tune/encoders/classifier.py, answers with models/classifier_generator.py."""

    kind = "classifier"
    config = ClassifierConfig
    tasks: tuple[Task, ...] = ("classify",)

    def approaches(self, table: ClassifierConfig, task: Task) -> tuple[TunedApproach, ...]:
        return ("tuned",)

    async def rows(
        self, inputs: TrainingInputs, table: ClassifierConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        return labelled_rows(examples)

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        return {"form": "label", **encoder_limits(job)}, []

    def base_digest(self, job: Job) -> str | None:
        return encoder_digest(job)

    def estimate(self, job: Job) -> Bounds:
        from groundtune.tune.encoders import classifier

        return classifier.estimate(job)

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        from groundtune.tune.encoders import classifier

        return classifier.train(job, report_step)

    def load(self, config: Config, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        from groundtune.approaches.prompts import NO_LABEL
        from groundtune.models.classifier_generator import ClassifierGenerator

        return ClassifierGenerator(folder, artifact.details, nothing=NO_LABEL)
