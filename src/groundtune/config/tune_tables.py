"""Define the tables `[tune.NAME]`, one model per kind of training, and `[providers.NAME]`.

The model of a kind that another package adds is part of its `TrainingKind`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, SerializationInfo, TypeAdapter
from pydantic_core import core_schema

from groundtune.config.values import Day, EnvironmentVariable, Text, Texts, Url, Usd
from groundtune.extensions import load_extensions

BaseModelName = Annotated[Text | None, Field(description="model by name or path")]
Epochs = Annotated[int, Field(ge=1, le=1000)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Rank = Annotated[int, Field(ge=1, le=1024)]


class TrainingConfig(BaseModel):
    """Settings shared by all kinds of training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    seed: int = 0
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    """Number of trainings, with `seed` and the seeds after it; `compare` measures them as one approach."""
    max_tokens: Annotated[int, Field(ge=8, le=1_000_000)] | None = None
    """Maximum tokens of a row; None: the base model's limit. Longer rows are rejected, see `allow_truncation`."""
    allow_truncation: Annotated[int, Field(ge=0)] = 0
    """Number of rows that may be truncated at max_tokens."""
    allow_groups: Texts = ()
    """Groups whose restricted documents may be trained on."""
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    """Time limit, in minutes; the best checkpoint so far is kept."""
    device: Text | None = None
    """One of "cpu", "cuda", "cuda:1"; None: CUDA if available."""


class ClassifierConfig(TrainingConfig):
    """An encoder with a head: maps an input to one label."""

    kind: Literal["classifier"]
    base: BaseModelName = None
    """Base model; None: the bundled encoder."""
    mode: Literal["full", "lora", "probe"] = "full"
    """Weights to train; probe: a head on frozen embeddings, in seconds."""
    epochs: Epochs | None = None
    """None: chosen from the number of rows."""
    learning_rate: LearningRate | None = None
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    """Tokens per step."""
    class_weights: bool = True
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better validation metric; None: train to the last epoch."""
    rank: Rank = 16
    """Rank of the adapter, mode lora."""


class ExtractorConfig(TrainingConfig):
    """An encoder that marks spans: maps an input to a JSON object."""

    kind: Literal["extractor"]
    base: BaseModelName = None
    mode: Literal["full", "lora"] = "full"
    epochs: Epochs = 10
    learning_rate: LearningRate | None = None
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    patience: Annotated[int, Field(ge=1)] = 2
    rank: Rank = 16


class LoraConfig(TrainingConfig):
    """A causal language model, fine-tuned on replies."""

    kind: Literal["lora"]
    base: Text
    mode: Literal["lora", "qlora", "full", "dpo"] = "lora"
    context: Literal["none", "retrieved"] = "none"
    """retrieved: train on passages from the project's own retriever, for the approach `hybrid`."""
    epochs: Epochs | None = None
    """None: chosen from the number of rows, as are `learning_rate` and `accumulate`."""
    learning_rate: LearningRate | None = None
    batch_size: Annotated[int, Field(ge=1)] = 4
    accumulate: Annotated[int, Field(ge=1)] | None = None
    """Gradient accumulation: batches per optimiser step."""
    packing: bool = False
    patience: Annotated[int, Field(ge=1)] = 2
    rank: Rank = 16
    alpha: Annotated[int, Field(ge=1)] | None = None
    """LoRA alpha; None: twice the rank."""
    gpus: Annotated[int, Field(ge=1, le=64)] = 1


class RetrieverConfig(TrainingConfig):
    """The embedder, or a reranker, adapted to the project's questions."""

    kind: Literal["retriever"]
    base: BaseModelName = None
    part: Literal["embedder", "reranker"] = "embedder"
    epochs: Epochs = 2
    learning_rate: LearningRate | None = None
    batch_size: Annotated[int, Field(ge=2)] = 32
    hard_negatives: Annotated[int, Field(ge=0, le=50)] = 3


class HostedTuneConfig(TrainingConfig):
    """A job at a provider's fine-tuning API."""

    kind: Literal["hosted"]
    base: Text
    provider: Text = "openai"
    """A built-in profile, or a table [providers.NAME]."""
    base_url: Url | None = None
    api_key_env: EnvironmentVariable | None = None
    method: Literal["supervised", "dpo"] = "supervised"
    epochs: Epochs | None = None
    suffix: Text | None = None
    max_usd: Usd | None = None
    """A job that may cost more is not started."""


class ProviderModelConfig(BaseModel):
    """Limits and prices of a model that can be fine-tuned at a provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    usd_per_million: Usd | None = None
    """Price of a million training tokens, in US dollars."""
    ends: Day | None = None
    """Shutdown date of the model and of everything tuned from it."""
    max_example_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None


class ProviderConfig(BaseModel):
    """Facts about a service that tunes models; they override the built-in profile of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    base_url: Url | None = None
    api_key_env: EnvironmentVariable | None = None
    min_examples: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Fewest rows of the train split that the service accepts."""
    max_example_tokens: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Maximum tokens of a row; longer ones are rejected, see `allow_truncation`."""
    max_file_mb: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    no_new_jobs: Day | None = None
    """Date from which no job can be created."""
    notice: Text | None = None
    """One sentence to show before money is spent."""
    bases: dict[Text, ProviderModelConfig] = Field(default_factory=dict)
    """Base models by name."""


_BuiltIn = ClassifierConfig | ExtractorConfig | LoraConfig | RetrieverConfig | HostedTuneConfig
_BUILT_IN = {tag: model for model in get_args(_BuiltIn) for tag in get_args(model.model_fields["kind"].annotation)}


class InstalledKinds:
    """Makes the tables of other packages' kinds valid too. Imports no package while the file names built-in kinds."""

    def members(self) -> Mapping[str, type[BaseModel]]:
        """Return the models of these tables by kind."""
        return {name: kind.config for name, kind in load_extensions().trainers.items()}

    def hint(self) -> str:
        return "; ".join(load_extensions().broken.values()) or "or install a package that provides it"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def validate(value: Any, built_in: core_schema.ValidatorFunctionWrapHandler) -> Any:
            kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
            if kind in _BUILT_IN or kind not in self.members():
                return built_in(value)
            return _adapter(tuple(self.members().values())).validate_python(value)

        def serialize(table: BaseModel, info: SerializationInfo) -> Any:
            return table.model_dump(mode=info.mode)

        return core_schema.no_info_wrap_validator_function(
            validate,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
        )


@cache
def _adapter(added: tuple[type[BaseModel], ...]) -> TypeAdapter[Any]:
    """Return the validator of all kinds; its errors have the same places as those of built-in kinds."""
    union: Any = Union[(*_BUILT_IN.values(), *added)]
    annotation: Any = Annotated[union, Field(discriminator="kind")]
    return TypeAdapter(annotation)


TuneConfig = Annotated[_BuiltIn, Field(discriminator="kind"), InstalledKinds()]
