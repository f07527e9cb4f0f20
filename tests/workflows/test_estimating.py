"""What a comparison would take, before anything is asked: calls, tokens, money, time."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project
from groundtune.errors import MissingError, UsageError
from groundtune.models.embed import BundledEmbedder
from groundtune.models.scripted import Reply, ScriptedServer
from groundtune.workflows.comparing import Step
from groundtune.workflows.estimating import CHARACTERS_PER_TOKEN, SAMPLE, Estimate, total
from tests.conftest import MakeProject

DOCUMENTS = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "docs/hr/pay.md": "# Pay\n\nThe salary of the director is 9,000 euros a month.\n",
}
ACCESS = '[[documents.access]]\ninclude = ["docs/hr/**"]\ngroups = ["hr"]\n'
PRICE = '[prices."m"]\ninput_per_million = 2.0\noutput_per_million = 10.0\n'
WRITING = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")


def examples(test: int = 6, train: int = 12) -> str:
    rows = [
        {
            "id": f"e{number}",
            "input": f"How many days does refund number {number} take?",
            "output": "30 days",
            "split": "test" if number < test else "train",
        }
        for number in range(test + train)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


class Bench:
    """A project, and the server that its model is asked at."""

    def __init__(self, project: Project, server: ScriptedServer) -> None:
        self.project = project
        self.server = server

    def __call__(self, *approaches: str, split: str = "test") -> dict[str, Estimate]:
        found = self.project.estimate(approaches=approaches, split=split)
        return {one.approach: one for one in found}

    @property
    def asked(self) -> int:
        return len(self.server.posts())


MakeBench = Callable[..., Bench]


class CutShortError(Exception):
    """What ends a run in the middle."""


@pytest.fixture
def bench(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[MakeBench]:
    with ExitStack() as stack:

        def make(
            toml: str = "", *, model: str = "", rows: str | None = None, index: bool = False, reply: Any = None
        ) -> Bench:
            server = stack.enter_context(ScriptedServer(reply or Reply("30 days"), dimension=64))
            default = f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\n{model}\n'
            toml = toml.replace("SERVER", server.base_url)
            files = {**DOCUMENTS, "examples.jsonl": examples() if rows is None else rows}
            folder = make_project(files, toml=f'{default}{toml}\n[examples]\nfiles = ["examples.jsonl"]\n')
            project = stack.enter_context(Project.open(folder))
            if project.config.embedder.kind == "bundled":
                project.session.embedder = embedder
            if index:
                project.ingest()
            return Bench(project, server)

        yield make


# -- nothing is asked --------------------------------------------------------------------------------------------


def test_no_request_is_made_and_no_run_is_left(bench: MakeBench) -> None:
    here = bench(PRICE, model="window = 100000", index=True)
    found = here()
    assert set(found) == {*WRITING, "quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus"}
    assert here.server.requests == []
    assert not here.project.workspace.runs.exists()


def test_no_hosted_embedder_is_asked_either(bench: MakeBench) -> None:
    here = bench('[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "SERVER"\ndimension = 64\n')
    here("fewshot")
    assert here.asked == 0


def test_what_it_leaves_is_out_of_sight_of_git(bench: MakeBench) -> None:
    here = bench()
    here()
    assert (here.project.workspace.folder / ".gitignore").is_file()


# -- calls and tokens --------------------------------------------------------------------------------------------


def test_each_example_is_a_call(bench: MakeBench) -> None:
    here = bench(rows=examples(test=3 * SAMPLE))
    for one in here("prompt", "fewshot").values():
        assert (one.calls, one.cached, one.model) == (3 * SAMPLE, 0, "m")
    assert here("prompt", split="train")["prompt"].calls == 12


def test_tokens_are_those_of_the_whole_prompt(bench: MakeBench) -> None:
    found = bench(model="window = 100000", index=True)(*WRITING)
    given = {name: one.input_tokens for name, one in found.items()}
    assert given["prompt"] < given["fewshot-fixed"]
    assert given["prompt"] < given["rag"]
    assert given["prompt"] < given["context"]
    assert {one.output_tokens for one in found.values()} == {round(6 * (len("30 days") / CHARACTERS_PER_TOKEN + 5))}


def seen_by_half(bench: MakeBench) -> Bench:
    """Four questions about a document that two of the askers may see."""
    rows = [
        {"id": f"e{at}", "input": f"What is the salary, number {at}?", "output": "9,000", "split": "test", **more}
        for at, more in enumerate([{"groups": ["hr"]}, {"groups": ["hr"]}, {}, {}])
    ]
    toml = f'[documents]\ninclude = ["docs/hr/**"]\n{ACCESS}{PRICE}'
    return bench(toml, rows="".join(f"{json.dumps(row)}\n" for row in rows), index=True)


def test_what_finds_nothing_asks_nothing(bench: MakeBench) -> None:
    here = seen_by_half(bench)
    found = here("rag", "prompt")
    assert (found["rag"].calls, found["prompt"].calls) == (2, 4)
    here.project.compare(approaches=["rag"])
    assert here.asked == 2


def test_what_asks_nothing_costs_nothing(bench: MakeBench) -> None:
    (one,) = seen_by_half(bench).project.compare(approaches=["rag"]).standings
    assert (one.answered + one.abstained, one.errors) == (4, 0)
    assert one.usd_per_1k is not None


def test_the_estimate_is_what_is_then_asked(bench: MakeBench) -> None:
    here = bench(PRICE, model="max_output_tokens = 50")
    found = here("prompt", "fewshot")
    here.project.compare(approaches=["prompt", "fewshot"])
    assert here.asked == sum(one.calls for one in found.values())


def test_the_calls_of_a_judge_are_in_the_estimate(bench: MakeBench) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        judged = "response_format" in body
        return Reply('{"reason": "as the gold", "right": true}' if judged else "30 days")

    judge = '[judge]\nmodel = "judge"\n[models.judge]\nkind = "openai"\nmodel = "j"\nbase_url = "SERVER"\n'
    here = bench(judge, reply=reply)
    calls = sum(one.calls for one in here("prompt").values())
    report = here.project.compare(approaches=["prompt"])
    assert report.standings[0].metrics["judge"].n == 6, "each was judged"
    assert calls == here.asked


# -- the cache ---------------------------------------------------------------------------------------------------


def test_calls_that_the_cache_answers_cost_nothing(bench: MakeBench) -> None:
    here = bench(PRICE)
    before = here("prompt", "fewshot-fixed")
    here.project.compare(approaches=["prompt"])
    after = here("prompt", "fewshot-fixed")
    one = after["prompt"]
    assert (one.calls, one.cached, one.input_tokens, one.output_tokens) == (6, 6, 0, 0)
    assert (one.usd, one.usd_at_most, one.seconds) == (0.0, 0.0, 0.0)
    assert after["fewshot-fixed"] == before["fewshot-fixed"]


def test_seconds_are_measured_where_there_is_something_to_measure(bench: MakeBench) -> None:
    here = bench(model="concurrency = 2", reply=Reply("30 days", delay_seconds=0.1))
    assumed = here("prompt")["prompt"]
    assert (assumed.timed, assumed.seconds) == (False, pytest.approx(6 * (0.5 + 6.75 / 50) / 2))
    here.project.compare(approaches=["prompt"])
    file = here.project.root / "examples.jsonl"
    file.write_text(examples(test=9))
    more = here("prompt")["prompt"]
    assert (more.calls, more.cached, more.timed) == (9, 6, True)
    assert more.seconds is not None
    assert 0.1 <= more.seconds * 2 / 3 < 0.3


def test_after_a_run_that_was_cut_short_the_rest_is_still_to_be_paid(bench: MakeBench) -> None:
    here = bench(PRICE, model="max_output_tokens = 20\nconcurrency = 1", rows=examples(test=60))

    def stop(now: Step) -> None:
        if now.done == SAMPLE + 5:
            raise CutShortError

    with pytest.raises(CutShortError):
        here.project.compare(approaches=["prompt"], progress=stop)
    one = here("prompt")["prompt"]
    assert one.calls - one.cached == pytest.approx(60 - here.asked, abs=10)
    assert one.usd


# -- money -------------------------------------------------------------------------------------------------------


def test_money_is_tokens_at_their_price(bench: MakeBench) -> None:
    one = bench(PRICE, model="max_output_tokens = 100")("prompt")["prompt"]
    made = len("30 days") / CHARACTERS_PER_TOKEN + 5
    given = one.input_tokens / 6
    assert one.usd == pytest.approx(6 * (2 * given + 10 * made) / 1e6, rel=0.03)
    assert one.usd_at_most is not None
    assert one.usd_at_most > 6 * (2 * given + 10 * 100) / 1e6


def test_what_it_costs_at_most_is_what_a_budget_has_to_cover(bench: MakeBench) -> None:
    """More examples than are rendered, and a model whose tokens are single letters."""

    def reply(body: dict[str, Any]) -> Reply:
        given = sum(len(message["content"]) for message in body["messages"])
        return Reply("30 days", usage={"prompt_tokens": given, "completion_tokens": 50})

    here = bench(PRICE, model="max_output_tokens = 50", rows=examples(test=SAMPLE + 10), reply=reply)
    found = list(here("prompt", "fewshot").values())
    most, expected = total(found).usd_at_most, total(found).usd
    assert most is not None
    assert expected is not None
    report = here.project.compare(approaches=["prompt", "fewshot"], budget_usd=most)
    spent = sum((one.usd_per_1k or 0) * one.n / 1000 for one in report.standings)
    assert expected < spent < most
    assert [one.errors for one in report.standings] == [0, 0]


def test_the_total_is_of_all_and_unknown_where_one_is(bench: MakeBench) -> None:
    here = bench(f'{PRICE}[models.big]\nkind = "openai"\nmodel = "b"\nbase_url = "SERVER"\n')
    known, unknown = here("prompt", "fewshot"), here("prompt", "prompt:big")
    assert total(list(known.values())).usd == sum(one.usd or 0 for one in known.values())
    both = total(list(unknown.values()))
    assert (both.approach, both.calls, both.usd, both.usd_at_most) == ("(total)", 12, None, None)


@pytest.mark.parametrize(("price", "most"), [("1.0", None), ("0.0", 0.0)])
def test_what_a_judge_costs_at_most_is_unknown_unless_it_is_free(
    bench: MakeBench, price: str, most: float | None
) -> None:
    judge = '[judge]\nmodel = "judge"\n[models.judge]\nkind = "openai"\nmodel = "j"\nbase_url = "SERVER"\n'
    prices = f'[prices."j"]\ninput_per_million = {price}\noutput_per_million = {price}\n'
    assert bench(judge + prices)("prompt")["(judge)"].usd_at_most == most


def test_an_unknown_price_is_unknown(bench: MakeBench) -> None:
    one = bench()("prompt")["prompt"]
    assert (one.usd, one.usd_at_most) == (None, None)
    assert one.input_tokens > 0


def test_a_price_of_nothing_is_nothing(bench: MakeBench) -> None:
    one = bench('[prices."m"]\ninput_per_million = 0.0\noutput_per_million = 0.0\n')("prompt")["prompt"]
    assert (one.usd, one.usd_at_most) == (0.0, 0.0)


def test_what_asks_no_model_costs_nothing_and_is_tried(bench: MakeBench) -> None:
    here = bench(index=True)
    one = here("quote-hybrid")["quote-hybrid"]
    assert (one.model, one.calls, one.cached, one.input_tokens, one.output_tokens) == (None, 6, 0, 0, 0)
    assert (one.usd, one.usd_at_most, one.timed) == (0.0, 0.0, True)
    assert one.seconds is not None
    assert one.seconds > 0


# -- names -------------------------------------------------------------------------------------------------------


def test_only_the_named_ones_in_the_order_of_the_names(bench: MakeBench) -> None:
    here = bench('[compare]\napproaches = ["fewshot"]\n')
    assert list(here("fewshot-fixed", "prompt")) == ["fewshot-fixed", "prompt"]
    assert list(here()) == ["fewshot"], "else those of the project file"


def test_several_models_are_told_apart(bench: MakeBench) -> None:
    other = f'[models.big]\nkind = "openai"\nmodel = "b"\nbase_url = "SERVER"\nmax_output_tokens = 7\n{PRICE}'
    here = bench(other)
    found = here("prompt:big", "prompt", "fewshot:big")
    assert {name: (one.model, one.usd is None) for name, one in found.items()} == {
        "prompt:big": ("b", True),
        "prompt": ("m", False),
        "fewshot:big": ("b", True),
    }
    here.project.compare(approaches=["prompt:big"])
    after = here("prompt:big", "prompt")
    assert (after["prompt:big"].cached, after["prompt"].cached) == (6, 0)


def test_what_cannot_run_cannot_be_estimated(bench: MakeBench) -> None:
    here = bench()
    with pytest.raises(MissingError, match="rag needs an index"):
        here("rag")
    with pytest.raises(UsageError, match="no approach 'promt'"):
        here("promt")
    with pytest.raises(UsageError, match="no split"):
        here("prompt", split="tests")


@pytest.mark.parametrize(("toml", "rows"), [('task = "write"\n', None), ("", examples(test=0))])
def test_it_says_what_compare_would_say(make_project: MakeProject, toml: str, rows: str | None) -> None:
    files = {"examples.jsonl": rows or examples()}
    model = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n' if rows else ""
    folder = make_project(files, toml=f'{toml}{model}[examples]\nfiles = ["examples.jsonl"]\n')
    with Project.open(folder) as project:
        errors = []
        for verb in (project.compare, project.estimate):
            try:
                verb()
                errors.append("nothing was raised")
            except (MissingError, UsageError) as error:
                errors.append(error.message)
    assert errors[0] == errors[1]


def test_a_score_that_does_not_exist_is_said_before_anything_is_asked(bench: MakeBench) -> None:
    here = bench()
    with pytest.raises(UsageError, match="corect"):
        here.project.compare(approaches=["prompt"], primary="corect")
    assert here.asked == 0


# -- which run is used again -------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}


def test_another_schema_is_another_run(make_project: MakeProject, tmp_path: Path) -> None:
    rows = [
        {"id": f"e{at}", "input": f"refund {at}: 30 days", "output": {"days": 30}, "split": "test"} for at in range(4)
    ]
    with ScriptedServer(Reply('{"days": 30}')) as server:
        toml = (
            'task = "extract"\nschema_file = "schema.json"\n[examples]\nfiles = ["e.jsonl"]\n'
            f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\n'
        )
        files = {"e.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows), "schema.json": json.dumps(SCHEMA)}
        with Project.open(make_project(files, toml=toml)) as project:
            assert project.compare().standings[0].metrics["valid"].mean == 1.0
            (project.root / "schema.json").write_text(json.dumps({**SCHEMA, "required": ["days", "town"]}))
            assert project.compare().standings[0].metrics["valid"].mean == 0.0


def test_report_is_about_the_run_that_compare_used_last(bench: MakeBench) -> None:
    project = bench().project
    first = project.compare(approaches=["prompt"]).run.name
    project.compare(approaches=["fewshot-fixed"])
    assert project.compare(approaches=["prompt"]).run.name == first
    assert project.report().run.name == first


def test_an_empty_split_is_called_by_its_name(bench: MakeBench) -> None:
    with pytest.raises(UsageError, match="no example is in the validation split"):
        bench().project.compare(split="validation")


def test_progress_of_a_run_that_goes_on_ends_at_its_total(bench: MakeBench) -> None:
    here = bench(rows=examples(test=6))
    here.project.compare(approaches=["prompt"])
    (results,) = here.project.workspace.runs.glob("*/results.jsonl")
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(b"".join(lines[:4]))
    steps: list[tuple[int, int]] = []
    here.project.compare(approaches=["prompt"], progress=lambda step: steps.append((step.done, step.total)))
    assert steps[-1] == (6, 6)
