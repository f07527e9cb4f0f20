"""Models of known quality, price, speed and faults for a `ScriptedServer`, so that a comparison can be held against it.

    good, cheap = ScriptedModel("good", gold, right=0.95), ScriptedModel("cheap", gold, right=0.7)
    with ScriptedServer(play(good, cheap)) as server: …

Every decision hangs on a hash of seed and input: a second run, and a second try, meet the same.
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

from groundtune.models.scripted import Reply
from groundtune.types import Task

Way = Literal["alone", "shots", "passages"]
"""What a prompt shows beside the question; with both, `passages`."""
Known = float | AbstractSet[str]
"""Share of the inputs that are answered right, or the inputs themselves."""
FaultKind = Literal["server_error", "stall", "half_body", "malformed"]
FAULTS: tuple[FaultKind, ...] = ("server_error", "stall", "half_body", "malformed")

_NOTHING = re.compile(r"reply with exactly (\S+?)\.(?:\s|$)")
_PASSAGE = re.compile(r"(?:\A|\n\n)\[(\d+)\] [^\n]*\n")
_ASKED = re.compile(r"(?:\A|\n\n)(?:Question|Input): ")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Faults:
    """What a model does besides answering."""

    server_error: float = 0.0
    """Share of the inputs that get a 500; the next three are shares too, of other inputs."""
    stall: float = 0.0
    """That get nothing at all, until the client has enough."""
    half_body: float = 0.0
    """Where the connection is cut in the middle of the answer; the answer is billed."""
    malformed: float = 0.0
    """That get JSON without an end; billed."""
    times: int | None = None
    """How often one request meets its fault before it is answered; None = each time."""
    at_once: int | None = None
    """Requests under way above which another one gets a 429."""
    per_second: int | None = None
    """Requests answered in the last second above which another one gets a 429."""
    retry_after_seconds: float = 0.05
    """What a 429 asks for."""
    refuses: tuple[str, ...] = ()
    """Parameters that a 400 refuses by name, as `response_format`."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and what became of it."""

    input: str
    way: Way
    status: int
    """Of the reply; 0 where there was none."""
    right: bool | None = None
    """None for what is no answer."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class Playable(Protocol):
    """What answers under one name."""

    @property
    def name(self) -> str: ...

    def reply(self, body: dict[str, Any]) -> Reply: ...


def play(*models: Playable) -> Callable[[dict[str, Any]], Reply]:
    """The script of a `ScriptedServer` with these models; other names get 404, embeddings are left alone."""
    by_name = {model.name: model for model in models}

    def script(body: dict[str, Any]) -> Reply:
        if "messages" not in body:
            return Reply()
        model = by_name.get(str(body.get("model")))
        return model.reply(body) if model else Reply("no such model", status=404, code="model_not_found")

    return script


@dataclass(slots=True, eq=False)
class ScriptedModel:
    """A model that is right as often as it is told, and plausibly wrong otherwise. Safe to use from many threads.

    Wrong is another number, label or text, one field changed, a label that is none, JSON without an end, or an
    abstention. Of task `answer` with passages it quotes the sentence that has the gold text, with its marker, and
    abstains where no passage has it: good retrieval shows. Without `response_format`, JSON comes in a code fence.
    """

    name: str
    gold: Mapping[str, Any]
    """Input to right output; None where the right answer is to abstain."""
    task: Task = "answer"
    right: Known = 1.0
    """Models with one seed are right on the same inputs, as far as their shares reach."""
    with_shots: Known | None = None
    """None: as `right`."""
    with_passages: Known | None = None
    seed: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest time to an answer, equally likely in between."""
    input_per_million: float = 1.0
    """US dollars."""
    cached_per_million: float = 1.0
    output_per_million: float = 1.0
    cached: float = 0.0
    """Share of the prompt's tokens that it reports as cached."""
    faults: Faults = Faults()
    exchanges: list[Exchange] = field(default_factory=list)
    """All requests so far, in order."""
    _pool: list[Any] = field(init=False)
    _struck: Counter[str] = field(init=False, default_factory=Counter)
    _ends: list[float] = field(init=False, default_factory=list)
    """When the answers under way will have been sent, soonest first."""
    _starts: list[float] = field(init=False, default_factory=list)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        golds = [_first(gold) for gold in self.gold.values() if gold is not None]
        self._pool = list({repr(gold): gold for gold in golds}.values())

    # -- the truth -----------------------------------------------------------------------------------------------

    def knows(self, text: str, way: Way = "alone") -> bool:
        """Whether this input is answered right."""
        known = {"alone": None, "shots": self.with_shots, "passages": self.with_passages}[way]
        known = self.right if known is None else known
        return text in known if isinstance(known, AbstractSet) else self._draw("right", text) < known

    def delay(self, text: str) -> float:
        """Seconds until this input is answered."""
        shortest, longest = self.seconds
        return shortest + (longest - shortest) * self._draw("delay", text)

    def fault(self, text: str) -> FaultKind | None:
        """What befalls this input."""
        draw = self._draw("fault", text)
        for kind in FAULTS:
            share: float = getattr(self.faults, kind)
            if draw < share:
                return kind
            draw -= share
        return None

    def usd(self, one: Exchange) -> float:
        """What one exchange costs."""
        fresh = (one.prompt_tokens - one.cached_tokens) * self.input_per_million
        cached, made = one.cached_tokens * self.cached_per_million, one.completion_tokens * self.output_per_million
        return (fresh + cached + made) / 1_000_000

    @property
    def billed_usd(self) -> float:
        """What its provider would bill for all exchanges so far."""
        return sum(map(self.usd, list(self.exchanges)))

    # -- the replies ---------------------------------------------------------------------------------------------

    def reply(self, body: dict[str, Any]) -> Reply:
        messages = body["messages"]
        content = str(messages[-1]["content"])
        passages = _passages(content)
        shots = any(message["role"] == "assistant" for message in messages)
        way: Way = "passages" if passages else "shots" if shots else "alone"
        for name in self.faults.refuses:
            if name in body:
                return Reply(f"this model does not support {name}", status=400, code="unsupported_parameter")
        text = self._asked(content)
        if text is None:
            return Reply(f"the script has no such input: {content[-200:]}", status=400)
        if not self._admitted(self.delay(text)):
            self.exchanges.append(Exchange(text, way, 429))
            return Reply("slow down", status=429, headers={"Retry-After": f"{self.faults.retry_after_seconds:g}"})
        fault = self._strike(text, messages)
        if fault in ("server_error", "stall"):
            self.exchanges.append(Exchange(text, way, 500 if fault == "server_error" else 0))
            return Reply("out of order", status=500) if fault == "server_error" else Reply(stall=True)
        right = self.knows(text, way)
        said = self._say(text, right, passages, _nothing(messages), held="response_format" in body)
        usage = usage_of(body, said, cached=self.cached)
        counts = (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"])
        self.exchanges.append(Exchange(text, way, 200, right if fault is None else None, *counts))
        if fault == "malformed":
            return Reply(raw_body='{"choices": [{"message": ')
        cut = 40 if fault == "half_body" else None
        return Reply(said, usage=usage, delay_seconds=self.delay(text), broken_stream_after=cut)

    def _say(self, text: str, right: bool, passages: Mapping[int, str], nothing: str, *, held: bool) -> str:
        gold, draw = self.gold[text], self._draw("wrong", text)
        said = _first(gold) if right else self._wrong(text, draw)
        if said is None:
            return nothing
        if self.task == "extract":
            made = json.dumps(said, ensure_ascii=False)
            if held:
                return made
            return made[:-2] if not right and draw < 0.2 else f"```json\n{made}\n```"
        if self.task != "answer" or not passages:
            return str(said)
        wanted = str(said if gold is None else _first(gold))
        number, sentence = next(_with(wanted, passages), (0, ""))
        return f"{sentence.replace(wanted, str(said)).rstrip('.!? ')} [{number}]." if number else nothing

    def _wrong(self, text: str, draw: float) -> Any:
        """A wrong output; None is to abstain."""
        gold = self.gold[text]
        own = _first(gold)
        if self.task == "answer" and gold is not None and draw < 1 / 3:
            return None
        if self.task == "answer" and isinstance(own, str) and _NUMBER.search(own):
            return _NUMBER.sub(lambda found: str(int(found[0]) + 1 + int(8 * draw)), own)
        if self.task == "classify" and draw < 0.2:
            return "something else"
        if self.task == "extract" and isinstance(own, dict):
            key = sorted(own)[int(draw * len(own))]
            return {**own, key: _changed(own[key])}
        right = gold if isinstance(gold, list | tuple) else [gold]
        others = (self._pool[(int(draw * len(self._pool)) + step) % len(self._pool)] for step in range(len(self._pool)))
        return next((other for other in others if other not in right), "something else")

    def _asked(self, content: str) -> str | None:
        """The input that a message asks about, before or behind the passages."""
        for found in _ASKED.finditer(content):
            rest = content[found.end() :]
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

    def _draw(self, what: str, text: str) -> float:
        """A number from 0 to 1 that depends on seed, purpose and input alone."""
        digest = hashlib.blake2b(f"{self.seed}\0{what}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
        return int.from_bytes(digest.digest(), "big") / 2**64


@dataclass(slots=True, eq=False)
class ScriptedJudge:
    """A judge (metric `judge`) that says right where the answer has the reference in it."""

    name: str
    failing: AbstractSet[str] = frozenset()
    """Inputs for which it gives no reply that can be used."""
    exchanges: list[Exchange] = field(default_factory=list)

    def reply(self, body: dict[str, Any]) -> Reply:
        material = json.loads(next(one["content"] for one in body["messages"] if one["role"] == "user"))
        text = str(material.get("question") or material.get("request"))
        golds = material["reference"] if isinstance(material["reference"], list) else [material["reference"]]
        answer = str(material.get("answer") or material.get("text")).casefold()
        right = any(str(gold).casefold() in answer for gold in golds)
        shape = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
        verdict = {key: right if value["type"] == "boolean" else "Scripted." for key, value in shape.items()}
        said = "Hard to say." if text in self.failing else json.dumps(verdict)
        usage = usage_of(body, said)
        counts = (usage["prompt_tokens"], 0, usage["completion_tokens"])
        self.exchanges.append(Exchange(text, "alone", 200, None if text in self.failing else right, *counts))
        return Reply(said, usage=usage)


def count_tokens(text: str) -> int:
    """About as a byte-pair encoding counts English: words in pieces of six letters, punctuation one by one."""
    return len(re.findall(r"\w{1,6}|[^\w\s]", text))


def usage_of(body: Mapping[str, Any], said: str, *, cached: float = 0.0) -> dict[str, Any]:
    """The usage that a server reports. cached: share of the prompt's tokens."""
    given = sum(count_tokens(str(message["content"])) + 4 for message in body["messages"])
    made = count_tokens(said)
    details = {"cached_tokens": int(given * cached)}
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": details,
    }


def _passages(content: str) -> dict[int, str]:
    """Number to text of the passages that a message shows."""
    parts = _PASSAGE.split(content)
    texts = (_ASKED.split(text, maxsplit=1)[0] for text in parts[2::2])
    return {int(number): text for number, text in zip(parts[1::2], texts, strict=True)}


def _with(wanted: str, passages: Mapping[int, str]) -> Iterator[tuple[int, str]]:
    """Number and text of every sentence that has the words."""
    for number, text in passages.items():
        if wanted in text:
            yield from ((number, sentence.strip()) for sentence in _SENTENCE.split(text) if wanted in sentence)


def _nothing(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the rules say to reply when there is no answer."""
    found = _NOTHING.search(str(messages[0]["content"]))
    return found[1] if found else "I cannot say."


def _first(gold: Any) -> Any:
    return gold[0] if isinstance(gold, list | tuple) else gold


def _changed(value: Any) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value} (copy)"
        case _:
            return None
