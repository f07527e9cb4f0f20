"""Send chat completions in an open loop: each when it is due, whatever has become of those before."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request."""

    question: str
    seconds: float
    """From when the request was due until the last byte was here."""
    status: int | None
    """None: the connection failed."""
    text: str = ""
    is_whole: bool = False
    """Whether the reply ended as it should: a JSON object, or a stream with [DONE]."""
    fields: dict[str, Any] = field(default_factory=dict)
    """The field `groundtune` of the answer."""
    error: str = ""
    """Message of the error that the reply tells."""

    @property
    def is_answered(self) -> bool:
        return self.status == 200 and self.is_whole


def open_client(*, seconds: float = TIMEOUT_SECONDS) -> httpx2.AsyncClient:
    """Return a client without a limit on connections. seconds: how long it waits for data."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx2.AsyncClient(timeout=seconds, limits=limits, trust_env=False)


def arrivals(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Return when requests are due, in seconds: a Poisson process."""
    draw = random.Random(seed)
    times, now = [], draw.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += draw.expovariate(rate)
    return times


async def send_all(
    client: httpx2.AsyncClient, url: str, due: Sequence[float], question: Callable[[int], str], *, stream: bool = False
) -> list[Outcome]:
    """Send the request with each number when it is due, and return the outcomes in order."""
    start = time.perf_counter() + 0.05

    async def send(number: int, at: float) -> Outcome:
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        return await ask(client, url, question(number), stream=stream, since=start + at)

    return await asyncio.gather(*(send(number, at) for number, at in enumerate(due)))


async def ask(
    client: httpx2.AsyncClient,
    url: str,
    question: str,
    *,
    stream: bool = False,
    model: str = "served",
    since: float | None = None,
) -> Outcome:
    """Ask one question. url: with /v1. since: when the request was due, by `time.perf_counter`."""
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": question}]}
    since = time.perf_counter() if since is None else since
    status: int | None = None
    try:
        async with client.stream("POST", f"{url}/chat/completions", json=body) as reply:
            status = reply.status_code
            data = (await reply.aread()).decode()
    except (httpx2.HTTPError, OSError) as error:
        return Outcome(question, time.perf_counter() - since, status, error=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - since
    try:
        read = _read_stream(data) if stream and status == 200 else _read_whole(data)
    except ValueError:
        return Outcome(question, seconds, status, error=data[:200])
    return Outcome(question, seconds, status, **read)


def _read_whole(data: str) -> dict[str, Any]:
    reply = json.loads(data)
    if "error" in reply:
        return {"error": reply["error"]["message"], "is_whole": True}
    text = reply["choices"][0]["message"]["content"]
    return {"text": text, "is_whole": True, "fields": reply.get("groundtune") or {}}


def _read_stream(data: str) -> dict[str, Any]:
    read: dict[str, Any] = {"text": ""}
    for line in data.splitlines():
        if line == "data: [DONE]":
            read["is_whole"] = True
        elif line.startswith("data: "):
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                return {**read, "error": chunk["error"]["message"]}
            read["text"] += "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            read["fields"] = chunk.get("groundtune") or {}
    return read
