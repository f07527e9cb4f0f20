"""Judges over real HTTP: verdicts, hand-computed metrics, and failures that never become a number."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from groundtune.common.answers import total_usage
from groundtune.errors import JudgeError, ProviderError, UsageError
from groundtune.measure.judges import METRICS, Judge, Judgement
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer, bag_of_words
from groundtune.types import Answer, Citation, Example, Generation, Hit, Passage, Prompt, Task, Usage, Vectors

QUESTION = "How long is the refund window?"
EXAMPLE = Example("q", QUESTION, "30 days")
ANSWER = Answer("You have a month.", "answered")
ABSTAINED = Answer("Not in your documents.", "abstained")
RIGHT = '{"reason": "A month is 30 days.", "right": true}'
WRONG = '{"reason": "60 is not 30.", "right": false}'


class Words:
    """Bag-of-words embedder with only the method a judge uses."""

    def __init__(self, error: ProviderError | None = None) -> None:
        self.error = error

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        if self.error:
            raise self.error
        vectors = np.stack([bag_of_words(text, 64) for text in texts])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_hits(answer: Answer, *texts: str) -> Answer:
    passages = [Passage(f"p{at}", "d", "a.md", at, 0, len(text), text) for at, text in enumerate(texts)]
    return Answer(answer.text, answer.status, answer.output, hits=tuple(Hit(passage, 1.0) for passage in passages))


async def judged(
    script: Script,
    answer: Answer = ANSWER,
    example: Example = EXAMPLE,
    *,
    metrics: Sequence[str] = ("judge",),
    embedder: Any = None,
    instructions: str | None = None,
    task: Task = "answer",
    retries: int = 0,
) -> tuple[Judgement, list[dict[str, Any]]]:
    """Return the judgement and the requests sent."""
    with ScriptedServer(script) as server:
        prices = TokenPrices(
            base_url=server.base_url, overrides={"m": {"input_per_million": 1, "output_per_million": 10}}
        )
        model = HostedGenerator(
            "m", base_url=server.base_url, retries=retries, backoff_seconds=0.001, timeout_seconds=5, prices=prices
        )
        try:
            judge = Judge(model, metrics=metrics, instructions=instructions, embedder=embedder, task=task)
            judgement = await judge.judge(QUESTION, answer, example)
        finally:
            await model.aclose()
            requests.extend(server.posts())
        return judgement, server.posts()


requests: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _no_requests_yet() -> None:
    requests.clear()


def material(body: dict[str, Any]) -> Any:
    return json.loads(body["messages"][1]["content"])


def by_shape(**replies: Any) -> Callable[[dict[str, Any]], Reply]:
    """Return a script that replies by the keys of the request's material."""

    def script(body: dict[str, Any]) -> Reply:
        request = material(body)
        for key, value in replies.items():
            if key in request:
                return Reply(json.dumps(value(request) if callable(value) else value))
        raise AssertionError(f"no reply for {sorted(request)}")

    return script


# -- judge ----------------------------------------------------------------------------------------------------------


async def test_a_correct_answer_with_reason_and_usage() -> None:
    judgement, sent = await judged(Reply(RIGHT, usage={"prompt_tokens": 100, "completion_tokens": 7}))
    assert (judgement.scores, judgement.reasons) == ({"judge": 1.0}, {"judge": "A month is 30 days."})
    assert judgement.used_model
    usage = judgement.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (100, 7, None)
    assert usage.usd == pytest.approx((100 + 70) / 1e6)
    assert usage.seconds is not None
    assert material(sent[0]) == {"question": QUESTION, "reference": "30 days", "answer": "You have a month."}


@pytest.mark.parametrize("text", [WRONG, f"```json\n{WRONG}\n```", f"My verdict:\n```\n{WRONG}\n```"])
async def test_a_wrong_answer_is_0_even_in_a_code_fence(text: str) -> None:
    judgement, sent = await judged(Reply(text))
    assert judgement.scores == {"judge": 0.0}
    assert len(sent) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"The passage says a month, which is 30 days.\n\n{RIGHT}",
        f"{RIGHT}\n\nI hope this helps.",
        f'{{"thought": "a month"}}\n{RIGHT}',
        RIGHT.replace("}", ",}"),
        f"```json\n{RIGHT}",
    ],
)
async def test_a_verdict_is_read_out_of_what_surrounds_it(text: str) -> None:
    judgement, sent = await judged(Reply(text))
    assert judgement.scores == {"judge": 1.0}
    assert len(sent) == 1


