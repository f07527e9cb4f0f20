"""Run a model server for tests: scripted replies in OpenAI's formats over real HTTP. Never leaves 127.0.0.1.

    with ScriptedServer([Reply("slow down", status=429), Reply("42")]) as server:
        ...  # point base_url at server.base_url: the first request gets a 429, all later ones get "42"
    assert server.posts()[0]["messages"] == [{"role": "user", "content": "What is 6 x 7?"}]

It serves /v1/chat/completions (streaming too, in awkward pieces if told so), /v1/embeddings and /v1/models.
`scripted_models` adds models with known accuracy, price and faults; `scripted_tuning` adds a fine-tuning API.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np

from groundtune.types import Vectors

CREATED = 1_760_000_000
"""`created` timestamp of every reply; constant, so that two runs give identical bytes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the server. If `status` is not 200, `text` is the message of an error in OpenAI's format."""

    text: str = "scripted answer"
    status: int = 200
    delay_seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, Any] | None = None
    """Usage to report as it is; None counts words as tokens; an empty mapping omits the usage."""
    broken_stream_after: int | None = None
    """Cut the connection after this many stream events, or bytes of a plain body; `stall` keeps it open."""
    pieces: Sequence[str] | None = None
    """Texts of the stream events; None: one word each. They need not end where words or markers do."""
    piece_seconds: float = 0.0
    """Pause before each stream event."""
    write_bytes: int | None = None
    """Send streams in writes of this many bytes, which may end within a character; None: one write an event."""
    no_stream: bool = False
    """Answer with the whole text even if the request asks for a stream, as some servers do."""
    raw_body: str | None = None
    """Body to send instead of the JSON."""
    stall: bool = False
    """Send nothing until the client or the server closes; with `broken_stream_after`, stop after that much."""
    finish_reason: str | None = "stop"
    code: str | None = None
    """`error.code` of an error reply."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the message beside its text, such as `reasoning_content`, or a `content` that is no text; a stream sends
    them first."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the completion beside its choices, such as `error`; a stream sends them in its last event."""
    events: Sequence[Mapping[str, Any]] | None = None
    """Events to send to requests for a stream instead."""
    logprobs: Sequence[Mapping[str, Any]] | None = None
    """`logprobs.content` of a completion, for requests with `logprobs`: token, logprob, top_logprobs. A stream sends
    them with its last event."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request that the server received; header names are in lower case."""

    method: str
    path: str
    """Path with its query string."""
    headers: Mapping[str, str]
    body: Any = None
    """Parsed JSON; the raw bytes for multipart forms."""


Script = Reply | Sequence[Reply] | Callable[[dict[str, Any]], Reply]
"""One reply for all requests, replies in order (the last one repeats), or a function of the request's body."""
Extra = Callable[[Received], Reply | None]
"""Handler that may answer any request, with a `raw_body` or an error; None passes the request on."""


class ScriptedServer:
    """An OpenAI-compatible server: `with ScriptedServer(reply=Reply("42")) as server: … server.base_url`.

    reply: one reply for all requests, a list in order (the last one repeats), or a function of the request's body. It
    applies to chat completions and embeddings; an embedding takes only status, headers, delay and breaks from it, and
    its vectors are those of `bag_of_words`.
    api_key: if set, requests with another key get 401. models: if set, other model names get 404; also the names listed
    under /v1/models. dimension: of the embeddings. extra: sees each request first and may answer it, such as
    `scripted_tuning.ScriptedTuning.answer`.

    `requests` records every request, `hang_ups` counts the streams that a client left before their end. Safe to use
    from many threads.
    """

    def __init__(
        self,
        reply: Script = Reply(),
        *,
        api_key: str | None = None,
        models: Sequence[str] | None = None,
        dimension: int = 64,
        extra: Extra = lambda _: None,
    ) -> None:
        self.requests: list[Received] = []
        self.hang_ups = 0
        self.api_key = api_key
        self.models = models
        self.dimension = dimension
        self.extra = extra
        self.stopped = threading.Event()
        self._script = (reply,) if isinstance(reply, Reply) else reply
        self._turn = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"script": self})
        self._http = _HttpServer(("127.0.0.1", 0), handler)
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._http.server_close()

    def posts(self) -> list[Any]:
        """Return the bodies of the POST requests, in order."""
        return [request.body for request in list(self.requests) if request.method == "POST"]

    def next_reply(self, body: dict[str, Any]) -> Reply:
        """Return the script's reply to a request, and advance a list of replies."""
        if callable(self._script):
            return self._script(body)
        with self._lock:
            reply = self._script[min(self._turn, len(self._script) - 1)]
            self._turn += 1
        return reply


