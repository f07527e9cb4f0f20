"""`POST /v1/embeddings`: the vectors of texts from the embedder that the project searches with. Stores nothing."""

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from groundtune.project import Project
from groundtune.serve.api.parameters import Ignored, only
from groundtune.serve.api.reply_schemas import EmbeddingList, described
from groundtune.serve.client import unless_client_leaves
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import refused
from groundtune.serve.serving import By
from groundtune.types import Vectors

MOST_TEXTS = 2_048
TOKENS = "arrays of tokens are not supported, since tokenizers differ: send texts"

router = APIRouter(tags=["embeddings"])


def _texts(value: Any) -> Any:
    """Return the input as a list of texts, so that one text and several are checked alike."""
    values = [value] if isinstance(value, str) else value
    if isinstance(values, list) and any(isinstance(each, int | list) for each in values):
        raise PydanticCustomError("unsupported_content", TOKENS)
    return values


Texts = Annotated[
    list[str],
    Field(min_length=1, max_length=MOST_TEXTS),
    BeforeValidator(_texts, json_schema_input_type=str | list[str]),
]


class EmbeddingOptions(BaseModel):
    """What clients may ask of groundtune beyond the protocol, as `extra_body={"groundtune": {…}}`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    questions: bool = False
    """Whether the texts are questions, which some models embed in another way than documents."""


class EmbeddingRequest(BaseModel):
    """A request for vectors. What a parameter cannot do here is refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: str
    input: Texts
    encoding_format: Literal["float", "base64"] = "float"
    groundtune: EmbeddingOptions = EmbeddingOptions()
    dimensions: Annotated[Any, only(why="vectors have the size of those in the index")] = None
    user: Ignored = None


@router.post("/v1/embeddings", response_model=None, responses=described(EmbeddingList))
async def create_embeddings(body: EmbeddingRequest, request: Request, serving: By, caller: From) -> dict[str, Any]:
    """Return a vector of unit length for each text."""

    async def embedded() -> dict[str, Any]:
        async with serving.vector_turn(caller, body.input) as project:
            _require_embedder(project, body.model)
            vectors, tokens = await project.aembed(body.input, questions=body.groundtune.questions)
        encode = _base64 if body.encoding_format == "base64" else _floats
        data = [{"object": "embedding", "index": at, "embedding": encode(row)} for at, row in enumerate(vectors)]
        usage = {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)}
        return {"object": "list", "data": data, "model": body.model, "usage": usage}

    return await unless_client_leaves(request, embedded())


def _require_embedder(project: Project, model: str) -> None:
    """Refuse a model id that is neither the name of the project nor that of its embedder in the project file."""
    embedder = project.config.embedder
    known = (project.config.name, embedder.model or embedder.kind)
    if model not in known:
        message = f"the model {model!r} does not exist; choose one of {', '.join(known)}"
        raise refused(message, param="model", code="model_not_found", status=404)


def _floats(row: Vectors) -> list[float]:
    return [float(value) for value in row]


def _base64(row: Vectors) -> str:
    """Return the numbers as little-endian float32, as OpenAI does."""
    return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")