class CutOff:
    """A judge whose replies end at a limit."""

    name = "m"

    def __init__(self, text: str) -> None:
        self.text = text
        self.calls = 0

    async def generate(self, prompt: Prompt) -> Generation:
        self.calls += 1
        return Generation(self.text, cut="max_output_tokens")


async def test_a_verdict_that_was_cut_off_names_its_limit_and_is_not_asked_for_again() -> None:
    model = CutOff('{"reason": "it is the sa')
    with pytest.raises(JudgeError, match="cut off at max_output_tokens") as caught:
        await Judge(model, metrics=("judge",)).judge(QUESTION, ANSWER, EXAMPLE)
    assert "raise max_output_tokens" in caught.value.message
    assert model.calls == 1
    whole = await Judge(CutOff(f"{RIGHT} and so"), metrics=("judge",)).judge(QUESTION, ANSWER, EXAMPLE)
    assert whole.scores == {"judge": 1.0}


async def test_prose_without_json_takes_two_calls() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1}
    judgement, sent = await judged([Reply("The answer is right.", usage=usage), Reply(RIGHT, usage=usage)])
    assert judgement.scores == {"judge": 1.0}
    assert (judgement.usage.input_tokens, judgement.usage.output_tokens) == (20, 2)
    again = sent[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert again[2]["content"] == "The answer is right."
    assert "not JSON" in again[3]["content"]


async def test_usage_unknown_for_one_call_is_unknown_in_total() -> None:
    judgement, _ = await judged([Reply("Yes.", usage={}), Reply(RIGHT)])
    assert (judgement.usage.input_tokens, judgement.usage.output_tokens, judgement.usage.usd) == (None, None, None)
    assert judgement.usage.seconds is not None


@pytest.mark.parametrize(
    "text",
    [
        "Right.",
        "1",
        "null",
        '{"right": true}',
        '{"reason": "r", "right": "true"}',
        '{"reason": "r", "right": 1}',
        '{"reason": "r", "right": null}',
        '{"reason": "r", "right": true, "score": 0.9}',
        '{"reason": "r", "right": true, "right": false}',
        '[{"reason": "r", "right": true}]',
        '{"reason": "r", "right": tr',
        f"{RIGHT}\n{WRONG}",
    ],
)
async def test_two_unusable_replies_are_an_error_without_scores(text: str) -> None:
    with pytest.raises(JudgeError) as caught:
        await judged(Reply(text))
    error = caught.value
    assert len(requests) == 2
    assert (error.kind, error.failure, error.exit_code) == ("judge", None, 4)
    assert "the judge m gave no usable reply for judge" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("reply", "failure", "calls"),
    [
        (Reply("down", status=500), "server", 2),
        (Reply("slow down", status=429), "rate_limit", 2),
        (Reply("who are you?", status=401), "bad_key", 1),
        (Reply(RIGHT, broken_stream_after=40), None, None),  # half a body
        (Reply(raw_body="<html>busy</html>"), "bad_response", None),
        (Reply(raw_body='{"choices": []}'), "bad_response", None),
        (Reply(""), "bad_response", None),
    ],
)
async def test_a_failing_endpoint_is_an_error_without_scores(
    reply: Reply, failure: str | None, calls: int | None
) -> None:
    with pytest.raises(JudgeError) as caught:
        await judged(reply, retries=1)
    assert caught.value.failure is not None
    assert failure in (None, caught.value.failure)
    assert calls in (None, len(requests))
    assert isinstance(caught.value.__cause__, ProviderError)


async def test_a_failure_at_the_second_reply_is_an_error() -> None:
    with pytest.raises(JudgeError) as caught:
        await judged([Reply("Yes."), Reply("down", status=500)])
    assert caught.value.failure == "server"


@pytest.mark.parametrize(
    ("answer", "gold", "score"), [(ABSTAINED, None, 1.0), (ANSWER, None, 0.0), (ABSTAINED, "30 days", 0.0)]
)
async def test_abstentions_need_no_model(answer: Answer, gold: str | None, score: float) -> None:
    judgement, sent = await judged(Reply("x", status=500), answer, Example("q", QUESTION, gold))
    assert judgement.scores == {"judge": score}
    assert judgement.reasons["judge"]
    assert judgement.usage == Usage(0, 0, 0, 0, 0, 0, 0)
    assert (judgement.used_model, sent) == (False, [])


async def test_the_judge_sees_labels_and_objects_but_no_markers() -> None:
    cited = Answer("A month [1].", "answered", citations=(Citation(1, "A month [1].", "exact"),))
    _, sent = await judged(Reply(RIGHT), cited)
    assert material(sent[0])["answer"] == "A month  ."
    _, sent = await judged(Reply(RIGHT), Answer("", "answered", output={"days": 30}), Example("q", "?", {"days": 30}))
    assert material(sent[0]) == {"question": QUESTION, "reference": {"days": 30}, "answer": '{"days": 30}'}


