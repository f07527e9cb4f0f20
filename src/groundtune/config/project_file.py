"""Load groundtune.toml into a frozen `Config`, or report all of its problems at once. Never reads a secret.

Every key can be set from the environment, which overrides the file: `GROUNDTUNE_<SECTION>__<KEY>`, for example
`GROUNDTUNE_RETRIEVAL__K=12`, `GROUNDTUNE_MODELS__DEFAULT__MODEL=qwen3`, `GROUNDTUNE_DOCUMENTS__INCLUDE="a/**,*.pdf"`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from groundtune.common.conversations import HistoryUse
from groundtune.config.drift_table import DriftConfig
from groundtune.config.model_tables import EmbedderConfig, ModelConfig, SourceConfig, StoreConfig
from groundtune.config.problems import apply_environment, problems_from, syntax_problem
from groundtune.config.review_table import ReviewConfig
from groundtune.config.serve_table import ServeConfig
from groundtune.config.ship_table import ShipConfig
from groundtune.config.telemetry_table import TelemetryConfig
from groundtune.config.toml_edit import key_lines
from groundtune.config.tune_tables import ProviderConfig, TuneConfig
from groundtune.config.values import (
    BUILT_IN_PROMPTS,
    AsTuple,
    ChangeFrequency,
    Fraction,
    Hosting,
    Language,
    Name,
    Pattern,
    Patterns,
    Prompts,
    Seconds,
    Section,
    Text,
    Texts,
    Usd,
    parse_range,
    parse_residency,
    value_error,
)
from groundtune.errors import ConfigError, MissingError, Problem
from groundtune.extensions import RESERVED, load_extensions, unknown_name
from groundtune.types import Task


class AccessRule(Section):
    """Restricts matching documents to groups."""

    include: Annotated[Patterns, Field(min_length=1)]
    groups: Annotated[Texts, Field(min_length=1)]


class ParserRule(Section):
    """Has matching documents read by another parser than groundtune's own."""

    include: Annotated[Patterns, Field(min_length=1)]
    parser: Text

    @model_validator(mode="after")
    def _registered(self) -> Self:
        if self.parser not in RESERVED["parser"] and self.parser not in (added := load_extensions().parsers):
            raise value_error(unknown_name("parser", self.parser, [*RESERVED["parser"], *added]), key="parser")
        return self


class DocumentsConfig(Section):
    """Selects the documents, and limits the time and memory for reading one."""

    include: Annotated[Patterns, Field(min_length=1)] = ("**/*",)
    exclude: Patterns = ()
    max_mb: Annotated[int, Field(ge=1, le=10_000)] = 100
    parser_seconds: Seconds = 60
    parser_memory_mb: Annotated[int, Field(ge=128, le=1_000_000)] = 2048
    """Memory limit for reading one file, in MiB."""
    follow_links: bool = False
    loaders: Texts = ()
    """Suffixes that packages read in place of groundtune. Suffixes that it does not know need not be listed."""
    parsers: Annotated[tuple[ParserRule, ...], AsTuple] = ()
    """The last rule that matches a document decides."""
    ocr: bool = True
    """Whether scanned pages and pictures are read where groundtune[ocr] is installed."""
    access: Annotated[tuple[AccessRule, ...], AsTuple] = ()

    @model_validator(mode="after")
    def _registered(self) -> Self:
        for suffix in self.loaders:
            if suffix not in (extensions := load_extensions()).loaders:
                raise value_error(unknown_name("loader", suffix, extensions.loaders), key="loaders")
        return self


class ExamplesConfig(Section):
    """Files with questions or inputs and their gold outputs."""

    files: Patterns = ()


