"""Define and validate the table [review] of the project file. Reviews nothing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from groundtune.config.values import AsTuple, Fraction, Pattern, Seconds, Section, Texts, value_error

HoldReason = Literal["low_confidence", "abstained", "unsupported", "all"]


class ReviewConfig(Section):
    """Which served answers people look at, who may do so, and which answers wait for them."""

    sample: Fraction = 0.05
    """Share of all answers that come into the queue whatever they are like."""
    low_confidence: Fraction = 0.5
    """Answers with less confidence come into the queue."""
    reviewers: Annotated[int, Field(ge=1, le=9)] = 1
    """People who have to decide an item; while they disagree, one more is asked."""
    groups: Texts = ()
    """Access groups whose members may review in the server; none: only whoever needs no key."""
    hold: Annotated[tuple[HoldReason, ...], AsTuple] = ()
    """Answers that are sent only once a person has decided, by the reason why they are doubtful."""
    hold_seconds: Seconds = 60
    """How long such a request waits; then it gets the id under which the answer can be fetched later."""
    file: Pattern = "reviewed.jsonl"
    """File of examples that reviewed answers are promoted into."""

    @model_validator(mode="after")
    def _one_file(self) -> Self:
        if not self.file.endswith(".jsonl") or any(char in self.file for char in "*?["):
            raise value_error(f'"{self.file}" is no file of examples', hint='write "reviewed.jsonl"', key="file")
        return self