async def test_instructions_reach_the_judge() -> None:
    _, sent = await judged(Reply(RIGHT), instructions="Weeks are fine.")
    assert "Weeks are fine." in sent[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("reply", "instructions", "score"),
    [
        ({"facts": True, "form": True}, None, 1.0),
        ({"facts": True, "form": False}, None, 0.5),
        ({"facts": False, "form": True, "instructions": True}, "Be kind.", 2 / 3),
        ({"facts": False, "form": False, "instructions": False}, "Be kind.", 0.0),
    ],
)
async def test_a_written_text_gets_the_share_of_its_criteria(
    reply: dict[str, bool], instructions: str | None, score: float
) -> None:
    script = Reply(json.dumps({"reason": "So it is.", **reply}))
    judgement, sent = await judged(script, task="write", instructions=instructions)
    assert judgement.scores["judge"] == pytest.approx(score)
    assert all((name in judgement.reasons["judge"]) == (not is_met) for name, is_met in reply.items())
    assert material(sent[0])["request"] == QUESTION


# -- the metrics of RAGAS -------------------------------------------------------------------------------------------

CLAIMS = {"claims": ["The window is a month.", "Refunds are free.", " "]}


def verdicts(key: str, *values: bool) -> dict[str, Any]:
    return {str(number): {"reason": "r", key: value} for number, value in enumerate(values, start=1)}


async def test_faithfulness_is_the_share_of_claims_that_the_passages_support() -> None:
    script = by_shape(claims=verdicts("supported", True, False), answer=CLAIMS)
    judgement, sent = await judged(script, with_hits(ANSWER, "a month", "other"), metrics=("faithfulness",))
    assert judgement.scores == {"faithfulness": 0.5}
    assert (
        judgement.reasons["faithfulness"]
        == '1 of 2 claims are supported by the passages; unsupported: "Refunds are free.".'
    )
    assert [set(material(body)) for body in sent] == [{"question", "answer"}, {"claims", "passages"}]
    assert material(sent[0])["answer"] == "You have a month."
    assert material(sent[1])["passages"] == ["a month", "other"]


async def test_context_recall_takes_the_claims_of_the_gold_answer_also_when_abstained() -> None:
    script = by_shape(claims=verdicts("supported", True, True), answer=CLAIMS)
    example = Example("q", QUESTION, ["30 days", "a month"])
    judgement, sent = await judged(script, with_hits(ABSTAINED, "a month"), example, metrics=("context_recall",))
    assert judgement.scores == {"context_recall": 1.0}
    assert material(sent[0])["answer"] == "30 days"


@pytest.mark.parametrize(
    ("useful", "score"),
    [
        ((True, False, True), (1 / 1 + 2 / 3) / 2),
        ((False, True, False), 1 / 2),
        ((True, True, True), 1.0),
        ((False, False, False), 0.0),
    ],
)
async def test_context_precision_is_the_mean_precision_at_the_useful_ranks(
    useful: tuple[bool, ...], score: float
) -> None:
    judgement, _ = await judged(
        by_shape(passages=verdicts("useful", *useful)),
        with_hits(ABSTAINED, "one", "two", "three"),
        metrics=("context_precision",),
    )
    assert judgement.scores["context_precision"] == pytest.approx(score)


async def test_many_passages_are_judged_in_batches() -> None:
    def by_number(given: Any) -> Any:
        return verdicts("useful", *(text == "good" for text in given["passages"].values()))

    texts = ["bad"] * 23
    texts[2] = texts[20] = "good"
    judgement, sent = await judged(
        by_shape(passages=by_number), with_hits(ANSWER, *texts), metrics=("context_precision",)
    )
    assert [len(material(body)["passages"]) for body in sent] == [10, 10, 3]
    assert judgement.scores["context_precision"] == pytest.approx((1 / 3 + 2 / 21) / 2)


async def test_answer_relevancy_is_the_mean_cosine_with_three_questions() -> None:
    questions = [QUESTION, "How long is the refund window?", "Who pays postage?"]
    reply = {"noncommittal": False, **{f"question_{at}": question for at, question in enumerate(questions, start=1)}}
    judgement, sent = await judged(Reply(json.dumps(reply)), metrics=("answer_relevancy",), embedder=Words())
    vectors = await Words().embed_queries([QUESTION, *questions])
    expected = float(np.mean([vectors[at] @ vectors[0] for at in (1, 2, 3)]))
    assert judgement.scores["answer_relevancy"] == pytest.approx(min(max(expected, 0), 1), abs=1e-6)
    assert 0 < judgement.scores["answer_relevancy"] < 1
    assert material(sent[0]) == {"answer": "You have a month."}  # the question is not given away