class PassagesConfig(Section):
    """How documents are split into passages, in tokens of the embedder."""

    strategy: Literal["paragraph", "fixed", "sentence-window", "parent-child", "document"] = "paragraph"
    max_tokens: Annotated[int, Field(ge=16, le=32_768)] = 220
    min_tokens: Annotated[int, Field(ge=0, le=32_768)] = 60
    """Shorter neighbours under one heading are joined."""
    overlap_tokens: Annotated[int, Field(ge=0, le=32_768)] = 40
    """Strategy fixed: tokens that a passage shares with the one before."""
    window: Annotated[int, Field(ge=0, le=100)] = 2
    """Strategy sentence-window: sentences before and after a passage that a prompt gets too."""
    parent_tokens: Annotated[int, Field(ge=16, le=1_000_000)] = 660
    """Strategies parent-child and document: longest piece that a prompt gets for a passage."""
    context: Literal["headings", "title", "none"] = "headings"
    """What is embedded in front of a passage: title and heading path, the title, or nothing."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.strategy == "fixed" and self.overlap_tokens > self.max_tokens // 2:
            message = f"must be at most half of max_tokens ({self.max_tokens}), not {self.overlap_tokens}"
            raise value_error(message, hint=f"write overlap_tokens = {self.max_tokens // 4}", key="overlap_tokens")
        if self.min_tokens > self.max_tokens:
            message = f"must be at most max_tokens ({self.max_tokens}), not {self.min_tokens}"
            raise value_error(message, hint=f"write min_tokens = {self.max_tokens // 4}", key="min_tokens")
        return self


class RetrievalConfig(Section):
    """How passages are retrieved."""

    k: Annotated[int, Field(ge=1, le=1000)] = 8
    candidates: Annotated[int, Field(ge=1, le=10_000)] = 100
    dense_weight: Fraction | None = None
    """None: the fitted weight if there is one, else the default."""
    reranker: Text | None = None
    rerank_candidates: Annotated[int, Field(ge=1, le=1000)] = 30
    history: HistoryUse = "join"
    """What is searched for when a question follows others: the last turns and the question, a question that
    [models.default] rewrites, or the question alone."""

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.candidates < self.k:
            message = f"must be at least k ({self.k}), not {self.candidates}"
            raise value_error(message, hint=f"write candidates = {max(100, self.k)}", key="candidates")
        return self


class SweepConfig(Section):
    """What `groundtune evaluate --sweep` tries beside the ways to split documents and the fusion weights."""

    embedders: dict[Name, EmbedderConfig] = Field(default_factory=dict)
    """Embedders to try instead of [embedder], by name."""
    rerankers: Texts = ()
    """Rerankers to try, as in [retrieval] reranker."""
    minutes: Annotated[int, Field(ge=1, le=100_000)] = 60
    """After this time no further candidate is begun."""


class AnswersConfig(Section):
    """What answers, when, and from how many passages."""

    approach: Text | None = None
    """The approach of `ask`, as `groundtune use` writes it: `NAME`, or `NAME@ID` with the trained model that it uses.
    None: `rag`, without a model `quote-hybrid`; for tasks other than answer `fewshot`."""
    max_passages: Annotated[int, Field(ge=1, le=1000)] = 6
    strict: bool = False
    """Drop sentences that their citations do not support; abstain when none is left."""
    checker: Text | None = None
    """Name of a checker that a package adds; it decides about sentences that are not in their passage word for word."""
    threshold: Fraction | None = None
    """Abstain below this confidence; None: the threshold calibrated for the approach."""
    calibration_questions: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Train and validation examples that calibrating an approach asks at most; 0: nothing is calibrated."""
    max_risk: Fraction | None = None
    """Largest share of given answers that may be wrong; calibration sets the threshold accordingly."""
    min_coverage: Fraction | None = None
    """Smallest share of questions to answer; calibration sets the threshold accordingly."""


class ShotsConfig(Section):
    """Examples of the train split in a prompt."""

    count: Annotated[int, Field(ge=1, le=1000)] = 8
    """Number of examples; for classify, fixed shots include at least one per label."""


class ContextConfig(Section):
    """The whole corpus in the prompt."""

    question: Literal["last", "first", "both"] = "last"
    """Position of the question. Only "last" leaves a prefix that an endpoint can cache."""


Metric = Literal["judge", "faithfulness", "answer_relevancy", "context_precision", "context_recall"]


class JudgeConfig(Section):
    """The LLM judge for metrics that cannot be computed by rule."""

    model: Text
    """Name of a table under [models]."""
    metrics: Annotated[tuple[Metric, ...], AsTuple] = ("judge",)
    instructions: Text | None = None
    """Criteria for a correct answer, in the project's own words."""


