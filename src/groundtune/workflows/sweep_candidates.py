"""List the ways of retrieving that a sweep tries: how documents are split, and by which embedder. Measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.config import Config
from groundtune.config.project_file import PassagesConfig

PRESENT = "present"
"""The embedder of the project file, beside those under [sweep.embedders]."""
LONG_LIMIT = 400
"""Longest text of an embedder, in tokens, from which passages above 220 tokens are tried."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One index to try. Fusion weights and rerankers are tried on the same index."""

    passages: PassagesConfig
    embedder: str = PRESENT
    """Its name under [sweep.embedders], or `PRESENT`."""

    @property
    def name(self) -> str:
        described = describe_passages(self.passages)
        return described if self.embedder == PRESENT else f"{described}, {self.embedder}"

    def applied(self, config: Config) -> Config:
        """Return the configuration with this candidate in place of the project's own settings."""
        changes: dict[str, Any] = {"passages": self.passages}
        if self.embedder != PRESENT:
            changes["embedder"] = config.sweep.embedders[self.embedder]
        return config.model_copy(update=changes)


def describe_passages(passages: PassagesConfig) -> str:
    """Return the settings in words: `paragraph 220`, `fixed 128 + 32`, `parent-child 64 in 660, title before`."""
    match passages.strategy:
        case "paragraph":
            text = f"paragraph {passages.max_tokens}"
        case "fixed":
            text = f"fixed {passages.max_tokens} + {passages.overlap_tokens}"
        case "sentence-window":
            text = f"sentence-window {passages.window}"
        case "parent-child":
            text = f"parent-child {passages.max_tokens} in {passages.parent_tokens}"
        case "document":
            text = f"document {passages.parent_tokens}"
    before = {"headings": "", "title": ", title before", "none": ", nothing before"}
    return text + before[passages.context]


def list_candidates(config: Config, limits: Mapping[str, int]) -> list[Candidate]:
    """Return the candidates, the present settings first. limits: the longest text of each embedder, in tokens."""
    present = Candidate(config.passages)
    others = (
        Candidate(passages, embedder)
        for embedder, limit in limits.items()
        for passages in [config.passages, *_variants(config.passages, limit)]
    )
    named: dict[str, Candidate] = {}
    for candidate in (present, *others):
        named.setdefault(candidate.name, candidate)
    return list(named.values())


def _variants(present: PassagesConfig, limit: int) -> Iterator[PassagesConfig]:
    """Yield the ways to split for an embedder: each strategy, three sizes of paragraphs, and what stands before one."""
    sizes: Sequence[int] = (110, 220, 440) if limit >= LONG_LIMIT else (64, 110, 220)
    changes: list[dict[str, Any]] = [{"max_tokens": size} for size in sizes]
    changes += [{"max_tokens": sizes[-1], "context": context} for context in ("title", "none")]
    changes += [{"strategy": "fixed", "max_tokens": size, "overlap_tokens": size // 4} for size in (128, sizes[-1])]
    changes += [{"strategy": "sentence-window", "max_tokens": sizes[-1], "window": window} for window in (1, 3)]
    changes += [{"strategy": "parent-child", "max_tokens": 64, "parent_tokens": parent} for parent in (330, 660)]
    changes += [{"strategy": "document", "max_tokens": sizes[-1], "parent_tokens": 4000}]
    for change in changes:
        least = min(60, change["max_tokens"])
        values = {"strategy": "paragraph", "min_tokens": least, "context": "headings", **change}
        yield PassagesConfig.model_validate({**present.model_dump(), **values})
