"""Read guides from TOML files, and add up what each says of a situation, as its author wrote it.

A guide is data: items with a condition and what they speak for, in the order of the guide, and how they add up.

    name = "F"
    title = "How we decide"
    adding_up = "first"            # first | sides | majority
    default = { says = "rag", because = "…", place = "…" }

    [[items]]
    place = "question 1"
    when = { knowledge_changes = ["daily", "weekly"] }
    says = "rag"                   # rag | fine-tune | either
    because = "…"
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from groundtune.advice.conditions import check_condition, holds
from groundtune.advice.situation import Situation
from groundtune.errors import UsageError

Says = Literal["rag", "fine-tune", "both", "either", "undecided"]
AddingUp = Literal["first", "sides", "majority"]
"""first: the first item that holds decides. sides: items of one side only decide for it, of both sides for both.
majority: the side with more items, a tie is both; `either` counts for neither."""
TEAM_FOLDER = "guides"
"""Folder of a project with the team's own guides."""


class GuideItem(BaseModel):
    """One condition of a guide, and what it speaks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    says: Literal["rag", "fine-tune", "either"]
    because: str
    place: str
    when: dict[str, Any] = {}


class GuideRemark(BaseModel):
    """What a guide adds to its decision, where a condition holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    place: str
    when: dict[str, Any] = {}
    beside: Literal["rag", "fine-tune", "both"] | None = None
    """The decision that it is added to; None: any."""


class Guide(BaseModel):
    """A decision guide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    author: str = ""
    date: str = ""
    adding_up: AddingUp
    default: GuideItem | None = None
    """What it says where no item decides; None: it stays undecided."""
    items: tuple[GuideItem, ...]
    remarks: tuple[GuideRemark, ...] = ()
    costs: tuple[str, ...] = ()
    """What it says of cost and time."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a guide says of a situation."""

    guide: str
    title: str
    says: Says
    because: str
    place: str
    remarks: tuple[str, ...] = ()
    by_default: bool = False
    """Whether no question decided, so that it says what it says to everybody."""
    source: str = ""
    """Author and date."""


def published_guides() -> list[Guide]:
    """Return the guides that come with groundtune."""
    folder = files("groundtune.advice") / "published"
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".toml")}
    return [read_guide(text, origin=name) for name, text in sorted(texts.items())]


def team_guides(root: Path) -> list[Guide]:
    """Return the guides in the folder `guides` of a project. Raises UsageError for one that cannot be read."""
    found = []
    for file in sorted((root / TEAM_FOLDER).glob("*.toml")):
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
        found.append(read_guide(text, origin=str(file)))
    return found


def read_guide(text: str, *, origin: str) -> Guide:
    """Read one guide. Raises UsageError that says what is wrong. origin: name of the file, for the message."""
    try:
        guide = Guide.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(
            f"{origin} is no guide: {_reason(error)}", hint="docs/advise.md describes the format"
        ) from None
    parts: tuple[GuideItem | GuideRemark, ...] = (*guide.items, *guide.remarks)
    for part in parts:
        if problem := check_condition(part.when):
            raise UsageError(f"{origin}, {part.place}: {problem}")
    return guide


def apply_guide(guide: Guide, situation: Situation) -> Opinion:
    """Add up what a guide says of a situation."""
    applying = [item for item in guide.items if holds(item.when, situation)]
    says, deciding = _RULES[guide.adding_up](applying)
    by_default = says is None
    if says is None:
        says, deciding = (guide.default.says, [guide.default]) if guide.default else ("undecided", [])
    remarks = tuple(
        f"{remark.text} ({remark.place})"
        for remark in guide.remarks
        if remark.beside in (None, says) and holds(remark.when, situation)
    )
    because = "; ".join(dict.fromkeys(item.because for item in deciding)) or "no question that it asks is answered"
    place = "; ".join(dict.fromkeys(item.place for item in deciding))
    source = ", ".join(filter(None, (guide.author, guide.date)))
    return Opinion(guide.name, guide.title, says, because, place, remarks, by_default, source)


Deciding = tuple[Says | None, Sequence[GuideItem]]


def _first(applying: Sequence[GuideItem]) -> Deciding:
    return (applying[0].says, applying[:1]) if applying else (None, ())


def _sides(applying: Sequence[GuideItem]) -> Deciding:
    sides = {item.says for item in applying} - {"either"}
    if len(sides) == 2:
        return "both", applying
    return (sides.pop(), applying) if sides else (None, ())


def _majority(applying: Sequence[GuideItem]) -> Deciding:
    rag, tuning = (_of(applying, side) for side in ("rag", "fine-tune"))
    if len(rag) != len(tuning):
        longer = max(rag, tuning, key=len)
        return longer[0].says, longer
    if not applying:
        return None, ()
    return ("both" if rag else "either"), applying


def _of(items: Iterable[GuideItem], side: str) -> list[GuideItem]:
    return [item for item in items if item.says == side]


_RULES = {"first": _first, "sides": _sides, "majority": _majority}
assert set(_RULES) == set(get_args(AddingUp))


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
