"""Find the model endpoints that are available. Sends a key only to the host it belongs to, and never sends a text."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from groundtune.common.openai_api import OPENAI_KEY_ENV, OPENAI_URL
from groundtune.models.openai_client import is_local

URL_ENV = "OPENAI_BASE_URL"
OWNERS = {"vllm": "vLLM", "llamacpp": "llama.cpp", "library": "Ollama"}
"""`owned_by` of a server's models, and the kind of server that reports it."""


@dataclass(frozen=True, slots=True)
class CandidateEndpoint:
    """An address where a model server may be listening."""

    kind: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address where models can be called."""

    kind: str
    """`OpenAI`, `Ollama`, `vLLM`, `llama.cpp`, or `OpenAI-compatible`."""
    base_url: str
    api_key_env: str | None
    """Environment variable that holds the key; None when no key is sent."""
    models: tuple[str, ...]
    """Model names, sorted; empty when the endpoint did not answer in time."""


LOCAL = (
    CandidateEndpoint("Ollama", "http://localhost:11434/v1"),
    CandidateEndpoint("vLLM", "http://localhost:8000/v1"),
    CandidateEndpoint("llama.cpp", "http://localhost:8080/v1"),
)


async def discover(
    environ: Mapping[str, str],
    *,
    candidates: Sequence[CandidateEndpoint] = LOCAL,
    timeout_seconds: float = 0.4,
    keyed_timeout_seconds: float = 3.0,
) -> list[Endpoint]:
    """Return the endpoint of OPENAI_API_KEY and OPENAI_BASE_URL, then the candidates that list their models in time.

    An endpoint with a key is returned even if it does not answer; one without a key only if it does.
    """
    key, url = environ.get(OPENAI_KEY_ENV, "").strip(), environ.get(URL_ENV, "").strip().rstrip("/")
    places = list(candidates)
    if url:
        kind = next((place.kind for place in candidates if _place(place.base_url) == _place(url)), "OpenAI-compatible")
        kind = "OpenAI" if urlsplit(url).hostname == "api.openai.com" else kind
        places = [
            CandidateEndpoint(kind, url),
            *(place for place in candidates if _place(place.base_url) != _place(url)),
        ]
    elif key:
        places = [CandidateEndpoint("OpenAI", OPENAI_URL), *places]
    keys = [key if place.base_url == (url or OPENAI_URL) else "" for place in places]
    listings = await asyncio.gather(
        *(
            _list(place.base_url, key=key, timeout_seconds=keyed_timeout_seconds if key else timeout_seconds)
            for place, key in zip(places, keys, strict=True)
        )
    )
    endpoints = []
    for place, key, rows in zip(places, keys, listings, strict=True):
        if key or rows is not None:
            owner = next((OWNERS[owner] for _, owner in rows or () if owner in OWNERS), place.kind)
            models = tuple(sorted(name for name, _ in rows or ()))
            endpoints.append(Endpoint(owner, place.base_url, OPENAI_KEY_ENV if key else None, models))
    return endpoints


async def list_models(base_url: str, *, timeout_seconds: float = 5.0) -> list[str]:
    """Return the names of the models that an endpoint lists, sorted. Sends no key.

    Raises UsageError when it is no address, ProviderError when no OpenAI-compatible server answers there.
    """
    from groundtune.models.openai_client import open_async_client, provider_error

    async with open_async_client(base_url, api_key="", timeout_seconds=timeout_seconds) as client:
        try:
            return sorted([model.id async for model in client.models.list()])
        except Exception as error:
            raise provider_error(error, place=base_url, api_key="", key_hint="it asks for a key") from error


async def _list(base_url: str, *, key: str, timeout_seconds: float) -> list[tuple[str, str]] | None:
    """Return name and owner of each model; None when no OpenAI-compatible server answers."""
    from httpx2 import AsyncClient, HTTPError, InvalidURL

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            AsyncClient(
                follow_redirects=False, trust_env=not is_local(base_url), verify=base_url.startswith("https:")
            ) as client,
        ):
            response = await client.get(f"{base_url}/models", headers=headers)
            answer = response.json() if response.status_code == 200 else None
    except (HTTPError, InvalidURL, TimeoutError, ValueError):
        return None
    match answer:
        case {"data": list(rows)}:
            models = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
            return [(row["id"], str(row.get("owned_by", ""))) for row in models]
        case _:
            return None


def _place(base_url: str) -> tuple[str | None, int | None]:
    """Return host and port; all names of this machine count as `localhost`."""
    place = urlsplit(base_url)
    try:
        return "localhost" if is_local(base_url) else place.hostname, place.port
    except ValueError:  # the port is not a number
        return place.netloc, None
