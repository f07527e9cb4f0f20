"""Define the task of a project: its output format with labels or schema, and how its answers are scored."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from groundtune.approaches.output_formats import AnswerFormat, LabelFormat, ObjectFormat, OutputFormat, TextFormat
from groundtune.approaches.prompts import NO_LABEL
from groundtune.approaches.schema_from_examples import derive_schema
from groundtune.approaches.wordings import BUILT_IN, Wording, read_wording
from groundtune.common.json_schema import schema_checker
from groundtune.config import Config
from groundtune.errors import MissingError, UsageError
from groundtune.languages.detection import prepare
from groundtune.measure.metrics import score_answer
from groundtune.measure.output_checks import make_checks
from groundtune.measure.scoring import Scorer, label_scorer, object_scorer, text_scorer
from groundtune.types import Example

SCORES = {
    "answer": (
        "correct",
        "exact",
        "f1",
        "contains",
        "abstention",
        "citation_precision",
        "citation_recall",
        "supported",
    ),
    "classify": ("correct", "abstention", "valid"),
    "extract": ("correct", "exact", "precision", "recall", "f1", "valid", "abstention"),
    "write": ("chrf", "facts", "abstention"),
}
"""Scores of each task that can decide, without those of the judge and the checks."""


def task_format(config: Config, root: Path, train: Sequence[Example], examples: Sequence[Example]) -> OutputFormat:
    """Return the output format of the task, with its labels (from all examples) or its schema (from the train split).

    Raises UsageError or MissingError when labels or schema cannot be determined.
    """
    instructions = config.instructions or ""
    match config.task:
        case "answer":
            return AnswerFormat(instructions)
        case "classify":
            return LabelFormat(task_labels(config, examples), instructions)
        case "extract":
            return ObjectFormat(task_schema(config, root, train), instructions)
        case "write":
            return TextFormat(instructions)


def task_wordings(config: Config, root: Path) -> dict[str, Wording]:
    """Return the wordings of the task by name: the built-in ones, and the files that the project names.

    Raises MissingError when a file cannot be read, ConfigError with every mistake in it.
    """
    compared = config.compare
    own = [
        read_wording(root / prompt, config.task)
        for prompt, name in zip(compared.prompts, compared.prompt_names, strict=True)
        if name not in BUILT_IN
    ]
    return {**BUILT_IN, **{wording.name: wording for wording in own}}


def task_labels(config: Config, examples: Sequence[Example]) -> dict[str, str]:
    """Map each label to its description: from the project file, else from the outputs of the examples.

    Raises UsageError if an example has a label that the project file does not list, or if there are no labels.
    """
    seen: dict[str, str] = {}
    for example in examples:
        outputs = example.output if isinstance(example.output, list) else [example.output]
        for label in outputs:
            if label is not None and not isinstance(label, str):
                raise UsageError(
                    f'the output of example "{example.id}" is not a label: {label!r}', hint="use a label, or null"
                )
            if label is not None:
                seen.setdefault(label, example.id)
    if reserved := [label for label in (*seen, *config.labels) if label.casefold() == NO_LABEL.casefold()]:
        raise UsageError(
            f'the label "{reserved[0]}" is reserved: models return it when no label fits',
            hint="rename it, or use null for examples without a label",
        )
    if unknown := sorted(seen.keys() - config.labels.keys()) if config.labels else []:
        raise UsageError(
            f'example "{seen[unknown[0]]}" has the label "{unknown[0]}", which is not listed under [labels]',
            hint="add it there, or fix the example",
        )
    labels = config.labels or dict.fromkeys(sorted(seen), "")
    if not labels:
        raise UsageError('task = "classify" needs labels', hint="list them under [labels], or add examples")
    return labels


def task_schema(config: Config, root: Path, train: Sequence[Example]) -> Mapping[str, object]:
    """Return the JSON Schema of the project's objects. Raises MissingError, UsageError."""
    if config.schema_file is None:
        objects = [example.output for example in train if isinstance(example.output, dict)]
        if not objects:
            raise UsageError('task = "extract" needs a schema', hint='set schema_file = "….json", or add examples')
        return derive_schema(objects)
    path = root / config.schema_file
    try:
        schema = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingError(f"cannot read schema_file {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise UsageError(f"schema_file {path} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise UsageError(f"schema_file {path} is not a JSON Schema", hint='write {"type": "object", …}')
    try:
        schema_checker(schema)
    except UsageError as error:
        raise UsageError(f"schema_file {path}: {error.message}") from None
    return schema


def scorer(config: Config, output_format: OutputFormat, root: Path) -> Scorer:
    """Return the scorer of the task. Raises ConfigError when a check of the project cannot be used."""
    match output_format:
        case LabelFormat():
            return label_scorer(output_format.labels)
        case ObjectFormat():
            return object_scorer(output_format.schema, language=config.language)
        case TextFormat():
            prepare()
            return text_scorer(make_checks(config.checks, root, language=config.language), language=config.language)
        case _:
            prepare()
            return partial(score_answer, language=config.language)


def primary_score(config: Config) -> str:
    """Return the score that decides a comparison."""
    if config.compare.primary:
        return config.compare.primary
    if config.task != "write":
        return "correct"
    return "judge" if config.judge and "judge" in config.judge.metrics else "chrf"


def score_names(config: Config) -> list[str]:
    """Return the scores that rows of this project can have."""
    known = [*SCORES[config.task], *(config.judge.metrics if config.judge else ())]
    if config.task == "write":
        known += ["checks", "facts_and_checks", *(f"check:{check.name}" for check in config.checks)]
    return known
