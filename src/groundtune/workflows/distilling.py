"""Let a stronger approach label inputs, and keep only what it can prove. Never touches the test split."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.errors import BudgetError, ConfigError, GroundtuneError, MissingError, Problem, UsageError
from groundtune.loop import side_by_side
from groundtune.measure.formats import write_examples
from groundtune.measure.metrics import without_markers
from groundtune.protocols import Approach
from groundtune.tune.preflight.findings import folded
from groundtune.types import Answer, Evidence, Example, Question
from groundtune.workspace import digest_text

VERBATIM = "quote-"
"""Names of the approaches that write nothing of their own begin so."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """What came of the inputs; every one is kept or counted."""

    file: Path
    inputs: int
    kept: int
    left_out: Mapping[str, int]
    """Reason to number of inputs."""
    spent_usd: float


async def distil(
    approach: Approach,
    inputs: Path,
    target: Path,
    *,
    known: Sequence[Example],
    min_confidence: float,
    concurrency: int,
    spent: Callable[[], float] = lambda: 0.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Distilled:
    """Ask every input, and write train examples out of the answers whose citations are all exact, or whose confidence
    is at least `min_confidence`.

    inputs: one text a line, or one JSON object a line with "input". known: examples that there are already; an input
    that is one of theirs is left out, so that nothing of the test split is trained on. The origin of each row says who
    labelled it. Raises MissingError, ConfigError, and BudgetError when the next call might pass the budget; what is
    under way is waited for first, so that it is in the cache.
    """
    if target.exists():
        raise UsageError(f"{target} is there already", hint="name another file, or remove it")
    texts = read_inputs(inputs)
    seen = {folded(example.input) for example in known}
    found: dict[int, Example] = {}
    left_out: Counter[str] = Counter()
    waiting = iter(enumerate(texts))
    stopped: list[BudgetError] = []
    verbatim = approach.name.startswith(VERBATIM)
    done = 0

    async def work() -> None:
        nonlocal done
        for at, text in waiting:
            if stopped:
                return
            if folded(text) in seen:
                left_out["is an example already"] += 1
            else:
                try:
                    answer = await approach.answer(Question(text))
                    kept, reason = judge(answer, min_confidence=min_confidence, verbatim=verbatim)
                except BudgetError as error:
                    stopped.append(error)
                    return
                except GroundtuneError as error:
                    if error.exit_code not in (3, 4):
                        raise
                    kept, reason = None, f"error: {getattr(error, 'kind', 'missing')}"
                if kept is None:
                    left_out[reason] += 1
                else:
                    output, evidence = kept
                    origin = f"distilled with {approach.name}"
                    number = f"distilled-{digest_text(text)[:12]}"
                    found[at] = Example(number, text, output, evidence, "train", origin=origin)
            done += 1
            progress(done, len(texts))

    await side_by_side(work, max(1, concurrency))
    if stopped:
        raise stopped[0]
    if found:
        write_examples(target, [found[at] for at in sorted(found)])
    return Distilled(target, len(texts), len(found), dict(left_out), spent())


def judge(
    answer: Answer, *, min_confidence: float, verbatim: bool = False
) -> tuple[tuple[object, tuple[Evidence, ...]] | None, str]:
    """Output and evidence of an answer that may be learnt from; else None and why not.

    verbatim: it is a quote, whose citation is exact whether it answers or not.
    """
    if answer.status == "abstained":
        return None, "abstained"
    sure = answer.confidence is not None and answer.confidence >= min_confidence
    exact = bool(answer.citations) and all(citation.support == "exact" for citation in answer.citations)
    if not (sure or (exact and not verbatim)):
        return None, "a quote, and not sure" if verbatim else "neither cited exactly nor sure"
    evidence = tuple(
        dict.fromkeys(Evidence(one.source, one.quote) for one in answer.citations if one.source and one.quote)
    )
    text = re.sub(r"\s+([.,;:!?])", r"\1", " ".join(without_markers(answer).split()))
    return (text if answer.output is None else answer.output, evidence), ""


def read_inputs(path: Path) -> list[str]:
    """Each text once, in the order of the file. Raises MissingError, ConfigError with every problem."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise MissingError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")]) from None
    texts: dict[str, None] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        text = line.strip()
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            try:
                row = json.loads(line)
                text = row["input"].strip()
            except (ValueError, KeyError, TypeError, AttributeError):
                problems.append(Problem(path, "no object with an input", number, 'write {"input": "…"}'))
                continue
        if text:
            texts[text] = None
    if problems:
        raise ConfigError(problems)
    if not texts:
        raise ConfigError([Problem(path, "has no inputs", hint="one a line")])
    return list(texts)
