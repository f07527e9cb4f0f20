"""Define what is known of a situation. Asks nobody and looks at nothing."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from groundtune.errors import UsageError

Problem = Literal["facts", "behaviour", "cost", "speed"]
Changes = Literal["daily", "weekly", "monthly", "quarterly", "yearly", "never"]


class Situation(BaseModel):
    """The answers to the questions of `groundtune advise`; None: not known, which decides nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    problem: tuple[Problem, ...] | None = None
    """What is wrong today: missing or stale facts, wrong behaviour (style, format, jargon), cost, speed."""
    knowledge_changes: Changes | None = None
    """How often the knowledge that answers need changes."""
    citations: bool | None = None
    """Whether answers must name their sources."""
    task: Literal["answer", "classify", "extract", "write"] | None = None
    labelled_examples: Annotated[int, Field(ge=0)] | None = None
    prompting_exhausted: bool | None = None
    """Whether prompting was tried in earnest and does not suffice."""
    latency_seconds: Annotated[float, Field(gt=0)] | None = None
    """Longest time that an answer may take."""
    requests_per_month: Annotated[int, Field(ge=0)] | None = None
    residency: Literal["any", "local"] | None = None
    """local: text must not leave the organisation's own machines."""
    domain: Literal["narrow", "broad"] | None = None
    """narrow: a simple, well-defined domain."""
    stage: Literal["prototype", "production"] | None = None
    budget_model: Literal["per_query", "predictable"] | None = None
    sensitive: bool | None = None
    """Whether the data are too sensitive to be put into weights."""
    access_rules: bool | None = None
    """Whether some documents are for some people only."""
    grounding_critical: bool | None = None
    """Whether an invented fact would do harm."""
    quick_start: bool | None = None
    """Whether a first result is needed within days."""
    varied_questions: bool | None = None
    accuracy_critical: bool | None = None
    """Whether the highest accuracy on one task is what counts."""
    specialised_vocabulary: bool | None = None
    """Whether there is jargon or notation that a general model handles badly."""
    large_structured_sources: bool | None = None
    """Whether the knowledge is a large body of documentation, archives or many sources."""
    document_tokens: Annotated[int, Field(ge=0)] | None = None
    """About how many tokens all documents have together."""

    def known(self) -> dict[str, Any]:
        """Return what is known, by question."""
        return self.model_dump(exclude_none=True)


def read_situation(values: Mapping[str, Any], *, origin: str) -> Situation:
    """Check answers. Raises UsageError that names each that is wrong. origin: where they come from, for the message."""
    values = {name: _read(name, value) for name, value in values.items() if value is not None}
    try:
        return Situation(**values)
    except ValidationError as error:
        problems = {str(problem["loc"][0]): _message(problem, values) for problem in error.errors()}
        unknown = [name for name in problems if name not in Situation.model_fields]
        hint = f"questions: {', '.join(Situation.model_fields)}" if unknown else "groundtune advise --help"
        raise UsageError(f"{origin}: {'; '.join(problems.values())}", hint=hint) from None


def alternatives(name: str) -> tuple[Any, ...]:
    """Return values of a question that lie on different sides of what guides and recommendation ask of it."""
    return _ALTERNATIVES.get(name) or get_args(get_args(Situation.model_fields[name].annotation)[0]) or (True, False)


_ALTERNATIVES: Mapping[str, tuple[Any, ...]] = {
    "problem": (("facts",), ("behaviour",), ("facts", "behaviour"), ("cost",), ("speed",)),
    "labelled_examples": (0, 100, 1_000, 10_000),
    "latency_seconds": (0.5, 3.0, 10.0),
    "requests_per_month": (1_000, 100_000, 10_000_000),
    "document_tokens": (20_000, 10_000_000),
}


def _read(name: str, value: Any) -> Any:
    """Return a value in the form of its question.

    A single problem is a list of one, `yes` and `no` are truths, and a whole number may be written as 1e6.
    """
    if name == "problem":
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    if isinstance(value, str) and value.lower() in ("yes", "no"):
        return value.lower() == "yes"
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _message(problem: Any, values: Mapping[str, Any]) -> str:
    """Say what is wrong with the answer to a question, and what it may be."""
    name, *inner = problem["loc"]
    if problem["type"] == "extra_forbidden":
        return f"{name}: there is no such question"
    given = values[name][inner[0]] if inner and isinstance(inner[0], int) else values[name]
    allowed = str(problem["msg"]).replace("Input should be", "must be").replace("'", "")
    if "boolean" in allowed:
        allowed = "must be yes or no"
    return f"{name}: {given!r} {allowed}" + (" (several: facts,speed)" if name == "problem" else "")
