"""The tables `[tune.NAME]`: one a trainer, everything but `kind` has a default; and `[providers.NAME]`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from groundtune.config_values import Day, Text, Texts, Url, Usd, Variable

Base = Annotated[Text | None, Field(description="model by name or path")]
Epochs = Annotated[int, Field(ge=1, le=1000)]
Rate = Annotated[float, Field(gt=0, le=1)]
Rank = Annotated[int, Field(ge=1, le=1024)]


class Table(BaseModel):
    """What all trainers share."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    seed: int = 0
    max_tokens: Annotated[int, Field(ge=8, le=1_000_000)] | None = None
    """Longest row, in tokens; without it what the base takes. Longer rows are refused, see `allow_truncation`."""
    allow_truncation: Annotated[int, Field(ge=0)] = 0
    """Rows that may be cut at max_tokens."""
    allow_groups: Texts = ()
    """Groups whose restricted documents may go into weights."""
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    """When to stop and keep the best so far."""
    device: Text | None = None
    """"cpu", "cuda", "cuda:1"; without it CUDA where there is one."""


class ClassifierConfig(Table):
    """Input to one label: an encoder with a head."""

    kind: Literal["classifier"]
    base: Base = None
    """Without it the bundled encoder."""
    mode: Literal["full", "lora", "probe"] = "full"
    """probe: a head on frozen embeddings, in seconds."""
    epochs: Epochs = 8
    learning_rate: Rate | None = None
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    """Tokens of one step."""
    class_weights: bool = True
    patience: Annotated[int, Field(ge=1)] = 2
    """Epochs without a better validation metric after which it stops."""
    rank: Rank = 16
    """Of mode lora."""


class ExtractorConfig(Table):
    """Input to a JSON object: an encoder that marks spans."""

    kind: Literal["extractor"]
    base: Base = None
    mode: Literal["full", "lora"] = "full"
    epochs: Epochs = 10
    learning_rate: Rate | None = None
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    patience: Annotated[int, Field(ge=1)] = 2
    rank: Rank = 16


class LoraConfig(Table):
    """A causal model, tuned on the replies it should give."""

    kind: Literal["lora"]
    base: Text
    mode: Literal["lora", "qlora", "full", "dpo"] = "lora"
    context: Literal["none", "retrieved"] = "none"
    """retrieved: trained over what the project's own retriever finds, for the approach `hybrid`."""
    epochs: Epochs = 3
    learning_rate: Rate | None = None
    batch_size: Annotated[int, Field(ge=1)] = 4
    accumulate: Annotated[int, Field(ge=1)] = 4
    """Steps whose gradients are summed."""
    packing: bool = False
    patience: Annotated[int, Field(ge=1)] = 2
    rank: Rank = 16
    alpha: Annotated[int, Field(ge=1)] | None = None
    """Without it twice the rank."""
    gpus: Annotated[int, Field(ge=1, le=64)] = 1


class RetrieverConfig(Table):
    """The embedder, or a reranker, adapted to the project's questions."""

    kind: Literal["retriever"]
    base: Base = None
    part: Literal["embedder", "reranker"] = "embedder"
    epochs: Epochs = 2
    learning_rate: Rate | None = None
    batch_size: Annotated[int, Field(ge=2)] = 32
    hard_negatives: Annotated[int, Field(ge=0, le=50)] = 3


class HostedTuneConfig(Table):
    """A job at a provider's fine-tuning API."""

    kind: Literal["hosted"]
    base: Text
    provider: Text = "openai"
    """A profile that comes along, or a table [providers.NAME]."""
    base_url: Url | None = None
    api_key_env: Variable | None = None
    method: Literal["supervised", "dpo"] = "supervised"
    epochs: Epochs | None = None
    suffix: Text | None = None
    max_usd: Usd | None = None
    """A job that may cost more is not started."""


class ProviderBase(BaseModel):
    """What a provider says of a model that can be tuned there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    usd_per_million: Usd | None = None
    """Training tokens, in US dollars."""
    ends: Day | None = None
    """Day of its shutdown, and of all that was tuned from it."""
    max_example_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None


class ProviderConfig(BaseModel):
    """A service that tunes models; goes before the profile of that name that comes along."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    base_url: Url | None = None
    api_key_env: Variable | None = None
    min_examples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Rows of the train split below which no job is taken."""
    max_example_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Of one row; longer ones are refused, see `allow_truncation`."""
    max_file_mb: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    no_new_jobs: Day | None = None
    """Day from which no job can be created."""
    notice: Text | None = None
    """What to know before money is spent."""
    bases: dict[Text, ProviderBase] = Field(default_factory=dict)
    """By name of the model."""


TuneConfig = Annotated[
    ClassifierConfig | ExtractorConfig | LoraConfig | RetrieverConfig | HostedTuneConfig, Field(discriminator="kind")
]
