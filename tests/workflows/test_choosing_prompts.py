"""The prompt of each approach: chosen on the validation split before a comparison, kept with what it was chosen on."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from groundtune import Project
from groundtune.approaches import prompts
from groundtune.config.fitted_values import FittedPrompt, read_fitted
from groundtune.errors import BudgetError, ConfigError, UsageError
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.workflows.fitted_sentences import prompt_sentences
from tests.conftest import MakeProject

pytestmark = pytest.mark.slow

OURS = "Be a librarian. If nobody knows, say {abstention}."
SHORT = prompts.SHORT_CLOSED.partition("\n")[0]
PRICE = '[prices."m"]\ninput_per_million = 2.0\noutput_per_million = 10.0\n'


def rows(validation: int = 12, test: int = 3) -> str:
    lines = [
        {"id": f"e{number}", "input": f"{number}: How many days?", "output": "30 days", "split": split}
        for number, split in enumerate(["validation"] * validation + ["test"] * test)
    ]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


WRONG = Reply("nobody counts them")


def right_if(*words: str, else_reply: Reply = WRONG) -> Callable[[Any], Reply]:
    """A model that is right where its rules hold one of these words."""

    def reply(body: Any) -> Reply:
        rules = body["messages"][0]["content"]
        return Reply("30 days") if any(word in rules for word in words) else else_reply

    return reply


class Bench:
    def __init__(self, project: Project, server: ScriptedServer) -> None:
        self.project = project
        self.server = server

    def __call__(self, *approaches: str, **options: Any) -> Any:
        return self.project.compare(approaches=approaches or None, **options)

    def rules(self) -> list[str]:
        """The first message of every request since the last call."""
        sent = [body["messages"][0]["content"] for body in self.server.posts()]
        self.server.requests.clear()
        return sent

    @property
    def chosen(self) -> dict[str, FittedPrompt]:
        return dict(read_fitted(self.project.workspace.fitted).prompts)


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(make_project: MakeProject) -> Iterator[MakeBench]:
    with ExitStack() as stack:

        def make(
            reply: Any, *, names: str = '["full", "short", "ours.txt"]', examples: str = "", toml: str = ""
        ) -> Bench:
            server = stack.enter_context(ScriptedServer(reply))
            text = (
                f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\nconcurrency = 4\n'
                f'[compare]\nprompts = {names}\n{toml}\n[examples]\nfiles = ["examples.jsonl"]\n'
            )
            folder = make_project({"ours.txt": OURS, "examples.jsonl": examples or rows()}, toml=text)
            return Bench(stack.enter_context(Project.open(folder)), server)

        yield make


def test_the_prompt_that_does_best_on_validation_is_the_default(bench: MakeBench) -> None:
    here = bench(right_if(SHORT))
    report = here("prompt", "prompt/full", "prompt/ours")
    means = {approach.name: approach.mean for approach in report.approaches}
    assert means == {"prompt": 1.0, "prompt/full": 0.0, "prompt/ours": 0.0}
    (choice,) = here.chosen.values()
    assert (choice.name, choice.n, choice.means) == ("short", 12, {"full": 0.0, "short": 1.0, "ours": 0.0})
    assert report.prompt_sentences == [
        "Prompt of prompt: short (correct on 12 validation examples: short 1.000, full 0.000, ours 0.000)."
    ]
    here.rules()
    assert here.project.ask("Another one?", approach="prompt").text == "30 days"
    assert here.rules()[0].startswith(SHORT)
    assert here.project.ask("Another one?", approach="prompt/ours").text == "nobody counts them"


def test_every_prompt_is_a_candidate_once(bench: MakeBench) -> None:
    report = bench(right_if("librarian"))()
    names = {approach.name for approach in report.approaches}
    assert names == {"prompt", "prompt/full", "prompt/short"}


def test_a_tie_goes_to_full(bench: MakeBench) -> None:
    here = bench(Reply("30 days"), names='["short", "full"]')
    here("prompt")
    assert here.chosen["prompt"].name == "full"


def test_without_full_the_first_is_the_default_and_wins_a_tie(bench: MakeBench) -> None:
    here = bench(Reply("30 days"), names='["ours.txt", "short"]')
    here.project.ask("Why?", approach="prompt")
    assert here.rules()[0].startswith("Be a librarian.")
    here("prompt")
    assert here.chosen["prompt"].name == "ours"


def test_a_choice_is_kept_until_its_basis_changes(bench: MakeBench) -> None:
    here = bench(right_if(SHORT))
    here("prompt")
    assert len(here.rules()) == 3 * 12 + 3
    here("prompt")
    assert here.rules() == []
    before = here.chosen["prompt"]
    (here.project.workspace.root / "ours.txt").write_text(f"{OURS} Hush.")
    here("prompt")
    assert here.chosen["prompt"].basis != before.basis
    assert len(here.rules()) == 12  # only the changed wording is asked again; the rest is cached


def test_a_choice_for_another_model_does_not_apply(bench: MakeBench) -> None:
    here = bench(right_if(SHORT))
    here("prompt")
    here.rules()
    file = here.project.workspace.root / "groundtune.toml"
    file.write_text(file.read_text().replace('model = "m"', 'model = "other"'))
    with Project.open(file.parent) as project:
        project.ask("Another one?", approach="prompt")
    assert not here.rules()[0].startswith(SHORT)


@pytest.mark.parametrize(
    ("toml", "examples", "reason"),
    [
        ("", rows(validation=4), "10 validation examples are needed; there are 4"),
        ("", rows(validation=0), "10 validation examples are needed; there are none"),
        ("prompt_questions = 0", rows(), "prompt_questions = 0, but 10 are needed"),
    ],
)
def test_without_enough_examples_the_report_says_why(bench: MakeBench, toml: str, examples: str, reason: str) -> None:
    here = bench(right_if(SHORT), toml=toml, examples=examples)
    report = here("prompt")
    assert report.prompt_sentences == [f"Prompt of prompt: full (not chosen by examples: {reason})."]
    assert here.chosen == {}


def test_the_split_that_is_compared_on_chooses_nothing(bench: MakeBench) -> None:
    here = bench(right_if(SHORT))
    (sentence,) = here("prompt", split="validation").prompt_sentences
    assert "the validation split is compared on" in sentence
    assert here.chosen == {}


def test_failures_say_nothing_about_a_prompt(bench: MakeBench) -> None:
    here = bench(right_if("librarian", else_reply=Reply("no such key", status=401)))
    (sentence,) = here("prompt").prompt_sentences
    assert "24 of 36 answers failed, the first: " in sentence
    assert here.chosen == {}


def test_one_prompt_is_no_choice(bench: MakeBench) -> None:
    here = bench(right_if(SHORT), names='["short"]')
    report = here()
    assert [approach.name for approach in report.approaches] == ["prompt"]
    assert report.prompt_sentences == []
    assert len(here.rules()) == 3


def test_the_estimate_counts_the_choice(bench: MakeBench) -> None:
    here = bench(right_if(SHORT), toml=f"prompt_questions = 10\n{PRICE}")
    calls = {estimate.approach: estimate.calls for estimate in here.project.estimate(approaches=["prompt"])}
    assert calls == {f"prompt (prompt {name})": 10 for name in ("full", "short", "ours")} | {"prompt": 3}
    assert here.server.requests == []
    here("prompt")
    assert len(here.rules()) == 33


def test_the_budget_covers_the_choice(bench: MakeBench) -> None:
    here = bench(right_if(SHORT), toml=PRICE)
    with pytest.raises(BudgetError):
        here("prompt", budget_usd=0.00001)
    assert here.chosen == {}


def test_unknown_prompts_are_refused(bench: MakeBench) -> None:
    here = bench(right_if(SHORT))
    with pytest.raises(UsageError, match=r"no approach \'prompt/shrt\'.*") as error:
        here.project.ask("Why?", approach="prompt/shrt")
    assert 'did you mean "prompt/short"?' in (error.value.hint or "")
    (here.project.workspace.root / "ours.txt").write_text("Say {passages}.")
    with pytest.raises(ConfigError, match=r"ours\.txt:1: unknown placeholder \{passages\}"):
        here.project.ask("Why?", approach="prompt")


def test_sentences_are_one_per_choice_and_one_per_reason() -> None:
    none = {"prompt": "full", "n": None, "score": None, "means": {}, "reason": "there are none"}
    chosen = {"prompt": "short", "n": 20, "score": "chrf", "means": {"full": 41.26, "short": 50.0}, "reason": ""}
    assert prompt_sentences({"prompt": none, "rag": none, "fewshot": chosen}) == [
        "Prompt of fewshot: short (chrf on 20 validation examples: short 50.000, full 41.260).",
        "Prompt of prompt and rag: full (not chosen by examples: there are none).",
    ]
