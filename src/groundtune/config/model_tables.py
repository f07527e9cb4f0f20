"""Define the tables of models, embedder, store and sources: each has a `kind`, which a package may add."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from groundtune.common.openai_api import OPENAI_KEY_ENV, OPENAI_URL
from groundtune.config.values import EnvironmentVariable, Options, Seconds, Section, Text, Url, kind_of, value_error
from groundtune.extensions import RESERVED


def _endpoint(value: Any) -> Any:
    """Fill in the address for kind openai and, at OpenAI's own address, the variable of the key."""
    if not isinstance(value, dict) or value.get("kind") != "openai":
        return value
    value = {"base_url": OPENAI_URL, **value}
    return {"api_key_env": OPENAI_KEY_ENV, **value} if value["base_url"] == OPENAI_URL else value


BUILTIN_MODELS = RESERVED["generator"]
BUILTIN_EMBEDDERS = RESERVED["embedder"]
BUILTIN_STORES = RESERVED["store"]
BUILTIN_SOURCES = RESERVED["source"]


def _check_kind(model: "ModelConfig | EmbedderConfig", builtin: tuple[str, ...]) -> None:
    """Raise an error for a key that this kind needs or does not use."""
    kind = model.kind
    if kind in ("openai", "local") and model.model is None:
        raise value_error(f'is required for kind = "{kind}"', hint='add model = "…"', key="model")
    instead = 'leave it out, or write kind = "openai"' if kind in builtin else "write it under options"
    unused = {"base_url": model.base_url, "api_key_env": model.api_key_env} if kind != "openai" else {}
    if kind not in ("openai", "local"):
        unused = {"model": model.model, **unused}
    for key, value in unused.items():
        if value is not None:
            raise value_error(f'is not used by kind "{kind}"', hint=instead, key=key)
    _check_options(kind, model.options, builtin)


def _check_options(kind: str, options: Mapping[str, Any], builtin: tuple[str, ...]) -> None:
    if options and kind in builtin:
        raise value_error(f'is not used by kind "{kind}"', hint="it is for kinds that a package adds", key="options")


class ModelConfig(Section):
    """A model that generates text."""

    kind: Annotated[str, kind_of(*BUILTIN_MODELS, added=lambda extensions: extensions.generators)]
    """openai: an OpenAI-compatible endpoint; local: weights on this machine; quote: verbatim sentences; or the kind of
    a package."""
    model: Text | None = None
    base_url: Url | None = None
    """Kind openai: address of the endpoint; None: OpenAI's own."""
    api_key_env: EnvironmentVariable | None = None
    """Name of the variable that holds the key; without it no key is sent, except to OpenAI (OPENAI_API_KEY)."""
    timeout_seconds: Seconds = 60
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Sampling temperature; None: the endpoint's default."""
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    window: Annotated[int, Field(ge=256, le=100_000_000)] | None = None
    """Tokens of prompt and answer together; None: the known window of the model."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    """Maximum concurrent calls; the batch size for kind local."""
    device: Text | None = None
    """Kind local: "cpu", "cuda", "cuda:1"; None: CUDA if available."""
    options: Options = Field(default_factory=dict)
    """Settings for the kind of a package."""

    _defaults = model_validator(mode="before")(_endpoint)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _check_kind(self, BUILTIN_MODELS)
        if self.kind != "local" and self.device is not None:
            message = f'is not used by kind "{self.kind}"'
            raise value_error(message, hint='leave it out, or write kind = "local"', key="device")
        return self


class EmbedderConfig(Section):
    """The model that turns text into vectors."""

    kind: Annotated[str, kind_of(*BUILTIN_EMBEDDERS, added=lambda extensions: extensions.embedders)] = "bundled"
    model: Text | None = None
    base_url: Url | None = None
    api_key_env: EnvironmentVariable | None = None
    dimension: Annotated[int, Field(ge=8, le=65_536)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    passage_prefix: str | None = None
    """Kind openai: text before every passage, if the model was trained with it; "" says that it needs none."""
    query_prefix: str | None = None
    """Kind openai: the same for questions."""
    options: Options = Field(default_factory=dict)
    """Settings for the kind of a package."""

    _defaults = model_validator(mode="before")(_endpoint)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _check_kind(self, BUILTIN_EMBEDDERS)
        for key in ("passage_prefix", "query_prefix"):
            if getattr(self, key) is not None and self.kind != "openai":
                raise value_error(f'is only for kind = "openai", not "{self.kind}"', hint=f"remove {key}", key=key)
        if self.kind == "openai" and self.dimension is None:
            raise value_error(
                'is required for kind = "openai"',
                hint="add dimension = …, the length of its vectors",
                key="dimension",
            )
        return self


class StoreConfig(Section):
    """Where the index is kept."""

    kind: Annotated[str, kind_of(*BUILTIN_STORES, added=lambda extensions: extensions.stores)] = "lance"
    """lance: LanceDB in a folder or on object storage; postgres: a database with pgvector; or the kind of a package."""
    uri: Annotated[str, Field(pattern=r"^\w+://.")] | None = None
    """Kind lance: object storage, like "s3://bucket/folder"; None: the project's own folder."""
    dsn_env: EnvironmentVariable | None = None
    """Kind postgres: name of the variable that holds the connection string."""
    options: Options = Field(default_factory=dict)
    """Settings for the kind of a package."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "postgres" and self.dsn_env is None:
            raise value_error(
                'is required for kind = "postgres"', hint='add dsn_env = "DATABASE_URL" and set it', key="dsn_env"
            )
        for key, value, kind in (("uri", self.uri, "lance"), ("dsn_env", self.dsn_env, "postgres")):
            if value is not None and self.kind != kind:
                raise value_error(f'is not used by kind "{self.kind}"', hint="leave it out", key=key)
        _check_options(self.kind, self.options, BUILTIN_STORES)
        return self


class SourceConfig(Section):
    """Documents from outside the project folder."""

    kind: Annotated[str, kind_of(*BUILTIN_SOURCES, added=lambda extensions: extensions.sources)]
    """folder: a folder elsewhere, with the options path, include and exclude; or the kind of a package."""
    options: Options = Field(default_factory=dict)
    """Settings of that kind."""
