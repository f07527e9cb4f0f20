"""Estimates of calls, tokens, cost and time, made before any model is called."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from groundtune import Project
from groundtune.errors import MissingError, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.token_counts import likely_tokens
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.workflows.comparing import CompareProgress
from groundtune.workflows.estimating import REPLY_TOKENS, SAMPLE, Estimate, total_estimate
from tests.conftest import MakeProject

pytestmark = pytest.mark.slow

DOCUMENTS = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery.\n",
    "docs/hr/pay.md": "# Pay\n\nThe salary of the director is 9,000 euros a month.\n",
}
ACCESS = '[[documents.access]]\ninclude = ["docs/hr/**"]\ngroups = ["hr"]\n'
PRICE = '[prices."m"]\ninput_per_million = 2.0\noutput_per_million = 10.0\n'
WRITING = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")


def examples(
    test: int = 6, train: int = 12, *, question: str = "How many days does it take?", gold: str = "30 days"
) -> str:
    rows = [
        {
            "id": f"e{number}",
            "input": f"{number}: {question}",
            "output": gold,
            "split": "test" if number < test else "train",
        }
        for number in range(test + train)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


class Bench:
    """A project and the server of its model."""

    def __init__(self, project: Project, server: ScriptedServer) -> None:
        self.project = project
        self.server = server

    def __call__(self, *approaches: str, split: str = "test") -> dict[str, Estimate]:
        estimates = self.project.estimate(approaches=approaches, split=split)
        return {estimate.approach: estimate for estimate in estimates}

    @property
    def asked(self) -> int:
        return len(self.server.posts())


MakeBench = Callable[..., Bench]


class CutShortError(Exception):
    """Interrupt a run in the middle."""


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
    estimates = here()
    assert set(estimates) == {*WRITING, "quote-bm25", "quote-dense", "quote-hybrid", "quote-corpus"}
    assert here.server.requests == []
    assert not here.project.workspace.runs.exists()


def test_no_hosted_embedder_is_asked_either(bench: MakeBench) -> None:
    here = bench('[embedder]\nkind = "openai"\nmodel = "e"\nbase_url = "SERVER"\ndimension = 64\n')
    here("fewshot")
    assert here.asked == 0


def test_its_files_are_ignored_by_git(bench: MakeBench) -> None:
    here = bench()
    here()
    assert (here.project.workspace.folder / ".gitignore").is_file()


# -- calls and tokens --------------------------------------------------------------------------------------------


def test_each_example_is_a_call(bench: MakeBench) -> None:
    here = bench(rows=examples(test=3 * SAMPLE))
    for estimate in here("prompt", "fewshot").values():
        assert (estimate.calls, estimate.cached, estimate.model) == (3 * SAMPLE, 0, "m")
    assert here("prompt", split="train")["prompt"].calls == 12


def test_tokens_cover_the_whole_prompt(bench: MakeBench) -> None:
    estimates = bench(model="window = 100000", index=True)(*WRITING)
    input_tokens = {name: estimate.input_tokens for name, estimate in estimates.items()}
    assert input_tokens["prompt"] < input_tokens["fewshot-fixed"]
    assert input_tokens["prompt"] < input_tokens["rag"]
    assert input_tokens["prompt"] < input_tokens["context"]
    expected = 6 * (likely_tokens("30 days") + REPLY_TOKENS)
    assert {estimate.output_tokens for estimate in estimates.values()} == {expected}


@pytest.mark.parametrize(
    ("question", "gold"),
    [
        ("退款需要多少天才能到账？" * 40, "送达后三十天内退款。"),
        ("返金は何日後に行われますか。" * 40, "配達から三十日以内です。"),
        ("การคืนเงินใช้เวลากี่วัน" * 40, "ภายในสามสิบวันหลังจัดส่ง"),
    ],
)
def test_scripts_without_spaces_have_a_token_a_character(bench: MakeBench, question: str, gold: str) -> None:
    estimate = bench(rows=examples(question=question, gold=gold))("prompt")["prompt"]
    assert estimate.input_tokens >= 6 * len(question)
    assert estimate.output_tokens >= 6 * len(gold)


def seen_by_half(bench: MakeBench) -> Bench:
    """Four questions about a document that only two of them may read."""
    rows = [
        {"id": f"e{at}", "input": f"What is the salary, number {at}?", "output": "9,000", "split": "test", **more}
        for at, more in enumerate([{"groups": ["hr"]}, {"groups": ["hr"]}, {}, {}])
    ]
    toml = f'[documents]\ninclude = ["docs/hr/**"]\n{ACCESS}{PRICE}'
    return bench(toml, rows="".join(f"{json.dumps(row)}\n" for row in rows), index=True)


def test_no_call_without_passages(bench: MakeBench) -> None:
    here = seen_by_half(bench)
    estimates = here("rag", "prompt")
    assert (estimates["rag"].calls, estimates["prompt"].calls) == (2, 4)
    here.project.compare(approaches=["rag"])
    assert here.asked == 2


def test_an_approach_that_makes_no_call_costs_nothing(bench: MakeBench) -> None:
    (summary,) = seen_by_half(bench).project.compare(approaches=["rag"]).approaches
    assert (summary.answered + summary.abstained, summary.errors) == (4, 0)
    assert summary.usd_per_1k is not None


def test_the_estimate_matches_the_calls_made(bench: MakeBench) -> None:
    here = bench(PRICE, model="max_output_tokens = 50")
    estimates = here("prompt", "fewshot")
    here.project.compare(approaches=["prompt", "fewshot"])
    assert here.asked == sum(estimate.calls for estimate in estimates.values())


def test_the_calls_of_a_judge_are_in_the_estimate(bench: MakeBench) -> None:
    def reply(body: dict[str, Any]) -> Reply:
        judged = "response_format" in body
        return Reply('{"reason": "as the gold", "right": true}' if judged else "30 days")

    judge = '[judge]\nmodel = "judge"\n[models.judge]\nkind = "openai"\nmodel = "j"\nbase_url = "SERVER"\n'
    here = bench(judge, reply=reply)
    calls = sum(estimate.calls for estimate in here("prompt").values())
    report = here.project.compare(approaches=["prompt"])
    assert report.approaches[0].metrics["judge"].n == 6, "each was judged"
    assert calls == here.asked


# -- the cache ---------------------------------------------------------------------------------------------------


def test_calls_that_the_cache_answers_cost_nothing(bench: MakeBench) -> None:
    here = bench(PRICE)
    before = here("prompt", "fewshot-fixed")
    here.project.compare(approaches=["prompt"])
    after = here("prompt", "fewshot-fixed")
    estimate = after["prompt"]
    assert (estimate.calls, estimate.cached, estimate.input_tokens, estimate.output_tokens) == (6, 6, 0, 0)
    assert (estimate.usd, estimate.usd_at_most, estimate.seconds) == (0.0, 0.0, 0.0)
    assert after["fewshot-fixed"] == before["fewshot-fixed"]


def test_seconds_are_measured_where_answers_are_cached(bench: MakeBench) -> None:
    here = bench(model="concurrency = 2", reply=Reply("30 days", delay_seconds=0.1))
    assumed = here("prompt")["prompt"]
    assert (assumed.timed, assumed.seconds) == (False, pytest.approx(6 * (0.5 + 7 / 50) / 2))
    here.project.compare(approaches=["prompt"])
    file = here.project.root / "examples.jsonl"
    file.write_text(examples(test=9))
    more = here("prompt")["prompt"]
    assert (more.calls, more.cached, more.timed) == (9, 6, True)
    assert more.seconds is not None
    assert 0.1 <= more.seconds * 2 / 3 < 0.3


def test_after_an_interrupted_run_the_rest_is_still_to_be_paid(bench: MakeBench) -> None:
    here = bench(PRICE, model="max_output_tokens = 20\nconcurrency = 1", rows=examples(test=60))

    def stop(now: CompareProgress) -> None:
        if now.done == SAMPLE + 5:
            raise CutShortError

    with pytest.raises(CutShortError):
        here.project.compare(approaches=["prompt"], progress=stop)
    estimate = here("prompt")["prompt"]
    assert estimate.calls - estimate.cached == pytest.approx(60 - here.asked, abs=10)
    assert estimate.usd


# -- money -------------------------------------------------------------------------------------------------------


def test_money_is_tokens_at_their_price(bench: MakeBench) -> None:
    estimate = bench(PRICE, model="max_output_tokens = 100")("prompt")["prompt"]
    output_tokens = likely_tokens("30 days") + REPLY_TOKENS
    input_tokens = estimate.input_tokens / 6
    assert estimate.usd == pytest.approx(6 * (2 * input_tokens + 10 * output_tokens) / 1e6, rel=0.03)
    assert estimate.usd_at_most is not None
    assert estimate.usd_at_most > 6 * (2 * input_tokens + 10 * 100) / 1e6


def test_the_maximum_cost_is_what_a_budget_has_to_cover(bench: MakeBench) -> None:
    """More examples than are rendered, and a model whose tokens are single letters."""

    def reply(body: dict[str, Any]) -> Reply:
        given = sum(len(message["content"]) for message in body["messages"])
        return Reply("30 days", usage={"prompt_tokens": given, "completion_tokens": 50})

    here = bench(PRICE, model="max_output_tokens = 50", rows=examples(test=SAMPLE + 10), reply=reply)
    estimates = list(here("prompt", "fewshot").values())
    most, expected = total_estimate(estimates).usd_at_most, total_estimate(estimates).usd
    assert most is not None
    assert expected is not None
    report = here.project.compare(approaches=["prompt", "fewshot"], budget_usd=most)
    spent = sum((summary.usd_per_1k or 0) * summary.n / 1000 for summary in report.approaches)
    assert expected < spent < most
    assert [summary.errors for summary in report.approaches] == [0, 0]


def test_the_total_is_unknown_if_any_estimate_is(bench: MakeBench) -> None:
    here = bench(f'{PRICE}[models.big]\nkind = "openai"\nmodel = "b"\nbase_url = "SERVER"\n')
    known, unknown = here("prompt", "fewshot"), here("prompt", "prompt:big")
    assert total_estimate(list(known.values())).usd == sum(estimate.usd or 0 for estimate in known.values())
    both = total_estimate(list(unknown.values()))
    assert (both.approach, both.calls, both.usd, both.usd_at_most) == ("(total)", 12, None, None)


@pytest.mark.parametrize(("price", "most"), [("1.0", None), ("0.0", 0.0)])
def test_the_maximum_cost_of_a_judge_is_unknown_unless_it_is_free(
    bench: MakeBench, price: str, most: float | None
) -> None:
    judge = '[judge]\nmodel = "judge"\n[models.judge]\nkind = "openai"\nmodel = "j"\nbase_url = "SERVER"\n'
    prices = f'[prices."j"]\ninput_per_million = {price}\noutput_per_million = {price}\n'
    assert bench(judge + prices)("prompt")["(judge)"].usd_at_most == most


def test_an_unknown_price_is_unknown(bench: MakeBench) -> None:
    estimate = bench()("prompt")["prompt"]
    assert (estimate.usd, estimate.usd_at_most) == (None, None)
    assert estimate.input_tokens > 0


def test_a_price_of_zero_is_zero(bench: MakeBench) -> None:
    estimate = bench('[prices."m"]\ninput_per_million = 0.0\noutput_per_million = 0.0\n')("prompt")["prompt"]
    assert (estimate.usd, estimate.usd_at_most) == (0.0, 0.0)


def test_a_local_approach_costs_nothing_and_is_timed(bench: MakeBench) -> None:
    here = bench(index=True)
    estimate = here("quote-hybrid")["quote-hybrid"]
    assert (estimate.model, estimate.calls, estimate.cached) == (None, 6, 0)
    assert (estimate.input_tokens, estimate.output_tokens) == (0, 0)
    assert (estimate.usd, estimate.usd_at_most, estimate.timed) == (0.0, 0.0, True)
    assert estimate.seconds is not None
    assert estimate.seconds > 0


# -- names -------------------------------------------------------------------------------------------------------


def test_only_the_named_approaches_in_the_order_given(bench: MakeBench) -> None:
    here = bench('[compare]\napproaches = ["fewshot"]\n')
    assert list(here("fewshot-fixed", "prompt")) == ["fewshot-fixed", "prompt"]
    assert list(here()) == ["fewshot"], "else those of the project file"


def test_several_models_are_kept_apart(bench: MakeBench) -> None:
    other = f'[models.big]\nkind = "openai"\nmodel = "b"\nbase_url = "SERVER"\nmax_output_tokens = 7\n{PRICE}'
    here = bench(other)
    estimates = here("prompt:big", "prompt", "fewshot:big")
    assert {name: (estimate.model, estimate.usd is None) for name, estimate in estimates.items()} == {
        "prompt:big": ("b", True),
        "prompt": ("m", False),
        "fewshot:big": ("b", True),
    }
    here.project.compare(approaches=["prompt:big"])
    after = here("prompt:big", "prompt")
    assert (after["prompt:big"].cached, after["prompt"].cached) == (6, 0)


def test_an_approach_that_cannot_run_cannot_be_estimated(bench: MakeBench) -> None:
    here = bench()
    with pytest.raises(MissingError, match="rag needs an index"):
        here("rag")
    with pytest.raises(UsageError, match="no approach 'promt'"):
        here("promt")
    with pytest.raises(UsageError, match="unknown split"):
        here("prompt", split="tests")


@pytest.mark.parametrize(("toml", "rows"), [('task = "write"\n', None), ("", examples(test=0))])
def test_it_raises_the_errors_that_compare_would_raise(make_project: MakeProject, toml: str, rows: str | None) -> None:
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


def test_an_unknown_score_is_reported_before_any_call(bench: MakeBench) -> None:
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
            assert project.compare().approaches[0].metrics["valid"].mean == 1.0
            (project.root / "schema.json").write_text(json.dumps({**SCHEMA, "required": ["days", "town"]}))
            assert project.compare().approaches[0].metrics["valid"].mean == 0.0


def test_report_is_about_the_run_that_compare_used_last(bench: MakeBench) -> None:
    project = bench().project
    first = project.compare(approaches=["prompt"]).run.name
    project.compare(approaches=["fewshot-fixed"])
    assert project.compare(approaches=["prompt"]).run.name == first
    assert project.report().run.name == first


def test_an_empty_split_is_named(bench: MakeBench) -> None:
    with pytest.raises(UsageError, match="the validation split has no examples"):
        bench().project.compare(split="validation")


def test_progress_of_a_resumed_run_ends_at_its_total(bench: MakeBench) -> None:
    here = bench(rows=examples(test=6))
    here.project.compare(approaches=["prompt"])
    (results,) = here.project.workspace.runs.glob("*/results.jsonl")
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(b"".join(lines[:4]))
    steps: list[tuple[int, int]] = []
    here.project.compare(approaches=["prompt"], progress=lambda step: steps.append((step.done, step.total)))
    assert steps[-1] == (6, 6)
