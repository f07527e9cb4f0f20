"""Kind "lora": a causal language model, fine-tuned on replies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.build.training_kinds.chat_rows import PREFERENCES, chat_rows, preference_rows, with_rules
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.build.training_kinds.retrieved_rows import grounded_rows
from groundtune.common.text import one_line
from groundtune.config import Config
from groundtune.config.tune_tables import LoraConfig
from groundtune.errors import GroundtuneError, UsageError, need
from groundtune.protocols import Generator
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow
from groundtune.types import Artifact, Example, Message, Prompt, Task, TunedApproach

if TYPE_CHECKING:
    from groundtune.models.local_generator import LocalGenerator


class Lora:
    """Trained by tune/lora/, answers with models/local_generator.py."""

    kind = "lora"
    config = LoraConfig
    tasks: tuple[Task, ...] | None = None
    sees_history = True

    def approaches(self, table: LoraConfig, task: Task) -> tuple[TunedApproach, ...]:
        if _grounded(table):
            return () if task == "classify" else ("hybrid",)
        further: Mapping[Task, tuple[TunedApproach, ...]] = {"answer": ("hybrid",), "extract": ("tuned-constrained",)}
        return ("tuned", *further.get(task, ()))

    async def rows(
        self, inputs: TrainingInputs, table: LoraConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        resources, preferences = inputs.resources, table.mode == PREFERENCES
        place = f'tune.{inputs.name}: context = "retrieved"'
        if _grounded(table) and preferences:
            raise UsageError(f"{place} cannot be combined with dpo", hint="remove it")
        if _grounded(table) and inputs.config.task == "classify":
            raise UsageError(f"{place} is for tasks answer, extract and write", hint="remove it")
        if preferences:
            return preference_rows(inputs, examples, measured=measured)
        if not _grounded(table):
            return chat_rows(resources.output_format, examples)
        return await grounded_rows(
            inputs.config,
            resources,
            resources.output_format,
            examples,
            seed=table.seed,
            decontaminator=inputs.decontaminator,
        )

    def complete_job(self, inputs: TrainingInputs, table: LoraConfig, job: Job) -> Job:
        return with_rules(inputs, job, grounded=_grounded(table))

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        from groundtune.tune.base_model import find_base, load_tokenizer, model_end_ids
        from groundtune.tune.lora.frozen_clock import reads_clock

        base = find_base(job.base)
        tokenizer = load_tokenizer(base.located)
        found = {
            "form": "pair" if job.settings["mode"] == PREFERENCES else "chat",
            "tokenizer": tokenizer,
            "model_ends": model_end_ids(base),
            "window": base.located.window,
        }
        date = "the chat template writes the current date; the trained model's will always write that of its training"
        return found, [date] if reads_clock(tokenizer) else []

    def base_digest(self, job: Job) -> str | None:
        from groundtune.tune.base_model import find_base

        return find_base(job.base).located.digest

    def estimate(self, job: Job) -> Bounds:
        from groundtune.tune.lora import trainer

        return trainer.estimate(job)

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        from groundtune.tune.lora import trainer

        return trainer.train(job, report_step)

    def load(self, config: Config, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        return _load(artifact, folder)

    async def check_model(self, folder: Path, artifact: Artifact, *, device: str | None = None) -> Artifact:
        """Run the model the way `ask` and `compare` do, and return its artifact with the resulting figures.

        Raises MissingError if its recorded inputs are missing.
        """
        from groundtune.tune.lora import parity_gate, serving_check

        inputs = serving_check.read_references(folder, artifact)
        prompts = [Prompt(recorded.messages[-1]["content"], _messages(recorded.messages)) for recorded in inputs]
        generator = _load(artifact, folder, device=device)
        try:
            traces = await generator.trace(prompts, tokens=parity_gate.STEPS)
        except (GroundtuneError, RuntimeError, IndexError, ValueError) as error:  # RuntimeError includes out of memory
            figures: dict[str, Any] = {}
            reason: str | None = f"the {serving_check.GENERATOR} failed: {one_line(str(error))}"
        else:
            logits = need("torch", extra="local").stack([traced.logits for traced in traces])
            trace = parity_gate.ModelTrace(logits, tuple(tuple(traced.output_tokens) for traced in traces))
            figures, reason = serving_check.compare_generator(
                folder, [traced.prompt_tokens for traced in traces], trace, dtype=traces[0].dtype
            )
        legs = {**artifact.details["parity"], serving_check.LEG: figures}
        return replace(artifact, unusable=reason, details={**artifact.details, "parity": legs})


def _grounded(table: LoraConfig) -> bool:
    """Whether the model is trained on passages."""
    return table.context == "retrieved"


def _load(artifact: Artifact, folder: Path, *, device: str | None = None) -> "LocalGenerator":
    """Build the generator; `device` overrides the one that the model was trained on."""
    from groundtune.models.local_generator import LocalGenerator

    serve = artifact.details["serve"]
    return LocalGenerator(
        str(folder / serve["path"]),
        device=device or artifact.recipe.get("device"),
        max_output_tokens=serve["max_output_tokens"],
    )


def _messages(turns: Sequence[Any]) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)
