"""Test a trained classifier: single and concurrent questions, out-of-scope texts, missing files."""

import asyncio
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import MissingError
from groundtune.models import classifier_generator as module
from groundtune.models.classifier_generator import ClassifierGenerator
from groundtune.protocols import Generator
from groundtune.tune.encoders import classifier
from groundtune.types import Prompt
from tests.tune.encoders import WORDS, classifier_job, labelled, tiny_encoder

pytestmark = pytest.mark.slow

TEXTS = [row.input for row in labelled(3, seed=7)]
GOLD = [str(row.output) for row in labelled(3, seed=7)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("trained")
    job = classifier_job(folder / "job", tiny_encoder(folder / "base"), validation=labelled(8, seed=2, strange=20))
    return job.folder, classifier.train(job, lambda _: None).details


@pytest.fixture
def model(trained: tuple[Path, Any]) -> ClassifierGenerator:
    return ClassifierGenerator(*trained, nothing="none")


async def test_it_answers_with_labels(model: ClassifierGenerator) -> None:
    assert isinstance(model, Generator)
    assert model.name == "intents"
    generations = [await model.generate(Prompt(text)) for text in TEXTS]
    labels = [generation.text for generation in generations]
    assert sum(label == gold for label, gold in zip(labels, GOLD, strict=True)) >= 14
    assert set(labels) <= {*WORDS, "none"}
    for generation in generations:
        assert generation.confidence is not None
        assert 0 < generation.confidence < 1
        assert (generation.usage.usd, generation.usage.output_tokens) == (0.0, None)
        assert generation.usage.seconds is not None
    assert generations[0].usage.input_tokens == len(TEXTS[0].split()) + 2


async def test_concurrent_questions_share_a_batch_with_the_same_answers(
    model: ClassifierGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [(await model.generate(Prompt(text))).text for text in TEXTS]
    sizes: list[int] = []
    original = ClassifierGenerator._classified
    monkeypatch.setattr(
        ClassifierGenerator, "_classified", lambda self, texts: sizes.append(len(texts)) or original(self, texts)
    )
    generations = await asyncio.gather(*(model.generate(Prompt(text)) for text in TEXTS))
    assert [generation.text for generation in generations] == alone
    assert sizes == [len(TEXTS)]


def test_an_out_of_scope_input_gets_no_label(model: ClassifierGenerator) -> None:
    out_of_scope = [row.input for row in labelled(0, seed=11, strange=20)]
    labels, confidences = model.classify(out_of_scope)
    assert labels.count("none") >= 8
    assert all(0 <= confidence <= 1 for confidence in confidences)
    assert model.classify(TEXTS)[0].count("none") <= 6
    assert model.classify([]) == ([], [])
    assert model.labels == list(WORDS)


def test_numpy_and_torch_agree(trained: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from_numpy = ClassifierGenerator(*trained, nothing="none").logits(TEXTS)
    monkeypatch.setattr(module, "FEW_TOKENS", 0)
    from_torch = ClassifierGenerator(*trained, nothing="none").logits(TEXTS)
    assert abs(from_numpy - from_torch).max() < 1e-3


def test_other_encoders_run_through_transformers(tmp_path: Path) -> None:
    job = classifier_job(tmp_path / "job", tiny_encoder(tmp_path / "base", kind="distilbert"), epochs=3)
    result = classifier.train(job, lambda _: None)
    model = ClassifierGenerator(job.folder, result.details, nothing="none")
    labels, _ = model.classify([*TEXTS, "refund " * 100])
    assert sum(label == gold for label, gold in zip(labels, GOLD, strict=False)) >= 10


def test_a_long_text_is_truncated_with_a_warning(model: ClassifierGenerator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model.classify(["money back " * 100])
    assert "a text of 202 tokens was truncated to 64" in caplog.text


def test_one_question_needs_no_torch(trained: tuple[Path, Any]) -> None:
    code = (
        "import sys, asyncio; from pathlib import Path\n"
        "from groundtune.models.classifier_generator import ClassifierGenerator\n"
        "from groundtune.types import Prompt\n"
        f"model = ClassifierGenerator(Path({str(trained[0])!r}), {{}}, nothing='none')\n"
        "print(asyncio.run(model.generate(Prompt('refund money back'))).text, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refund", "False"]


async def test_missing_or_damaged_files(trained: tuple[Path, Any], tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no file .*classifier\.json"):
        await ClassifierGenerator(tmp_path / "nowhere", {}, nothing="none").generate(Prompt("x"))
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    (folder / "model" / "head.safetensors").write_bytes(b"half")
    with pytest.raises(MissingError, match="cannot be loaded"):
        await ClassifierGenerator(folder, {}, nothing="none").generate(Prompt("x"))
    (folder / "model" / "encoder" / "config.json").unlink()
    with pytest.raises(MissingError, match="cannot be loaded"):
        ClassifierGenerator(folder, {}, nothing="none").classify(["x"])


async def test_a_cancelled_caller_does_not_affect_the_others(model: ClassifierGenerator) -> None:
    first = asyncio.ensure_future(model.generate(Prompt(TEXTS[0])))
    second = asyncio.ensure_future(model.generate(Prompt(TEXTS[1])))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).text
    with pytest.raises(asyncio.CancelledError):
        await first


def test_it_works_in_one_event_loop_after_another(model: ClassifierGenerator) -> None:
    answers = [asyncio.run(model.generate(Prompt(TEXTS[0]))).text for _ in range(2)]
    assert answers[0] == answers[1]


def test_without_rows_out_of_scope_confidence_is_the_probability_of_the_label(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path / "base")
    job = classifier_job(tmp_path / "job", base, epochs=2, validation=labelled(4, seed=2))
    model = ClassifierGenerator(job.folder, classifier.train(job, lambda _: None).details, nothing="none")
    settings = json.loads((job.folder / "model" / "classifier.json").read_text())
    assert settings["slope"] is None
    logits = model.logits(TEXTS) / settings["temperature"]
    from groundtune.tune.encoders.calibration import softmax

    best = softmax(logits).max(axis=1)
    for label, confidence, probability in zip(*model.classify(TEXTS), best, strict=True):
        assert confidence == pytest.approx(1 - probability if label == "none" else probability)
