"""Test a trained extractor: JSON in the words of the input, with a confidence; null when there is nothing."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from groundtune.errors import MissingError
from groundtune.models.extractor_generator import ExtractorGenerator
from groundtune.protocols import Generator
from groundtune.tune.encoders import extractor
from groundtune.tune.job import TrainingResult
from groundtune.types import Prompt
from tests.tune.encoders import tiny_encoder
from tests.tune.test_extractor import extractor_job, objects

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
]

Extractor = tuple[Path, TrainingResult]


@pytest.fixture(scope="module")
def trained_extractor(tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    folder = tmp_path_factory.mktemp("extractor")
    job = extractor_job(folder / "job", tiny_encoder(folder / "base"))
    return job.folder, extractor.train(job, lambda _: None)


def test_values_are_copied_from_the_input(trained_extractor: Extractor) -> None:
    folder, trained = trained_extractor
    model = ExtractorGenerator(folder, trained.details)
    assert isinstance(model, Generator)
    assert model.name == "fields"
    generation = asyncio.run(model.generate(Prompt("money please can you PAINTING i my")))
    output = json.loads(generation.text)
    assert (output["intent"], output["place"], output["words"]) == ("pay_now", "PAINTING", [])
    assert generation.usage.usd == 0.0
    assert generation.usage.seconds is not None
    assert generation.usage.input_tokens == 9
    assert generation.confidence is not None
    assert 0 <= generation.confidence <= 1


def test_no_object_is_null(trained_extractor: Extractor) -> None:
    folder, trained = trained_extractor
    generation = asyncio.run(ExtractorGenerator(folder, trained.details).generate(Prompt("please can you when")))
    assert generation.text == "null"


def test_places_point_at_the_values(trained_extractor: Extractor) -> None:
    folder, trained = trained_extractor
    rows = objects(12, seed=5)
    results = ExtractorGenerator(folder, trained.details).extract([row.input for row in rows])
    for row, result in zip(rows, results, strict=True):
        values = {row.input[start:end] for _, start, end in result.places}
        assert result.output is not None
        assert result.output.get("place") is None or result.output["place"] in values
        assert set(result.output["words"]) <= values


def test_concurrent_questions_get_their_own_answers(trained_extractor: Extractor) -> None:
    folder, trained = trained_extractor
    model = ExtractorGenerator(folder, trained.details)
    texts = [row.input for row in objects(70, seed=6, empty=3)]

    async def ask() -> list[str]:
        return [
            generation.text for generation in await asyncio.gather(*(model.generate(Prompt(text)) for text in texts))
        ]

    alone = [json.dumps(model.extract([text])[0].output, ensure_ascii=False) for text in texts]
    assert asyncio.run(ask()) == alone
    assert asyncio.run(ask()) == alone  # in another loop


def test_bad_input(trained_extractor: Extractor, caplog: pytest.LogCaptureFixture) -> None:
    folder, trained = trained_extractor
    model = ExtractorGenerator(folder, trained.details)
    assert model.extract([]) == []
    for text in ("", "   ", "\N{GRINNING FACE} \u202e", "half \ud83d pair", "\x00"):
        assert asyncio.run(model.generate(Prompt(text))).text
    with caplog.at_level(logging.WARNING):
        model.extract(["please " * 200])
    assert "was truncated to 64 tokens" in caplog.text


def test_missing_files(trained_extractor: Extractor, tmp_path: Path) -> None:
    folder, trained = trained_extractor
    with pytest.raises(MissingError, match=r"extractor\.json"):
        asyncio.run(ExtractorGenerator(tmp_path, trained.details).generate(Prompt("x")))
    half = tmp_path / "model"
    half.mkdir()
    (half / "extractor.json").write_bytes((folder / "model" / "extractor.json").read_bytes())
    (half / "heads.safetensors").write_bytes(b"half")
    with pytest.raises(MissingError, match="cannot be loaded"):
        ExtractorGenerator(tmp_path, trained.details).extract(["x"])
