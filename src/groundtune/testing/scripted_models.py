"""Serve models with known accuracy, price, latency and faults, so that the result of a comparison can be checked.

    gold = {"What is 6 x 7?": "42", "Who founded it?": None}  # input to gold output; None: abstain
    good, cheap = ScriptedModel("good", gold, right=0.95), ScriptedModel("cheap", gold, right=0.7)
    with ScriptedServer(script_of(good, cheap)) as server:
        ...  # call the models "good" and "cheap" at server.base_url
    print(good.billed_usd, good.exchanges)

Every decision depends on a hash of seed and input alone, so reruns and retries behave the same.
"""

import hashlib
import heapq
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from groundtune.testing.scripted_server import Reply
from groundtune.types import Task

PromptContext = Literal["alone", "shots", "passages"]
"""Context that a prompt adds to the question; `passages` if it has both shots and passages."""
Accuracy = float | AbstractSet[str]
"""Share of the inputs that are answered correctly, or the set of these inputs."""
FaultKind = Literal["server_error", "stall", "half_body", "malformed"]
FAULTS: tuple[FaultKind, ...] = ("server_error", "stall", "half_body", "malformed")

_NOTHING = re.compile(r"reply with exactly (\S+?)\.(?:\s|$)")
_PASSAGE = re.compile(r"(?:\A|\n\n)\[(\d+)\] <passage>\n[^\n]*\n(.*?)\n</passage>(?=\n\n|\Z)", re.DOTALL)
_INPUT = re.compile(r"(?:\A|\n\n)(?:Question|Input): ")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of a scripted model. Each share picks its own inputs, so the shares should not exceed 1 in total."""

    server_error: float = 0.0
    """Share of the inputs that get a 500."""
    stall: float = 0.0
    """Share of the inputs that get no reply until the client gives up."""
    half_body: float = 0.0
    """Share of the inputs whose reply breaks off in the middle; it is billed."""
    malformed: float = 0.0
    """Share of the inputs whose reply is incomplete JSON; it is billed."""
    times: int | None = None
    """Number of times a request meets its fault before it is answered; None: every time."""
    at_once: int | None = None
    """Maximum concurrent requests; further ones get a 429."""
    per_second: int | None = None
    """Maximum requests admitted within one second; further ones get a 429."""
    retry_after_seconds: float = 0.05
    """Retry-After of a 429."""
    refuses: tuple[str, ...] = ()
    """Parameters that get a 400 naming them, such as `response_format`."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its outcome."""

    input: str
    context: PromptContext
    status: int
    """HTTP status of the reply; 0 when there was none."""
    right: bool | None = None
    """Whether the answer is correct; None when there is no answer."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class ModelScript(Protocol):
    """A model that answers requests for its name."""

    @property
    def name(self) -> str: ...

    def reply(self, body: dict[str, Any]) -> Reply:
        """Return the reply to the body of a chat completion request."""
        ...


def script_of(*models: ModelScript) -> Callable[[dict[str, Any]], Reply]:
    """Return a `ScriptedServer` script with these models. Other names get 404; embeddings work as usual."""
    by_name = {model.name: model for model in models}

    def script(body: dict[str, Any]) -> Reply:
        if "messages" not in body:
            return Reply()
        model = by_name.get(str(body.get("model")))
        return model.reply(body) if model else Reply("no such model", status=404, code="model_not_found")

    return script


@dataclass(slots=True, eq=False)
class ScriptedModel:
    """A model that is correct as often as configured, and plausibly wrong otherwise. Safe to use from many threads.

    A wrong answer has another number, label or text, one changed field, an unknown label, incomplete JSON, or is an
    abstention. For task `answer` with passages, the model quotes the sentence that contains the gold text, with its
    marker, and abstains if no passage contains it, so the quality of retrieval matters. Without `response_format`, JSON
    comes in a code fence.
    """

    name: str
    gold: Mapping[str, Any]
    """Input to gold output; None where the gold answer is to abstain."""
    task: Task = "answer"
    right: Accuracy = 1.0
    """Accuracy. Models with the same seed are correct on the same inputs, as far as their shares allow."""
    with_shots: Accuracy | None = None
    """Accuracy when the prompt has shots; None: same as `right`."""
    with_passages: Accuracy | None = None
    """Accuracy when the prompt has passages; None: same as `right`."""
    seed: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    """Minimum and maximum time to an answer; uniform in between."""
    input_per_million: float = 1.0
    """US dollars, as the next two."""
    cached_per_million: float = 1.0
    output_per_million: float = 1.0
    cached: float = 0.0
    """Share of the prompt's tokens reported as cached."""
    faults: Faults = Faults()
    exchanges: list[Exchange] = field(default_factory=list)
    """All requests so far, in order."""
    _pool: list[Any] = field(init=False)
    _struck: Counter[str] = field(init=False, default_factory=Counter)
    _ends: list[float] = field(init=False, default_factory=list)
    """End times of the answers in progress, as a heap."""
    _starts: list[float] = field(init=False, default_factory=list)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        golds = [_first(gold) for gold in self.gold.values() if gold is not None]
        self._pool = list({repr(gold): gold for gold in golds}.values())

    # -- ground truth --------------------------------------------------------------------------------------------

    def knows(self, text: str, context: PromptContext = "alone") -> bool:
        """Return whether this input is answered correctly."""
        accuracy = {"alone": None, "shots": self.with_shots, "passages": self.with_passages}[context]
        accuracy = self.right if accuracy is None else accuracy
        return text in accuracy if isinstance(accuracy, AbstractSet) else self._draw("right", text) < accuracy

    def delay(self, text: str) -> float:
        """Return the seconds until this input is answered."""
        shortest, longest = self.seconds
        return shortest + (longest - shortest) * self._draw("delay", text)

    def fault(self, text: str) -> FaultKind | None:
        """Return the fault that this input meets, or None."""
        draw = self._draw("fault", text)
        for kind in FAULTS:
            share: float = getattr(self.faults, kind)
            if draw < share:
                return kind
            draw -= share
        return None

    def usd(self, exchange: Exchange) -> float:
        """Return the cost of an exchange."""
        fresh = (exchange.prompt_tokens - exchange.cached_tokens) * self.input_per_million
        cached = exchange.cached_tokens * self.cached_per_million
        output = exchange.completion_tokens * self.output_per_million
        return (fresh + cached + output) / 1_000_000

    @property
    def billed_usd(self) -> float:
        """Cost of all exchanges so far, as a provider would bill it."""
        return sum(map(self.usd, list(self.exchanges)))

    # -- replies -------------------------------------------------------------------------------------------------

    def reply(self, body: dict[str, Any]) -> Reply:
        """Return the reply to the body of a chat completion request; an input without gold output gets a 400."""
        messages = body["messages"]
        content = str(messages[-1]["content"])
        passages = _passages(content)
        shots = any(message["role"] == "assistant" for message in messages)
        context: PromptContext = "passages" if passages else "shots" if shots else "alone"
        for name in self.faults.refuses:
            if name in body:
                return Reply(f"this model does not support {name}", status=400, code="unsupported_parameter")
        text = self._input_of(content)
        if text is None:
            return Reply(f"no gold output for this input: {content[-200:]}", status=400)
        if not self._admitted(self.delay(text)):
            self.exchanges.append(Exchange(text, context, 429))
            return Reply("slow down", status=429, headers={"Retry-After": f"{self.faults.retry_after_seconds:g}"})
        fault = self._strike(text, messages)
        if fault in ("server_error", "stall"):
            self.exchanges.append(Exchange(text, context, 500 if fault == "server_error" else 0))
            return Reply("out of order", status=500) if fault == "server_error" else Reply(stall=True)
        right = self.knows(text, context)
        answer = self._text(text, right, passages, _abstention(messages), json_mode="response_format" in body)
        usage = usage_of(body, answer, cached=self.cached)
        counts = (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"])
        self.exchanges.append(Exchange(text, context, 200, right if fault is None else None, *counts))
        if fault == "malformed":
            return Reply(raw_body='{"choices": [{"message": ')
        cut = 40 if fault == "half_body" else None
        return Reply(answer, usage=usage, delay_seconds=self.delay(text), broken_stream_after=cut)

    def _text(self, text: str, right: bool, passages: Mapping[int, str], abstention: str, *, json_mode: bool) -> str:
        gold, draw = self.gold[text], self._draw("wrong", text)
        output = _first(gold) if right else self._wrong(text, draw)
        if output is None:
            return abstention
        if self.task == "extract":
            encoded = json.dumps(output, ensure_ascii=False)
            if json_mode:
                return encoded
            return encoded[:-2] if not right and draw < 0.2 else f"```json\n{encoded}\n```"
        if self.task != "answer" or not passages:
            return str(output)
        gold_text = str(output if gold is None else _first(gold))
        number, sentence = next(_sentences_with(gold_text, passages), (0, ""))
        return f"{sentence.replace(gold_text, str(output)).rstrip('.!? ')} [{number}]." if number else abstention

    def _wrong(self, text: str, draw: float) -> Any:
        """Return a wrong output; None stands for an abstention."""
        gold = self.gold[text]
        first_gold = _first(gold)
        if self.task == "answer" and gold is not None and draw < 1 / 3:
            return None
        if self.task == "answer" and isinstance(first_gold, str) and _NUMBER.search(first_gold):
            return _NUMBER.sub(lambda match: str(int(match[0]) + 1 + int(8 * draw)), first_gold)
        if self.task == "classify" and draw < 0.2:
            return "something else"
        if self.task == "extract" and isinstance(first_gold, dict):
            key = sorted(first_gold)[int(draw * len(first_gold))]
            return {**first_gold, key: _changed(first_gold[key])}
        golds = gold if isinstance(gold, list | tuple) else [gold]
        others = (self._pool[(int(draw * len(self._pool)) + step) % len(self._pool)] for step in range(len(self._pool)))
        return next((other for other in others if other not in golds), "something else")

    def _input_of(self, content: str) -> str | None:
        """Return the input that a message asks about, before or after the passages."""
        for match in _INPUT.finditer(content):
            rest = content[match.end() :]
            for text in (rest, _PASSAGE.split(rest, maxsplit=1)[0]):
                if text in self.gold:
                    return text
        return None

    def _admitted(self, delay: float) -> bool:
        limits, now = self.faults, time.monotonic()
        with self._lock:
            while self._ends and self._ends[0] <= now:
                heapq.heappop(self._ends)
            self._starts = [start for start in self._starts if start > now - 1] if limits.per_second else []
            if limits.at_once is not None and len(self._ends) >= limits.at_once:
                return False
            if limits.per_second is not None and len(self._starts) >= limits.per_second:
                return False
            heapq.heappush(self._ends, now + delay)
            self._starts.append(now)
            return True

    def _strike(self, text: str, messages: Sequence[Mapping[str, Any]]) -> FaultKind | None:
        fault = self.fault(text)
        if fault is None or self.faults.times is None:
            return fault
        with self._lock:
            key = repr(messages)
            self._struck[key] += 1
            return fault if self._struck[key] <= self.faults.times else None

    def _draw(self, purpose: str, text: str) -> float:
        """Return a number from 0 to 1 that depends on seed, purpose and input alone."""
        digest = hashlib.blake2b(f"{self.seed}\0{purpose}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
        return int.from_bytes(digest.digest(), "big") / 2**64


@dataclass(slots=True, eq=False)
class ScriptedJudge:
    """A judge model (metric `judge`) that accepts an answer if it contains the reference, ignoring case."""

    name: str
    failing: AbstractSet[str] = frozenset()
    """Inputs for which the reply is not a verdict."""
    exchanges: list[Exchange] = field(default_factory=list)
    """All requests so far, in order."""

    def reply(self, body: dict[str, Any]) -> Reply:
        """Return the verdict on the answer in the request, in the shape of its `response_format`."""
        material = json.loads(next(message["content"] for message in body["messages"] if message["role"] == "user"))
        text = str(material.get("question") or material.get("request"))
        golds = material["reference"] if isinstance(material["reference"], list) else [material["reference"]]
        answer = str(material.get("answer") or material.get("text")).casefold()
        correct = any(str(gold).casefold() in answer for gold in golds)
        shape = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
        verdict = {key: correct if value["type"] == "boolean" else "Scripted." for key, value in shape.items()}
        verdict_text = "Hard to say." if text in self.failing else json.dumps(verdict)
        usage = usage_of(body, verdict_text)
        counts = (usage["prompt_tokens"], 0, usage["completion_tokens"])
        self.exchanges.append(Exchange(text, "alone", 200, None if text in self.failing else correct, *counts))
        return Reply(verdict_text, usage=usage)


def count_tokens(text: str) -> int:
    """Estimate the tokens of English text: one per six letters of a word, one per punctuation mark."""
    return len(re.findall(r"\w{1,6}|[^\w\s]", text))


def usage_of(body: Mapping[str, Any], answer: str, *, cached: float = 0.0) -> dict[str, Any]:
    """Return the usage that a server reports for an answer. cached: share of the prompt's tokens that is cached."""
    prompt_tokens = sum(count_tokens(str(message["content"])) + 4 for message in body["messages"])
    completion_tokens = count_tokens(answer)
    details = {"cached_tokens": int(prompt_tokens * cached)}
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": details,
    }


def _passages(content: str) -> dict[int, str]:
    """Return number and text of the passages in a message."""
    return {int(number): text for number, text in _PASSAGE.findall(content)}


def _sentences_with(words: str, passages: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Yield passage number and text of every sentence that contains the words."""
    for number, text in passages.items():
        if words in text:
            yield from ((number, sentence.strip()) for sentence in _SENTENCE.split(text) if words in sentence)


def _abstention(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the reply that the system message asks for when there is no answer."""
    match = _NOTHING.search(str(messages[0]["content"]))
    return match[1] if match else "I cannot say."


def _first(gold: Any) -> Any:
    return gold[0] if isinstance(gold, list | tuple) else gold


def _changed(value: Any) -> Any:
    """Return another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value} (copy)"
        case _:
            return None
