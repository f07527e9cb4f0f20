"""A kind of training from another package: its models always answer with the most frequent label.

test_training_kinds.py installs this file as the distribution `groundtune-majority`.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from groundtune.config.tune_tables import TrainingConfig
from groundtune.errors import GroundtuneError
from groundtune.extensions import Extensions
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow, TrainingStep
from groundtune.types import Artifact, Example, Generation, Prompt, Task, TunedApproach, Usage

MODEL = "label.json"


class MajorityConfig(TrainingConfig):
    """The table [tune.NAME] with kind = "majority"."""

    kind: Literal["majority"]
    min_rows: Annotated[int, Field(ge=1)] = 1


class MajorityGenerator:
    """Answers every prompt with one label."""

    name = "majority"

    def __init__(self, label: str, share: float) -> None:
        self._label, self._share = label, share

    async def generate(self, prompt: Prompt) -> Generation:
        return Generation(self._label, Usage(usd=0.0), confidence=self._share)


class Majority:
    """All of the kind: configuration, rows, preflight, estimate, training and model."""

    kind = "majority"
    config = MajorityConfig
    tasks: tuple[Task, ...] = ("classify",)

    def approaches(self, table: MajorityConfig, task: Task) -> tuple[TunedApproach, ...]:
        return ("tuned",)

    async def rows(
        self, inputs: Any, table: MajorityConfig, examples: Sequence[Example], *, measured: bool
    ) -> list[TrainingRow]:
        return [TrainingRow(example.id, example.input, example.output) for example in examples]

    def preflight(self, job: Job) -> tuple[Mapping[str, Any], list[str]]:
        return {"form": "label", "least_rows": job.settings["min_rows"]}, ["it reads no text"]

    def estimate(self, job: Job) -> Bounds:
        return Bounds(seconds=1.0, memory_mb=None, usd=0.0, note=f"{len(job.rows('train'))} rows")

    def train(self, job: Job, report_step: ProgressCallback) -> TrainingResult:
        rows = job.rows("train")
        ((label, count),) = Counter(row.output for row in rows).most_common(1)
        if label == "broken":
            raise GroundtuneError("the most frequent label is broken", hint="mend it")
        report_step(TrainingStep(1, 1, 1, note=f"counted {len(rows)} rows"))
        (job.folder / MODEL).write_text(json.dumps({"label": label, "share": count / len(rows)}), encoding="utf-8")
        return TrainingResult(files=[MODEL], metrics={"share": count / len(rows)}, base_digest="")

    def load(
        self, config: Any, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0
    ) -> MajorityGenerator:
        return MajorityGenerator(**json.loads((folder / MODEL).read_text(encoding="utf-8")))


def register(extensions: Extensions) -> None:
    extensions.trainer(Majority())
