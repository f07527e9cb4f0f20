"""Run the scripted model server of the benchmarks in a process of its own: 200 ms, then 150 tokens.

The tokens are sentences of the first passage of the prompt, each with its marker, so that their citations hold. What
was replied to a question is served under /v1/replies, to compare it with what arrived. The name of a model that a
request asks for may be that of a fault.
"""

import argparse
import json
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from groundtune.testing.scripted_server import Received, Reply, ScriptedServer

SECONDS = 0.2
TOKENS = 150
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "status-429": {"status": 429, "text": "slow down", "headers": {"Retry-After": "30"}},
    "status-500": {"status": 500, "text": "out of memory"},
    "stall": {"stall": True},
    "half": {"broken_stream_after": 60},
    "half-and-stall": {"broken_stream_after": 60, "stall": True},
    "no-json": {"raw_body": "<html>gateway</html>"},
}
"""Faults by model: what differs from a good reply."""
_FIRST_PASSAGE = re.compile(r"^\[1\] [^\n]*\n(.*?)(?=^\[2\] |^Question: )", re.MULTILINE | re.DOTALL)
_QUESTION = re.compile(r"Question: (.*)\Z", re.DOTALL)


class Model:
    """Replies to prompts, and remembers what it replied."""

    def __init__(self, *, piece_seconds: float) -> None:
        self.piece_seconds = piece_seconds
        self.replies: dict[str, str] = {}

    def reply(self, body: dict[str, object]) -> Reply:
        prompt = str(body["messages"][-1]["content"])  # type: ignore[index]
        text = quoted(prompt)
        question = _QUESTION.search(prompt)
        self.replies[question[1] if question else prompt] = text
        reply = Reply(text, delay_seconds=SECONDS, piece_seconds=self.piece_seconds)
        return replace(reply, **FAULTS.get(str(body.get("model")), {}))

    def extra(self, request: Received) -> Reply | None:
        if request.path != "/v1/replies":
            return None
        replies, self.replies = self.replies, {}
        return Reply(raw_body=json.dumps(replies))


def quoted(prompt: str) -> str:
    """Return 150 tokens (words, markers included) from the first passage of a prompt, in whole sentences."""
    passage = _FIRST_PASSAGE.search(prompt)
    sentences = re.findall(r"[^.]+\.", " ".join((passage[1] if passage else "It is not known.").split()))
    words: list[str] = []
    while len(words) < TOKENS:
        for sentence in sentences:
            words += [*sentence.rstrip(".").split(), "[1]."]
    return " ".join(words[:TOKENS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--piece-seconds", type=float, default=0.0, help="pause before each token of a stream")
    options = parser.parse_args()
    model = Model(piece_seconds=options.piece_seconds)
    with ScriptedServer(model.reply, extra=model.extra) as server:
        print(json.dumps({"url": server.base_url}))
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
