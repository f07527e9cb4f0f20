"""A trained extractor, asked: JSON in the words of the input, with its confidence; nothing where nothing is."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from groundtune.errors import MissingError
from groundtune.models.extractor import ExtractorGenerator
from groundtune.protocols import Generator
from groundtune.tune.encoders import extractor
from groundtune.tune.job import Trained
from groundtune.types import Prompt
from tests.tune.encoders import tiny_encoder
from tests.tune.test_extractor import extractor_job, objects

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

Made = tuple[Path, Trained]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("extractor")
    job = extractor_job(folder / "job", tiny_encoder(folder / "base"))
    return job.folder, extractor.train(job, lambda _: None)


def test_it_says_what_the_input_says(made: Made) -> None:
    folder, trained = made
    model = ExtractorGenerator(folder, trained.details)
    assert isinstance(model, Generator)
    assert model.name == "fields"
    found = asyncio.run(model.generate(Prompt("money please can you PAINTING i my")))
    output = json.loads(found.text)
    assert (output["intent"], output["place"], output["words"]) == ("pay_now", "PAINTING", [])
    assert found.usage.usd == 0.0
    assert found.usage.seconds is not None
    assert found.usage.input_tokens == 9
    assert found.confidence is not None
    assert 0 <= found.confidence <= 1


def test_nothing_is_null(made: Made) -> None:
    folder, trained = made
    found = asyncio.run(ExtractorGenerator(folder, trained.details).generate(Prompt("please can you when")))
    assert found.text == "null"


def test_places_point_at_the_values(made: Made) -> None:
    folder, trained = made
    rows = objects(12, seed=5)
    found = ExtractorGenerator(folder, trained.details).extract([row.input for row in rows])
    for row, one in zip(rows, found, strict=True):
        said = {row.input[start:end] for _, start, end in one.places}
        assert one.output is not None
        assert one.output.get("place") is None or one.output["place"] in said
        assert set(one.output["words"]) <= said


def test_questions_that_wait_together_get_their_own_answers(made: Made) -> None:
    folder, trained = made
    model = ExtractorGenerator(folder, trained.details)
    texts = [row.input for row in objects(70, seed=6, empty=3)]

    async def ask() -> list[str]:
        return [one.text for one in await asyncio.gather(*(model.generate(Prompt(text)) for text in texts))]

    alone = [json.dumps(model.extract([text])[0].output, ensure_ascii=False) for text in texts]
    assert asyncio.run(ask()) == alone
    assert asyncio.run(ask()) == alone  # in another loop


def test_bad_input(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    folder, trained = made
    model = ExtractorGenerator(folder, trained.details)
    assert model.extract([]) == []
    for text in ("", "   ", "\N{GRINNING FACE} \u202e", "half \ud83d pair", "\x00"):
        assert asyncio.run(model.generate(Prompt(text))).text
    with caplog.at_level(logging.WARNING):
        model.extract(["please " * 200])
    assert "was cut at 64 tokens" in caplog.text


def test_files_that_are_not_there(made: Made, tmp_path: Path) -> None:
    folder, trained = made
    with pytest.raises(MissingError, match=r"extractor\.json"):
        asyncio.run(ExtractorGenerator(tmp_path, trained.details).generate(Prompt("x")))
    half = tmp_path / "model"
    half.mkdir()
    (half / "extractor.json").write_bytes((folder / "model" / "extractor.json").read_bytes())
    (half / "heads.safetensors").write_bytes(b"half")
    with pytest.raises(MissingError, match="cannot be loaded"):
        ExtractorGenerator(tmp_path, trained.details).extract(["x"])