class CheckConfig(Section):
    """A test of a written text: a name, and exactly one other key."""

    name: Text
    pattern: Text | None = None
    """Regular expression that the text must match somewhere."""
    absent: Text | None = None
    """Regular expression that the text must not match anywhere."""
    min_words: Annotated[int, Field(ge=1)] | None = None
    max_words: Annotated[int, Field(ge=1)] | None = None
    max_sentences: Annotated[int, Field(ge=1)] | None = None
    """Most sentences of each paragraph; blank lines separate paragraphs."""
    schema_file: Pattern | None = None
    """JSON Schema that the text must satisfy."""
    function: Text | None = None
    """`module:name` of a function (text, example) -> bool or 0 to 1; modules beside the project file are importable."""

    @model_validator(mode="after")
    def _exactly_one_test(self) -> Self:
        *most, last = tests = [name for name in type(self).model_fields if name != "name"]
        if sum(getattr(self, test) is not None for test in tests) != 1:
            raise value_error(
                f"must have exactly one of {', '.join(most)} and {last}",
                hint="write a separate [[checks]] table for each",
            )
        for key, value in (("pattern", self.pattern), ("absent", self.absent)):
            if value is not None:
                try:
                    re.compile(value)
                except re.error as error:
                    raise value_error(f"is not a valid regular expression: {error}", key=key) from None
        if self.function is not None and not re.fullmatch(r"[\w.]+:\w+", self.function):
            raise value_error('is not "module:name"', hint='write it like "checks:polite"', key="function")
        return self


class CompareConfig(Section):
    """The approaches of a comparison and the score that decides it."""

    approaches: Texts = ()
    """Empty: every approach that the task and the configuration allow."""
    prompts: Annotated[Prompts, Field(min_length=1)] = ("full",)
    """Wordings that each approach with a model is compared in: built-in ones, and files of the project."""
    prompt_questions: Annotated[int, Field(ge=0, le=100_000)] = 40
    """Validation examples that choosing the prompt of an approach asks at most in each wording; 0: none is chosen."""
    primary: Text | None = None
    """The score that decides; None: `correct`, for task write `judge` if there is one, else `chrf`."""
    prefer_simpler: bool = True
    """Whether the simplest of several approaches that cannot be told apart is recommended."""
    scorers: Texts = ()
    """Scorers that packages add."""

    @property
    def prompt_names(self) -> tuple[str, ...]:
        """The names of `prompts`; that of a file is its name without its ending."""
        return tuple(prompt if prompt in BUILT_IN_PROMPTS else PurePosixPath(prompt).stem for prompt in self.prompts)

    @model_validator(mode="after")
    def _distinct_prompts(self) -> Self:
        names = self.prompt_names
        if twice := [name for name in names if names.count(name) > 1]:
            raise value_error(f'two prompts have the name "{twice[0]}"', hint="name each once", key="prompts")
        return self

    @model_validator(mode="after")
    def _registered(self) -> Self:
        for name in self.scorers:
            if name not in (extensions := load_extensions()).scorers:
                raise value_error(unknown_name("scorer", name, extensions.scorers), key="scorers")
        return self


class CombinedConfig(Section):
    """The approach `combined`: the facts of one approach in the form of another."""

    facts: Text = "rag"
    """The approach that cites passages; where the two disagree, it is believed."""
    form: Text = "tuned"
    """The approach whose text or object is kept as far as it agrees."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for key, name in (("facts", self.facts), ("form", self.form)):
            if name in ("combined", "cascade", "routed"):
                raise value_error(f'"{name}" cannot be asked: it asks others itself', key=key)
        if self.facts == self.form:
            raise value_error(f'asks "{self.form}" twice', hint="name two approaches", key="form")
        return self


class CascadeConfig(Section):
    """The approach `cascade`: approaches of which each is asked if the answer of the one before is not good enough."""

    approaches: Texts
    """In the order in which they are asked, the cheapest first."""
    min_confidence: Fraction | None = None
    """Confidence below which the next one is asked; None: only abstentions and citations decide."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if not 2 <= (count := len(self.approaches)) <= 5:
            raise value_error(f"must be two to five approaches, not {count}", key="approaches")
        for name in self.approaches:
            if name in ("cascade", "routed"):
                raise value_error(f'"{name}" cannot be asked: it asks others itself', key="approaches")
            if self.approaches.count(name) > 1:
                raise value_error(f'asks "{name}" twice', hint="name each once", key="approaches")
        return self


