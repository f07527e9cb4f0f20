"""Say which values OpenAI's parameters may have here, and refuse the others. Drops none silently."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from groundtune.common.text import storable

SAMPLING = "the models of the project file decide it, as they were compared"
TOOLS = "tools are not supported: answers come from the project's documents"
FORMAT = "the task of the project decides the form of answers"
STATELESS = "nothing is stored here: send the whole conversation"


def only(*values: Any, why: str) -> AfterValidator:
    """Return the check of a parameter that may be left out or have one of these values, which change nothing."""
    accepted = [None, *values]

    def check(value: Any) -> Any:
        if not any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in accepted):
            raise PydanticCustomError("unsupported_value", "this value is not supported: {why}", {"why": why})
        return value

    return AfterValidator(check)


Temperature = Annotated[float, Field(ge=0, le=2)] | None
MaxTokens = Annotated[int, Field(ge=1)] | None
Stop = str | Annotated[list[str], Field(max_length=4)] | None
Echoed = Annotated[str, AfterValidator(storable)]
"""A text that the reply repeats."""
Ignored = Any
"""A parameter that says something about the request, not about the answer: it is accepted and not used."""


Filters = dict[str, str | Annotated[list[str], Field(min_length=1)]]
"""Maps a metadata key to its value, or to several of which one must match."""


class GroundtuneOptions(BaseModel):
    """What clients may ask of groundtune beyond the protocol, as `extra_body={"groundtune": {…}}`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    sources: bool = False
    """Whether a stream also has an event for each cited passage, with its text, as Open WebUI shows it."""
    filters: Filters = {}
    """Conditions on the metadata of documents."""
