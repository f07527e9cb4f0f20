"""Pass chat completions on to a model server, and do nothing else: what FastAPI and the connections alone cost."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse


def make_app(model_url: str) -> FastAPI:
    client = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        sent = client.build_request("POST", f"{model_url}/chat/completions", json=body)
        if not body.get("stream"):
            reply = await client.send(sent)
            return Response(reply.content, reply.status_code, media_type="application/json")
        reply = await client.send(sent, stream=True)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in reply.aiter_raw():
                    yield piece
            finally:
                await reply.aclose()

        return StreamingResponse(pieces(), media_type="text/event-stream")

    return app


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup()
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"http://127.0.0.1:{port}"}))
        sys.stdout.flush()


if __name__ == "__main__":
    config = uvicorn.Config(make_app(sys.argv[1]), port=0, log_level="warning", access_log=False, lifespan="on")
    _Server(config).run()