async def test_a_noncommittal_answer_has_relevancy_0() -> None:
    reply = {"noncommittal": True, "question_1": "", "question_2": "", "question_3": ""}
    judgement, _ = await judged(Reply(json.dumps(reply)), metrics=("answer_relevancy",), embedder=Words())
    assert judgement.scores == {"answer_relevancy": 0.0}


async def test_an_empty_question_or_a_failing_embedder_is_an_error() -> None:
    reply = {"noncommittal": False, "question_1": "Why?", "question_2": " ", "question_3": "How?"}
    with pytest.raises(JudgeError, match="an empty question"):
        await judged(Reply(json.dumps(reply)), metrics=("answer_relevancy",), embedder=Words())
    broken = Words(ProviderError("no vectors today", kind="timeout"))
    fine = json.dumps({**reply, "question_2": "When?"})
    with pytest.raises(JudgeError) as caught:
        await judged(Reply(fine), metrics=("answer_relevancy",), embedder=broken)
    assert caught.value.failure == "timeout"


@pytest.mark.parametrize(
    ("answer", "gold", "metrics", "absent"),
    [
        (ANSWER, "30 days", METRICS[1:], {"faithfulness", "context_precision", "context_recall"}),  # no hits
        (with_hits(ABSTAINED, "x"), "30 days", METRICS[1:], {"faithfulness", "answer_relevancy"}),
        (with_hits(ANSWER, "x"), None, METRICS[1:], {"context_precision", "context_recall"}),
        (ABSTAINED, None, METRICS[1:], set(METRICS[1:])),
    ],
)
async def test_metrics_that_do_not_apply_are_absent(
    answer: Answer, gold: str | None, metrics: tuple[str, ...], absent: set[str]
) -> None:
    reply = {"noncommittal": False, "question_1": "a", "question_2": "b", "question_3": "c"}

    def script(body: dict[str, Any]) -> Reply:
        given = material(body)
        if set(given) == {"answer"}:
            return Reply(json.dumps(reply))
        if "claims" in given:
            return Reply(json.dumps(verdicts("supported", True, True)))
        return Reply(json.dumps(verdicts("useful", True) if "passages" in given else CLAIMS))

    judgement, _ = await judged(script, answer, Example("q", QUESTION, gold), metrics=metrics, embedder=Words())
    assert set(metrics) - set(judgement.scores) == absent
    assert set(judgement.reasons) == set(judgement.scores)
    assert all(0 <= score <= 1 for score in judgement.scores.values())


async def test_an_answer_without_claims_has_no_faithfulness() -> None:
    judgement, sent = await judged(Reply('{"claims": []}'), with_hits(ANSWER, "x"), metrics=("faithfulness",))
    assert judgement.scores == {}
    assert len(sent) == 1


async def test_verdicts_must_cover_exactly_the_claims() -> None:
    for supported in ((True,), (True, True, True)):
        with pytest.raises(JudgeError):
            await judged(
                by_shape(claims=verdicts("supported", *supported), answer=CLAIMS),
                with_hits(ANSWER, "x"),
                metrics=("faithfulness",),
            )


async def test_usage_is_the_total_of_all_calls() -> None:
    def script(body: dict[str, Any]) -> Reply:
        value = verdicts("supported", True, True) if "claims" in material(body) else CLAIMS
        if "reference" in material(body):
            return Reply(RIGHT, usage={"prompt_tokens": 1, "completion_tokens": 1})
        return Reply(json.dumps(value), usage={"prompt_tokens": 10, "completion_tokens": 2})

    judgement, sent = await judged(script, with_hits(ANSWER, "x"), metrics=("judge", "faithfulness"))
    assert (len(sent), judgement.usage.input_tokens, judgement.usage.output_tokens) == (3, 21, 5)


def test_sums_of_usage() -> None:
    assert total_usage([]) == Usage(0, 0, 0, 0, 0, 0, 0)
    assert total_usage([Usage(1, None, 2, 0.5, 0.1), Usage(1, 3, 2, 0.5, None)]) == Usage(2, None, 4, 1.0, None)


def test_unusable_metrics_are_refused() -> None:
    model = HostedGenerator("m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="unknown metric niceness"):
        Judge(model, metrics=("judge", "niceness"))
    with pytest.raises(UsageError, match="needs an embedder"):
        Judge(model, metrics=("answer_relevancy",))
