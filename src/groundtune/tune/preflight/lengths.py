"""Token counts to a histogram, and how many rows a limit would cut or empty. Pure; counts no tokens itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.tune.preflight.findings import Finding, counted, finding

BINS = 12


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows with `low` to `high` tokens, both included."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the rows of the train split are, in tokens."""

    bins: tuple[Bin, ...]
    median: int
    p95: int
    longest: int
    limit: int | None
    """Tokens that are taken of a row; None when nobody knows."""
    truncated: tuple[str, ...] = ()
    """Ids of rows that would lose their end."""
    dropped: tuple[str, ...] = ()
    """Ids of rows of which nothing would be left to train; not among `truncated`."""


def measure(tokens: Mapping[str, int], *, limit: int | None, starts: Mapping[str, int] | None = None) -> Lengths | None:
    """tokens: of each row, by id. starts: tokens before what is trained, of each row. None without rows."""
    if not tokens:
        return None
    found = sorted(tokens.values())
    long = [name for name, number in tokens.items() if limit is not None and number > limit]
    dropped = [name for name in long if starts is not None and limit is not None and starts[name] >= limit]
    return Lengths(
        bins=_bins(found),
        median=found[(len(found) - 1) // 2],
        p95=found[min(len(found) - 1, int(0.95 * len(found)))],
        longest=found[-1],
        limit=limit,
        truncated=tuple(name for name in long if name not in set(dropped)),
        dropped=tuple(dropped),
    )


def longer(*, capped: bool) -> str:
    """What makes room for more tokens. capped: the base reads no more than the limit."""
    return "take a base that reads more" if capped else "raise max_tokens as far as the base goes"


def check(
    found: Lengths, *, allowed: int, split: str = "train", about: str = "", capped: bool = False
) -> list[Finding]:
    """allowed: rows that may be cut. about: a word before a number of tokens that is estimated. capped: the base reads
    no more than the limit.
    """
    findings = []
    cut, lost, limit = found.truncated, found.dropped, found.limit
    if lost:
        message = f"{split}: {counted(len(lost))} would train nothing: the prompt alone has {limit:,} tokens or more"
        hint = f"{longer(capped=capped)}, shorten the inputs, or remove these rows"
        findings.append(finding("error", "length", message, hint=hint, rows=lost))
    if cut:
        message = f"{split}: {counted(len(cut))} longer than {limit:,} tokens; the longest has {about}{found.longest:,}"
        if len(cut) > allowed:
            let = f"allow_truncation = {len(cut)} (--allow-truncation {len(cut)})"
            hint = f"{longer(capped=capped)}, shorten them, or {let}"
            findings.append(finding("error", "length", message, hint=hint, rows=cut))
        else:
            message += "; they lose their end, as allow_truncation permits"
            findings.append(finding("warning", "length", message, rows=cut))
    return findings


def _bins(counts: Sequence[int]) -> tuple[Bin, ...]:
    """Of equal, round width, from the shortest to the longest; counts are in order."""
    low, high = counts[0], counts[-1]
    width = _round_up(max(1, (high - low + 1) / BINS))
    first = low // width * width
    made = [Bin(start, start + width - 1, 0) for start in range(first, high + 1, width)]
    rows = [0] * len(made)
    for number in counts:
        rows[(number - first) // width] += 1
    return tuple(Bin(one.low, one.high, number) for one, number in zip(made, rows, strict=True))


def _round_up(width: float) -> int:
    """To 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= width:
                return step * power
        power *= 10
