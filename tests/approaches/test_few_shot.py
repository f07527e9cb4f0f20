"""The examples a model is shown: never the question itself, never any that the asker may not see."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from groundtune.approaches import few_shot as module
from groundtune.approaches.few_shot import FixedShots, NearestShots, choose_fixed
from groundtune.errors import ProviderError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.protocols import Embedder, ShotChooser
from groundtune.testing.scripted_server import bag_of_words
from groundtune.types import Example, Message, Question, Scope, Shot, Vectors

TICKETS = [
    Example("t1", "Where is my parcel?", "delivery"),
    Example("t2", "The parcel arrived broken.", "delivery"),
    Example("t3", "The invoice has the wrong tax.", "billing"),
    Example("t4", "I was charged twice for one order.", "billing"),
    Example("t5", "The battery smokes.", "safety"),
    Example("t6", "Salaries of the parcel service", "hr", groups=("hr",)),
]


class Words:
    """A bag-of-words embedder that records what it was given."""

    name = "words"
    max_tokens = 256

    def __init__(self, dimension: int = 256, digest: str = "words-1") -> None:
        self.dimension = dimension
        self.digest = digest
        self.embedded: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return await self.embed_queries(texts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        rows = np.stack([bag_of_words(text, self.dimension) for text in texts])
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def ids(shots: Sequence[Shot]) -> list[str]:
    return [shot.example.id for shot in shots]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


Make = Callable[[Sequence[Example]], ShotChooser]
CHOOSERS: list[Make] = [
    FixedShots,
    lambda examples: NearestShots(Words(), examples, count=len(examples)),
]


# -- both --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", CHOOSERS)
async def test_the_question_itself_is_never_shown(make: Make) -> None:
    chooser = make(TICKETS)
    assert isinstance(chooser, ShotChooser)
    for ticket in TICKETS[:5]:
        for text in (ticket.input, f"  {ticket.input}\n"):
            shown = ids(await chooser.choose(Question(text)))
            assert sorted([*shown, ticket.id]) == ["t1", "t2", "t3", "t4", "t5"]


@pytest.mark.parametrize("make", CHOOSERS)
async def test_nothing_is_shown_that_the_asker_may_not_ask(make: Make) -> None:
    chooser = make(TICKETS)
    for groups, seen in (((), False), (("sales",), False), (("sales", "hr"), True)):
        shown = ids(await chooser.choose(Question("Parcel service", scope=Scope(groups))))
        assert ("t6" in shown) is seen
    both = make([Example("x", "for both", "a", groups=("hr", "board"))])
    assert await both.choose(Question("?", scope=Scope(("hr",)))) == []


@pytest.mark.parametrize("make", CHOOSERS)
async def test_the_same_words_after_another_conversation_are_another_question(make: Make) -> None:
    history = (Message("user", "Do you ship to Norway?"), Message("assistant", "Yes."))
    chooser = make([Example("alone", "And to Iceland?", "No."), Example("later", "And to Iceland?", history=history)])
    assert ids(await chooser.choose(Question("And to Iceland?"))) == ["later"]
    assert ids(await chooser.choose(Question("And to Iceland?", history))) == ["alone"]


# -- fixed -------------------------------------------------------------------------------------------------------


async def test_fixed_shots_keep_their_order_and_have_no_score() -> None:
    shots = await FixedShots(TICKETS[:3]).choose(Question("anything"))
    assert ids(shots) == ["t1", "t2", "t3"]
    assert {shot.score for shot in shots} == {None}


def many(labels: int, each: int) -> list[Example]:
    return [
        Example(f"e{label}-{at}", f"{label} {at}", f"label {label}") for label in range(labels) for at in range(each)
    ]


@pytest.mark.parametrize("each_label", [False, True])
def test_the_choice_does_not_depend_on_the_order_of_the_file(each_label: bool) -> None:
    examples = many(5, 7)
    chosen = choose_fixed(examples, count=8, each_label=each_label)
    for seed in range(5):
        shuffled = random.Random(seed).sample(examples, len(examples))
        assert choose_fixed(shuffled, count=8, each_label=each_label) == chosen
    assert len(chosen) == len({example.id for example in chosen}) == 8


def test_examples_that_come_and_go_leave_the_others_chosen() -> None:
    examples = many(1, 40)
    before = choose_fixed(examples, count=8)
    after = choose_fixed(examples[:-1], count=8)
    assert len({example.id for example in before} & {example.id for example in after}) >= 7


@pytest.mark.parametrize(("count", "shown"), [(1, 5), (5, 5), (8, 8), (100, 35)])
def test_there_is_at_least_one_example_a_label_and_they_come_in_turn(count: int, shown: int) -> None:
    chosen = choose_fixed(many(5, 7), count=count, each_label=True)
    number = Counter(example.output for example in chosen)
    assert (len(chosen), len(number)) == (shown, 5)
    assert max(number.values()) - min(number.values()) <= 1
    assert len({example.output for example in chosen[:5]}) == 5


def test_a_rare_label_and_an_abstention_are_shown_too() -> None:
    examples = [*many(2, 20), Example("rare", "rare", "rare"), Example("none", "none", None)]
    outputs = [example.output for example in choose_fixed(examples, count=4, each_label=True)]
    assert sorted(map(str, outputs)) == ["None", "label 0", "label 1", "rare"]
    assert len(choose_fixed(examples, count=12, each_label=True)) == 12


def test_fewer_examples_than_wanted_are_all_shown() -> None:
    assert len(choose_fixed(TICKETS, count=50)) == len(TICKETS)
    assert choose_fixed([], count=8) == choose_fixed([], count=8, each_label=True) == []


def test_ids_that_utf8_cannot_encode_are_ordered_too() -> None:
    assert len(choose_fixed([Example("\ud800", "a", "x"), Example("b", "b", "y")], count=2)) == 2


def test_several_right_labels_are_no_label_of_their_own() -> None:
    several = [Example(f"s{a}{b}", f"{a}{b}", [f"label {a}", f"label {b}"]) for a in range(4) for b in range(4)]
    assert len(choose_fixed([*many(4, 2), *several], count=4, each_label=True)) == 4


# -- nearest -----------------------------------------------------------------------------------------------------


async def test_the_nearest_example_comes_last_with_its_cosine(embedder: BundledEmbedder) -> None:
    chooser = NearestShots(embedder, TICKETS[:5], count=3)
    shots = await chooser.choose(Question("My package has not come yet"))
    assert ids(shots)[-1] == "t1"
    scores = [shot.score for shot in shots]
    assert scores == sorted(scores, key=lambda score: score or 0.0)
    vectors = await embedder.embed([shot.example.input for shot in shots])
    (query,) = await embedder.embed_queries(["My package has not come yet"])
    assert scores == pytest.approx([float(vector @ query) for vector in vectors], abs=1e-5)


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (3, 3), (5, 5), (50, 5)])
async def test_count_bounds_the_shots(count: int, shown: int) -> None:
    chooser = NearestShots(Words(), TICKETS, count=count)
    assert len(await chooser.choose(Question("parcel"))) == shown


async def test_an_excluded_example_is_replaced_by_the_next_nearest() -> None:
    chooser = NearestShots(Words(), TICKETS, count=2)
    shown = await chooser.choose(Question("Where is my parcel?"))
    assert len(shown) == 2
    assert "t1" not in ids(shown)


async def test_examples_are_embedded_once_also_for_many_questions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EMBED_CHUNK", 2)
    words = Words()
    chooser = NearestShots(words, TICKETS, count=2)
    assert words.embedded == [], "nothing before the first question"
    choices = await asyncio.gather(*(chooser.choose(Question(f"parcel {n}")) for n in range(5)))
    assert words.embedded == [example.input for example in TICKETS]
    assert len({tuple(ids(shots)) for shots in choices}) == 1


async def test_choosing_works_again_after_the_embedder_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words()
    chooser = NearestShots(words, TICKETS, count=2)
    real = words.embed

    async def fails(texts: Sequence[str]) -> Vectors:
        raise ProviderError("on holiday", kind="server")

    monkeypatch.setattr(words, "embed", fails)
    with pytest.raises(ProviderError):
        await chooser.choose(Question("parcel"))
    monkeypatch.setattr(words, "embed", real)
    assert len(await chooser.choose(Question("parcel"))) == 2


# -- vectors on disk ---------------------------------------------------------------------------------------------


async def test_vectors_are_kept_and_used_by_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "vectors"
    first, second = Words(), Words()
    shots = await NearestShots(first, TICKETS, count=3, folder=folder).choose(Question("parcel"))
    (file,) = files(folder)
    assert (file.suffix, np.load(file).shape) == (".npy", (6, 256))
    again = await NearestShots(second, TICKETS, count=3, folder=folder).choose(Question("parcel"))
    assert (again, second.embedded, files(folder)) == (shots, [], [file])


async def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await NearestShots(Words(), TICKETS, count=3).choose(Question("parcel"))
    assert files(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "junk", "other shape", "pickled"])
async def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    expected = await NearestShots(Words(), TICKETS, count=3, folder=tmp_path).choose(Question("parcel"))
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(whole[:-100])
        case "empty":
            file.write_bytes(b"")
        case "junk":
            file.write_bytes(b"junk" * 100)
        case "other shape":
            np.save(file, np.zeros((5, 256), dtype=np.float32))
        case "pickled":
            np.save(file, np.array([{"a": 1}] * 6, dtype=object), allow_pickle=True)
    words = Words()
    assert await NearestShots(words, TICKETS, count=3, folder=tmp_path).choose(Question("parcel")) == expected
    assert len(words.embedded) == len(TICKETS)
    assert files(tmp_path)[0].read_bytes() == whole


async def test_other_examples_are_another_file(tmp_path: Path) -> None:
    async def ask(examples: Sequence[Example], embedder: Embedder) -> int:
        await NearestShots(embedder, examples, count=1, folder=tmp_path).choose(Question("parcel"))
        return len(files(tmp_path))

    assert await ask(TICKETS, Words()) == 1
    assert await ask(TICKETS[:-1], Words()) == 2
    assert await ask([Example("t1", "Where is my parcel now?"), *TICKETS[1:]], Words()) == 3
    assert await ask(TICKETS[::-1], Words()) == 4
    assert await ask(TICKETS, Words(digest="words-2")) == 5
    relabelled = [Example(ticket.id, ticket.input, "other") for ticket in TICKETS]
    words = Words()
    assert await ask(relabelled, words) == 5
    assert words.embedded == [], "vectors do not depend on labels"


async def test_texts_that_utf8_cannot_hold_have_a_file_too(tmp_path: Path) -> None:
    odd = [Example("a", "broken \ud800 text", "x"), Example("b", "whole", "y")]
    assert len(await NearestShots(Words(), odd, count=2, folder=tmp_path).choose(Question("text"))) == 2
    assert len(files(tmp_path)) == 1


async def test_vectors_that_cannot_be_kept_are_done_without(tmp_path: Path) -> None:
    """As the cache of generations does; also a reader without the right to write may ask."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert await NearestShots(Words(), TICKETS, count=2, folder=blocked / "vectors").choose(Question("parcel"))


@pytest.mark.parametrize(("use_history", "nearest"), [(True, "talk"), (False, "alone")])
async def test_conversations_are_compared_unless_history_is_ignored(use_history: bool, nearest: str) -> None:
    history = (Message("user", "parcel parcel parcel"), Message("assistant", "Yes?"))
    examples = [Example("talk", "late", "delivery", history=history), Example("alone", "late late invoice", "billing")]
    chooser = NearestShots(Words(), examples, count=1, use_history=use_history)
    assert ids(await chooser.choose(Question("late invoice", (Message("user", "parcel parcel"),)))) == [nearest]
