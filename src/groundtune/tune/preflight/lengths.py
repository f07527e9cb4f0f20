"""Turn token counts into a histogram, and count the rows that a limit would truncate or empty. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.common.text import format_count
from groundtune.tune.preflight.findings import PreflightFinding, make_finding

BINS = 12


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class LengthReport:
    """Lengths of the rows of the train split, in tokens."""

    bins: tuple[Bin, ...]
    median: int
    p95: int
    longest: int
    limit: int | None
    """Maximum tokens of a row; None when unknown."""
    truncated: tuple[str, ...] = ()
    """Ids of rows that would be truncated."""
    dropped: tuple[str, ...] = ()
    """Ids of rows with nothing left to train on; not among `truncated`."""


def measure(
    tokens: Mapping[str, int], *, limit: int | None, starts: Mapping[str, int] | None = None
) -> LengthReport | None:
    """Summarise row lengths; None without rows. tokens, and starts (tokens before the trained part): by row id."""
    if not tokens:
        return None
    counts = sorted(tokens.values())
    too_long = [name for name, number in tokens.items() if limit is not None and number > limit]
    dropped = [name for name in too_long if starts is not None and limit is not None and starts[name] >= limit]
    return LengthReport(
        bins=_bins(counts),
        median=counts[(len(counts) - 1) // 2],
        p95=counts[min(len(counts) - 1, int(0.95 * len(counts)))],
        longest=counts[-1],
        limit=limit,
        truncated=tuple(name for name in too_long if name not in set(dropped)),
        dropped=tuple(dropped),
    )


def more_tokens_hint(*, capped: bool) -> str:
    """Return how to make room for more tokens. capped: the limit is the base model's."""
    return "use a base model with a larger context window" if capped else "raise max_tokens up to the context window"


def check(
    lengths: LengthReport, *, allowed: int, split: str = "train", about: str = "", capped: bool = False
) -> list[PreflightFinding]:
    """Report rows that exceed the limit.

    allowed: rows that may be truncated. about: a word before a number of tokens that is estimated. capped: the limit is
    the base model's.
    """
    findings = []
    truncated, emptied, limit = lengths.truncated, lengths.dropped, lengths.limit
    if emptied:
        rows = format_count(len(emptied))
        message = f"{split}: {rows} with nothing left to train on: the prompt alone has {limit:,} tokens or more"
        hint = f"{more_tokens_hint(capped=capped)}, shorten the inputs, or remove these rows"
        findings.append(make_finding("error", "length", message, hint=hint, rows=emptied))
    if truncated:
        longest = f"{about}{lengths.longest:,}"
        message = f"{split}: {format_count(len(truncated))} longer than {limit:,} tokens; the longest has {longest}"
        if len(truncated) > allowed:
            permit = f"set allow_truncation = {len(truncated)} (--allow-truncation {len(truncated)})"
            hint = f"{more_tokens_hint(capped=capped)}, shorten them, or {permit}"
            findings.append(make_finding("error", "length", message, hint=hint, rows=truncated))
        else:
            message += "; they are truncated, as allow_truncation permits"
            findings.append(make_finding("warning", "length", message, rows=truncated))
    return findings


def _bins(counts: Sequence[int]) -> tuple[Bin, ...]:
    """Return bins of equal, round width, from the shortest to the longest; counts are sorted."""
    low, high = counts[0], counts[-1]
    width = _round_up(max(1, (high - low + 1) / BINS))
    first = low // width * width
    bins = [Bin(start, start + width - 1, 0) for start in range(first, high + 1, width)]
    rows = [0] * len(bins)
    for number in counts:
        rows[(number - first) // width] += 1
    return tuple(Bin(empty.low, empty.high, number) for empty, number in zip(bins, rows, strict=True))


def _round_up(width: float) -> int:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= width:
                return step * power
        power *= 10