class RouteConfig(Section):
    """What the router weighs."""

    right_answer_usd: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """What a right answer is worth, in US dollars; None: only quality counts."""


class FallbackConfig(Section):
    """What stands in for an approach that fails or takes too long when a question is asked."""

    approaches: Texts = ()
    """In the order in which they are asked. In task answer `quote-hybrid` comes last in any case."""
    max_seconds: Seconds = 60
    """Time for a whole answer: each approach may take half of what is left, the last one all of it."""


class PriceConfig(Section):
    """Prices in US dollars per million tokens."""

    input_per_million: Usd
    output_per_million: Usd
    cached_per_million: Usd | None = None


class RequirementsConfig(Section):
    """Requirements that a recommended approach must meet; None: no requirement."""

    citations: bool = False
    min_quality: Annotated[float, Field(gt=0)] | None = None
    """Least mean of the score that decides, such as 0.8 of `correct`."""
    max_asserted_wrong: Fraction | None = None
    """Share of the questions that get a wrong answer without a word of doubt."""
    max_p95_seconds: Seconds | None = None
    max_usd_per_1k: Usd | None = None
    """US dollars per thousand questions."""
    max_usd_per_month: Usd | None = None
    """US dollars per month at `costs.requests_per_month`."""
    residency: Annotated[Literal["local"] | tuple[str, ...] | None, BeforeValidator(parse_residency)] = None
    """Hosts that text may be sent to, or "local": nothing leaves this machine."""


class CostsConfig(Section):
    """Assumptions of the cost model; None: unknown."""

    requests_per_month: Annotated[int, Field(ge=1, le=10_000_000_000)] | None = None
    documents_change: ChangeFrequency | None = None
    months: Annotated[int, Field(ge=1, le=120)] = 12
    """Months over which one-off costs are spread."""
    hosting: Hosting | None = None
    """How tuned models that are hosted elsewhere are paid for; None: reserved if its price is assumed, else per use."""
    assumptions: dict[str, Annotated[tuple[float, float, float], BeforeValidator(parse_range)]] = Field(
        default_factory=dict
    )
    """Assumptions of `groundtune costs` by name: one number, or low, likely and high."""


