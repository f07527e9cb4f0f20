"""Kind "hosted": a job at a provider's fine-tuning API."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from groundtune.build.models import admit, hosted_generator, residency_violation
from groundtune.build.training_kinds.chat_rows import PREFERENCES, chat_rows, preference_rows, with_rules
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.config import Config, ModelConfig
from groundtune.config.tune_tables import HostedTuneConfig
from groundtune.errors import UsageError
from groundtune.protocols import Generator
from groundtune.tune.job import Bounds, Job, JobAction, ProgressCallback, TrainingResult, TrainingRow
from groundtune.types import Artifact, Example, Task, TunedApproach


class Hosted:
    """Trained by tune/hosted/, which waits for the provider; answers through the provider's endpoint."""

    kind = "hosted"
    config = HostedTuneConfig
    tasks: tuple[Task, ...] | None = None
    sees_history = True

    def approaches(self, table: HostedTuneConfig, task: Task) -> tuple[TunedApproach, ...]:
        further: Mapping[Task, tuple[TunedApproach, ...]] = {"answer": ("hybrid",), "extract": ("tuned-constrained",)}
        return ("tuned", *further.get(task, ()))

    async def rows(
        self, inputs: TrainingInputs, table: HostedTuneConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        if table.method == PREFERENCES:
            return preference_rows(inputs, examples, measured=measured)
        return chat_rows(inputs.resources.output_format, examples)

    def complete_job(self, inputs: TrainingInputs, table: HostedTuneConfig, job: Job) -> Job:
        """Add the facts about the provider. Raises UsageError if the rows may not be sent there."""
        from groundtune.tune.hosted.providers import provider_of

        provider = inputs.config.providers.get(table.provider)
        settings = provider.model_dump(mode="json", exclude_none=True) if provider else {}
        job = with_rules(inputs, job, grounded=False, provider=settings)
        place = ModelConfig(kind="openai", model=job.base, base_url=provider_of(job).base_url)
        if reason := residency_violation(inputs.config, place):
            hint = "tune a local model (kind = lora), or allow the host under [requirements]"
            raise UsageError(f"tune.{job.name}: {reason}", hint=hint)
        return job

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        from groundtune.tune.hosted.providers import longest_example, provider_of
        from groundtune.tune.hosted.trainer import warnings
        from groundtune.tune.hosted.upload_files import example_tokens

        provider, method = provider_of(job), job.settings["method"]
        limits = {
            "form": "pair" if method == PREFERENCES else "chat",
            "row_tokens": partial(example_tokens, method=method),
            "window": longest_example(provider, job.base),
            "least_rows": provider.min_examples,
        }
        return limits, warnings(job)

    def estimate(self, job: Job) -> Bounds:
        from groundtune.tune.hosted import trainer

        return trainer.estimate(job)

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        from groundtune.tune.hosted import trainer

        return trainer.train(job, report_step)

    def load(self, config: Config, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        model = self.model_config(artifact)
        admit(config, f"tune.{artifact.name}", model)
        return hosted_generator(config, model, patience_seconds)

    def model_config(self, artifact: Artifact) -> ModelConfig:
        return ModelConfig(
            kind="openai",
            model=artifact.details["model"],
            base_url=artifact.details["base_url"],
            api_key_env=artifact.details["api_key_env"],
        )

    def created_with(self, job: Job) -> Job:
        from groundtune.tune.hosted import trainer

        return trainer.created_with(job)

    def control_job(self, job: Job, action: JobAction) -> tuple[str, str]:
        from groundtune.tune.hosted import trainer

        return trainer.control_job(job, action)
