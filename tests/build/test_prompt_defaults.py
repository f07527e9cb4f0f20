"""The wording of an approach: the one chosen for its model, task and text, else the usual one; training uses it too."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.approaches.output_formats import AnswerFormat, rules_digest
from groundtune.approaches.wordings import BUILT_IN, TaskRules, Wording
from groundtune.build.approach_families import _outdated, is_worded_name
from groundtune.build.prompt_defaults import default_wording, made_for, training_wording, usual_prompt
from groundtune.build.resources import Resources
from groundtune.build.training_kinds.chat_rows import chat_rows, with_rules
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, FittedPrompt
from groundtune.tune.job import Job
from groundtune.types import Artifact, Example

OURS = Wording("ours", {"answer": TaskRules("Say {abstention}.", "Say {abstention}.")})
MODELS = """
[models.default]
kind = "openai"
model = "m"
[models.small]
kind = "local"
model = "tiny"
"""


def config(prompts: str = '["full", "short", "ours.txt"]', more: str = "") -> Config:
    return Config.model_validate(tomllib.loads(f'name = "a"\n{MODELS}\n[compare]\nprompts = {prompts}\n{more}'))


def resources(*chosen: tuple[str, FittedPrompt]) -> Resources:
    def no_embedder() -> Any:
        raise AssertionError("no embedder is needed")

    wordings = {**BUILT_IN, "ours": OURS}
    return Resources(Path(), no_embedder, AnswerFormat(), fitted=Fitted(prompts=dict(chosen)), wordings=wordings)


def choice(wording: Wording, table: str = "default") -> FittedPrompt:
    return FittedPrompt(wording.name, 12, "correct", {wording.name: 1.0}, made_for(config(), wording, table), "")


@pytest.mark.parametrize(
    ("prompts", "usual"), [('["full"]', "full"), ('["short", "full"]', "full"), ('["ours.txt", "short"]', "ours")]
)
def test_full_is_usual_where_it_is_listed_else_the_first(prompts: str, usual: str) -> None:
    assert usual_prompt(config(prompts)) == usual


def test_a_choice_belongs_to_one_approach_of_one_model() -> None:
    given = resources(("rag", choice(BUILT_IN["short"])))
    assert default_wording(config(), given, "rag", "default").name == "short"
    assert default_wording(config(), given, "prompt", "default").name == "full"
    assert default_wording(config(), given, "rag:small", "small").name == "full"


def test_a_choice_ends_with_its_model_its_text_and_its_place_in_the_list() -> None:
    given = resources(("rag", choice(OURS)))
    assert default_wording(config(), given, "rag", "default") == OURS
    assert default_wording(config('["full", "short"]'), given, "rag", "default").name == "full"
    changed = Wording("ours", {"answer": TaskRules("Tell {abstention}.", "Say {abstention}.")})
    rewritten = replace(given, wordings={**BUILT_IN, "ours": changed})
    assert default_wording(config(), rewritten, "rag", "default").name == "full"
    assert default_wording(config(), resources(("rag", choice(OURS, "small"))), "rag", "default").name == "full"


def test_a_model_is_trained_in_the_wording_of_its_base() -> None:
    given = resources(("prompt:small", choice(BUILT_IN["short"], "small")), ("rag:small", choice(OURS, "small")))
    assert training_wording(config(), given, "tiny", grounded=False).name == "short"
    assert training_wording(config(), given, "tiny", grounded=True).name == "ours"
    for base in ("m", "another", None):
        assert training_wording(config(), given, base, grounded=True).name == "full"


def test_rows_and_artifact_have_the_wording_of_the_training() -> None:
    given = replace(resources(), output_format=AnswerFormat().worded(OURS))
    (row,) = chat_rows(given.output_format, [Example("e1", "How long?", "30 days", split="train")])
    assert row.messages[0] == {"role": "system", "content": "Say NOT_IN_DOCUMENTS."}
    job = Job(folder=Path(), name="t", kind="lora", base="tiny", settings={}, details={})
    details = with_rules(TrainingInputs("t", config(), given), job, grounded=False).details
    assert details == {"wording": "ours", "rules": rules_digest(given.output_format, grounded=False)}


def test_a_model_answers_only_in_the_wording_of_its_training() -> None:
    trained = AnswerFormat().worded(OURS)
    details = {"wording": "ours", "rules": rules_digest(trained, grounded=False)}
    artifact = Artifact("i", "t", "lora", "tiny", "", "", {}, {}, {}, {}, "", 0.0, 0.0, details=details)
    assert _outdated(artifact, AnswerFormat(), OURS, grounded=False) is None
    assert "a prompt" in (_outdated(artifact, AnswerFormat(), BUILT_IN["full"], grounded=False) or "")
    assert "'ours', which is not listed" in (_outdated(artifact, AnswerFormat(), None, grounded=False) or "")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("rag/short", True),
        ("rag:small/example", True),
        ("prompt/ours", True),
        ("rag/other", False),
        ("quote-hybrid/short", False),
        ("rag:large/short", False),
        ("tuned/short", False),
        ("rag/", False),
    ],
)
def test_only_approaches_with_a_model_have_wordings(name: str, known: bool) -> None:
    assert is_worded_name(config(), name) == known