class Config(Section):
    """The whole project file."""

    name: Text
    task: Task = "answer"
    language: Language = "english"
    """Language for stemming, stop words and sentence splitting."""
    instructions: Text | None = None
    """Instructions given to every model before the task: who the users are, what matters, what terms mean."""
    labels: dict[Text, Text] = Field(default_factory=dict)
    """Task classify: label to description; empty: the labels of the train split."""
    schema_file: Pattern | None = None
    """Task extract: JSON Schema of the output; None: derived from the train split."""
    documents: DocumentsConfig = DocumentsConfig()
    examples: ExamplesConfig = ExamplesConfig()
    models: dict[Text, ModelConfig] = Field(default_factory=dict, validate_default=True)
    """Models by name; there is always a "default" (verbatim quotes if the file has none)."""
    embedder: EmbedderConfig = EmbedderConfig()
    passages: PassagesConfig = PassagesConfig()
    store: StoreConfig = StoreConfig()
    sources: dict[Name, SourceConfig] = Field(default_factory=dict)
    """Documents from outside the project folder, by name."""
    retrieval: RetrievalConfig = RetrievalConfig()
    sweep: SweepConfig = SweepConfig()
    answers: AnswersConfig = AnswersConfig()
    shots: ShotsConfig = ShotsConfig()
    context: ContextConfig = ContextConfig()
    checks: Annotated[tuple[CheckConfig, ...], AsTuple] = ()
    judge: JudgeConfig | None = None
    compare: CompareConfig = CompareConfig()
    combined: CombinedConfig | None = None
    cascade: CascadeConfig | None = None
    fallback: FallbackConfig | None = None
    route: RouteConfig = RouteConfig()
    tune: dict[Name, TuneConfig] = Field(default_factory=dict)
    """Training runs by name."""
    providers: dict[Name, ProviderConfig] = Field(default_factory=dict)
    """Facts about fine-tuning services, by name."""
    prices: dict[Text, PriceConfig] = Field(default_factory=dict)
    """Prices by model name; they override the built-in table."""
    requirements: RequirementsConfig = RequirementsConfig()
    costs: CostsConfig = CostsConfig()
    serve: ServeConfig = ServeConfig()
    drift: DriftConfig = DriftConfig()
    review: ReviewConfig = ReviewConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    ship: ShipConfig = ShipConfig()

    @model_validator(mode="before")
    @classmethod
    def _default_model(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(models := value.get("models", {}), dict):
            return {**value, "models": {"default": {"kind": "quote"}, **models}}
        return value

    @model_validator(mode="after")
    def _linked(self) -> Self:
        if self.judge and (self.judge.model not in self.models or self.models[self.judge.model].kind == "quote"):
            message = f'model "{self.judge.model}" cannot be used as the judge'
            raise value_error(message, hint=f"add a table [models.{self.judge.model}]", key="judge")
        if self.combined and self.task == "classify":
            message = "task classify has no combination: a label is a fact and has no form"
            raise value_error(message, hint="leave out [combined]; [cascade] and `groundtune route` combine labels")
        if self.review.hold and not self.serve.audit:
            message = "no answer can wait for a person when none is recorded"
            raise value_error(message, hint="leave out [review] hold, or set [serve] audit = true", key="review")
        if self.serve.when_spent == "degrade" and self.fallback is None:
            hint = 'add a table [fallback], or write when_spent = "stop"'
            raise value_error(
                'when_spent = "degrade" needs [fallback], whose last approach answers', hint=hint, key="serve"
            )
        if self.retrieval.history == "rewrite" and self.models["default"].kind == "quote":
            message = 'history = "rewrite" needs a model that generates text'
            raise value_error(message, hint='add [models.default], or write history = "join"', key="retrieval")
        return self


def load_config(path: Path, *, environ: Mapping[str, str] | None = None, text: str | None = None) -> Config:
    """Load the project file, with overrides from `environ` (None: the environment of this process).

    text: content to use instead of the file's.
    Raises MissingError when there is no such file, ConfigError with every problem of file and environment.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig") if text is None else text.removeprefix("\ufeff")
    except FileNotFoundError:
        raise MissingError(f"no project file {path}", hint="groundtune init") from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")]) from None
    except OSError as error:
        raise MissingError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([syntax_problem(path, text, error)]) from None
    values, places, problems = apply_environment(Config, values, os.environ if environ is None else environ)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        lines = key_lines(text)
        problems += problems_from(Config, error, path=path, lines=lines, variables=places)
    if problems:
        raise ConfigError(problems)
    return _located(config, path.parent)


def _located(config: Config, folder: Path) -> Config:
    """Resolve models that are folders beside the project file to absolute paths, so a command can run anywhere."""
    updates: dict[str, Any] = {}
    retrieval, sweep = config.retrieval, config.sweep

    def located(model: str) -> str:
        return str(folder.resolve() / model) if model and (folder / model).is_dir() else model

    def embedder(chosen: EmbedderConfig) -> EmbedderConfig:
        local = chosen.kind == "local" and chosen.model
        return chosen.model_copy(update={"model": located(local)}) if local else chosen

    if retrieval.reranker:
        updates["retrieval"] = retrieval.model_copy(update={"reranker": located(retrieval.reranker)})
    if sweep.embedders or sweep.rerankers:
        embedders = {name: embedder(chosen) for name, chosen in sweep.embedders.items()}
        rerankers = tuple(map(located, sweep.rerankers))
        updates["sweep"] = sweep.model_copy(update={"embedders": embedders, "rerankers": rerankers})
    return config.model_copy(update={"embedder": embedder(config.embedder), **updates})