def bag_of_words(text: str, dimension: int) -> Vectors:
    """Return a deterministic vector: each word adds 1 or -1 at an index from its hash. float32, (dimension,)."""
    vector = np.zeros(dimension, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.blake2s(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % dimension] += 1.0 if digest[4] % 2 else -1.0
    if not vector.any():  # opposite words cancelled out
        vector[0] = 1.0
    return vector


class _HttpServer(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up: tests do that on purpose."""


class _Handler(BaseHTTPRequestHandler):
    script: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        if not self._admitted(None):
            return
        if self.path != "/v1/models":
            return self._error(404, f"no such path: {self.path}")
        names = self.script.models or ["scripted"]
        rows = [{"id": name, "object": "model", "created": CREATED, "owned_by": "scripted"} for name in names]
        self._body({"object": "list", "data": rows}, Reply())

    def do_POST(self) -> None:
        body: Any = self._read()
        if not self._admitted(body):
            return
        if self.path not in ("/v1/chat/completions", "/v1/embeddings"):
            return self._error(404, f"no such path: {self.path}")
        model, models = body.get("model"), self.script.models
        if models is not None and model not in models:
            return self._error(404, f"The model `{model}` does not exist.", code="model_not_found")
        self._answer(body, self.script.next_reply(body))

    def _read(self) -> Any:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_multipart = self.headers.get("content-type", "").startswith("multipart/")
        return data if is_multipart else json.loads(data or b"null")

    def _admitted(self, body: Any) -> bool:
        """Record the request. Return whether it still has to be answered, or answer it here."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body)
        self.script.requests.append(request)
        api_key = self.script.api_key
        if api_key is not None and headers.get("authorization") != f"Bearer {api_key}":
            self._error(401, "Incorrect API key provided.", code="invalid_api_key")
            return False
        reply = self.script.extra(request)
        if reply is not None:
            self._answer({}, reply)
        return reply is None

    def _answer(self, body: dict[str, Any], reply: Reply) -> None:
        if reply.delay_seconds:
            self.script.stopped.wait(reply.delay_seconds)
        if reply.stall and reply.broken_stream_after is None:
            self.script.stopped.wait()
            self.close_connection = True
        elif reply.events is not None and body.get("stream"):
            self._stream(map(dict, reply.events), reply)
        elif reply.raw_body is not None:
            self._body(reply.raw_body, reply)
        elif reply.status != 200:
            self._error(reply.status, reply.text, code=reply.code, reply=reply)
        elif self.path == "/v1/embeddings":
            self._body(_embeddings(body, self.script.dimension), reply)
        elif body.get("stream") and not reply.no_stream:
            self._stream(_chunks(body, reply), reply)
        else:
            self._body(_completion(body, reply), reply)

    def _error(self, status: int, message: str, *, code: str | None = None, reply: Reply | None = None) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        self._body({"error": error}, reply or Reply(status=status))

    def _body(self, value: dict[str, Any] | str, reply: Reply) -> None:
        body = (value if isinstance(value, str) else json.dumps(value)).encode()
        self._head({"Content-Type": "application/json", "Content-Length": str(len(body))}, reply)
        self.wfile.write(body[: reply.broken_stream_after])
        self._cut(reply)

    def _stream(self, chunks: Iterable[dict[str, Any]], reply: Reply) -> None:
        self._head({"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}, reply)
        events = [json.dumps(chunk, ensure_ascii=reply.write_bytes is None) for chunk in chunks] + ["[DONE]"]
        try:
            for event in events[: reply.broken_stream_after]:
                self.script.stopped.wait(reply.piece_seconds)
                data = f"data: {event}\n\n".encode("utf-8", "surrogatepass")
                size = reply.write_bytes or len(data)
                for start in range(0, len(data), size):
                    part = data[start : start + size]
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        except OSError:
            self.script.hang_ups += 1
            raise
        if reply.broken_stream_after is None:
            self.wfile.write(b"0\r\n\r\n")
        self._cut(reply)

    def _head(self, headers: dict[str, str], reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _cut(self, reply: Reply) -> None:
        if reply.stall:
            self.script.stopped.wait()
        if reply.broken_stream_after is not None:
            self.close_connection = True


def _usage(body: dict[str, Any], reply: Reply) -> dict[str, Any] | None:
    if reply.usage is not None:
        return dict(reply.usage) or None
    prompt_tokens = sum(len(str(message.get("content", "")).split()) for message in body.get("messages", []))
    completion_tokens = len(reply.text.split())
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text, **reply.message}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, **_logprobs(body, reply)}
    header = {"id": "chatcmpl-scripted", "object": "chat.completion", "created": CREATED, "model": body.get("model")}
    usage = _usage(body, reply)
    return {**header, "choices": [choice], **({"usage": usage} if usage else {}), **reply.body}


def _logprobs(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    told = reply.logprobs is not None and body.get("logprobs")
    return {"logprobs": {"content": list(reply.logprobs or ())}} if told else {}


def _chunks(body: dict[str, Any], reply: Reply) -> Iterable[dict[str, Any]]:
    header = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": body.get("model"),
    }
    deltas: list[Mapping[str, Any]] = [reply.message] if reply.message else []
    pieces = re.findall(r"\S+\s*|\s+", reply.text) if reply.pieces is None else reply.pieces
    deltas += [] if "content" in reply.message else [{"content": piece} for piece in pieces]
    for delta in deltas:
        yield {**header, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    last = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason, **_logprobs(body, reply)}
    yield {**header, "choices": [last], **reply.body}
    usage = _usage(body, reply)
    if usage and (body.get("stream_options") or {}).get("include_usage"):
        yield {**header, "choices": [], "usage": usage}


def _embeddings(body: dict[str, Any], dimension: int) -> dict[str, Any]:
    inputs = body.get("input", [])
    texts = [inputs] if isinstance(inputs, str) else inputs
    vectors = [bag_of_words(str(text), dimension) for text in texts]
    as_base64 = body.get("encoding_format") == "base64"
    encoded = [base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist() for vector in vectors]
    rows = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(encoded)]
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": body.get("model"), "usage": usage}
