"""Test labels from the embedder alone: by the nearest description, or by a vote of the shots."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from groundtune.approaches import prompts
from groundtune.approaches.few_shot import FixedShots, NearestShots
from groundtune.approaches.output_formats import LabelFormat
from groundtune.approaches.pipeline import Pipeline
from groundtune.models.hosted_embedder import HostedEmbedder
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.nearest_generator import SHARPNESS, NearestGenerator
from groundtune.protocols import Embedder, Generator, RepeatableGenerator, ShotChooser
from groundtune.testing.scripted_server import ScriptedServer
from groundtune.types import Example, Prompt, Question, Shot, Vectors

LABELS = {
    "delivery": "where a parcel is, when it arrives",
    "billing": "invoices, tax, payments, charged twice",
    "safety": "accident, fire, smoke, brakes that fail",
}
TRAIN = [
    Example("d1", "My parcel has not come.", "delivery"),
    Example("d2", "When will you deliver my order?", "delivery"),
    Example("b1", "The tax on the invoice is wrong.", "billing"),
    Example("b2", "You took the money from my card twice.", ["billing", "delivery"]),
    Example("s1", "Smoke comes out of the battery.", "safety"),
    Example("n1", "We sell search engine optimisation to companies like yours.", None),
    Example("n2", "Buy followers and website traffic at a discount.", None),
]


def nearest(embedder: Embedder, labels: dict[str, str] | None = None) -> NearestGenerator:
    return NearestGenerator(embedder, labels or LABELS, nothing=prompts.NO_LABEL)


def shot(label: object, score: float | None, text: str = "x") -> Shot:
    return Shot(Example(f"{label} {score}", text, label), score)


def approach(embedder: Embedder, shots: ShotChooser | None = None) -> Pipeline:
    return Pipeline("nearest", nearest(embedder), output_format=LabelFormat(LABELS), shots=shots)


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Has the package been shipped yet?", "delivery"),
        ("I need a receipt with VAT", "billing"),
        ("It caught fire in the garage", "safety"),
    ],
)
async def test_without_shots_the_nearest_description_is_the_label(
    embedder: BundledEmbedder, question: str, label: str
) -> None:
    generator = nearest(embedder)
    assert isinstance(generator, Generator)
    assert not isinstance(generator, RepeatableGenerator), "it costs nothing, so nothing needs caching"
    assert (await generator.generate(Prompt(question))).text == label


async def test_a_label_without_a_description_is_described_by_its_name(embedder: BundledEmbedder) -> None:
    generator = nearest(embedder, {"spare_parts": "", "home_trial": "", "invoice": ""})
    assert (await generator.generate(Prompt("I am looking for parts: a spare tyre"))).text == "spare_parts"


async def test_confidence_is_the_share_of_the_vote(embedder: BundledEmbedder) -> None:
    shots = (shot("a", 0.80), shot("b", 0.75), shot("b", 0.75), shot("c", 0.1))
    generation = await nearest(embedder).generate(Prompt("?", shots=shots))
    weights = {"a": 1.0, "b": 2 * math.exp(-SHARPNESS * 0.05), "c": math.exp(-SHARPNESS * 0.7)}
    assert generation.text == "a"
    assert generation.confidence == pytest.approx(weights["a"] / sum(weights.values()))
    more = await nearest(embedder).generate(Prompt("?", shots=(*shots, shot("b", 0.76))))
    assert more.text == "b", "several close shots outvote a closer one"


async def test_confidence_is_between_0_and_1_however_near_or_far(embedder: BundledEmbedder) -> None:
    for score in (-1.0, 0.0, 1.0):
        alone = await nearest(embedder).generate(Prompt("?", shots=(shot("a", score),)))
        assert (alone.text, alone.confidence) == ("a", 1.0)
    even = await nearest(embedder).generate(Prompt("?", shots=(shot("a", 0.5), shot("b", 0.5))))
    assert (even.text, even.confidence) == ("a", 0.5)


async def test_shots_without_a_cosine_get_one(embedder: BundledEmbedder) -> None:
    """Fixed shots have none. If any shot lacks one, all are computed."""
    texts = {"delivery": "My parcel has not come.", "billing": "The tax on the invoice is wrong."}
    fixed = tuple(shot(label, None, text) for label, text in texts.items())
    generation = await nearest(embedder).generate(Prompt("Where is the package?", shots=fixed))
    mixed = (shot("delivery", None, texts["delivery"]), shot("billing", 0.99, texts["billing"]))
    assert generation.text == (await nearest(embedder).generate(Prompt("Where is the package?", shots=mixed))).text
    assert generation.text == "delivery"


async def test_the_first_of_several_gold_labels_gets_the_vote(embedder: BundledEmbedder) -> None:
    assert (await nearest(embedder).generate(Prompt("?", shots=(shot(["b", "a"], 0.5),)))).text == "b"
    assert (await nearest(embedder).generate(Prompt("?", shots=(shot(None, 0.5),)))).text == prompts.NO_LABEL


async def test_it_costs_nothing_and_reports_its_time(embedder: BundledEmbedder) -> None:
    usage = (await nearest(embedder).generate(Prompt("Where is it?"))).usage
    assert (usage.usd, usage.input_tokens, usage.output_tokens) == (0.0, None, None)
    assert usage.seconds is not None
    assert usage.seconds > 0


@pytest.mark.parametrize("fixed", [False, True])
async def test_shots_vote_in_an_approach_and_may_vote_for_no_label(embedder: BundledEmbedder, fixed: bool) -> None:
    shots = FixedShots(TRAIN) if fixed else NearestShots(embedder, TRAIN, count=3)
    sorts = approach(embedder, shots)
    answer = await sorts.answer(Question("The VAT on my bill is not right"))
    assert (answer.status, answer.output, answer.text) == ("answered", "billing", "billing")
    assert answer.usage.usd == 0.0
    assert answer.confidence is not None
    assert 0.3 < answer.confidence <= 1
    spam = await sorts.answer(Question("Get more website traffic and followers with our SEO offer"))
    assert (spam.status, spam.output, spam.text) == ("abstained", None, LabelFormat.abstention)


async def test_without_access_to_shots_the_description_decides(embedder: BundledEmbedder) -> None:
    hidden = [Example("h", "Smoke", "safety", groups=("staff",))]
    answer = await approach(embedder, NearestShots(embedder, hidden, count=3)).answer(Question("Where is my parcel?"))
    assert answer.output == "delivery"


async def test_descriptions_and_fixed_shots_are_embedded_once() -> None:
    class Counting(BundledEmbedder):
        def __init__(self) -> None:
            super().__init__()
            self.embedded: list[str] = []

        async def embed(self, texts: Sequence[str]) -> Vectors:
            self.embedded += texts
            return await super().embed(texts)

    counting = Counting()
    generator = nearest(counting)
    await asyncio.gather(*(generator.generate(Prompt(f"question {n}")) for n in range(4)))
    assert sorted(counting.embedded) == sorted(LABELS.values())
    shots = tuple(Shot(example) for example in TRAIN)
    for _ in range(2):
        await generator.generate(Prompt("question", shots=shots))
    assert len(counting.embedded) == len(LABELS) + len(TRAIN)


async def test_the_price_of_an_embedder_that_may_bill_is_unknown() -> None:
    """A price of 0 would make the verdict take it for the cheapest of the leaders."""
    with ScriptedServer(dimension=64) as server:
        hosted = HostedEmbedder("e", base_url=server.base_url, dimension=64)
        generation = await NearestGenerator(hosted, LABELS, nothing="NONE", usd=None).generate(Prompt("Where is it?"))
        assert len(server.posts()) == 2
        await hosted.aclose()
    assert generation.usage.usd is None
