"""Label inputs with a stronger approach and keep only supported answers. Never touches the test split."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.common.answers import request_answer
from groundtune.common.event_loop import run_workers
from groundtune.common.files import digest_text
from groundtune.common.support import EXACT
from groundtune.common.text import format_count
from groundtune.dataset.importing.convert import write_examples
from groundtune.dataset.new_examples import KnownInputs, distilled
from groundtune.display import Block, Displayed, Line
from groundtune.errors import BudgetError, ConfigError, GroundtuneError, MissingError, Problem, UsageError
from groundtune.measure.metrics import training_text
from groundtune.protocols import Approach
from groundtune.types import Answer, Evidence, Example, Question

QUOTE_PREFIX = "quote-"
"""Name prefix of the approaches that only quote."""


@dataclass(frozen=True, slots=True)
class DistillationReport(Displayed):
    """The outcome of distillation; every input is either kept or counted in `left_out`."""

    file: Path
    inputs: int
    kept: int
    left_out: Mapping[str, int]
    """Reason to number of inputs left out."""
    spent_usd: float

    def view(self) -> list[Block]:
        """Return how many inputs were kept, and why the others were not."""
        return [
            Line(f"{self.kept:,} of {format_count(self.inputs, 'input')} kept in {self.file}", "strong"),
            *(Line(f"{number:,} dropped: {reason}", indent=1) for reason, number in self.left_out.items()),
        ]


async def distil(
    approach: Approach,
    inputs: Path,
    target: Path,
    *,
    existing: Sequence[Example],
    language: str,
    min_confidence: float,
    concurrency: int,
    spent: Callable[[], float] = lambda: 0.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> DistillationReport:
    """Label every input and write the well-supported answers as training examples.

    An answer is kept if all its citations are exact, or if its confidence is at least `min_confidence`. inputs: one
    text per line, or one JSON object with "input" per line. existing: examples of the project; inputs that are already
    among them, or nearly in the validation or test split, are skipped, so that nothing that is measured with is trained
    on. The origin of each row names its approach. Raises MissingError, ConfigError, and BudgetError when the next call
    might exceed the budget, after waiting for the calls in progress so that they reach the cache.
    """
    if target.exists():
        raise UsageError(f"{target} already exists", hint="name another file, or remove it")
    texts = read_inputs(inputs)
    there = KnownInputs(existing, language=language)
    labelled: dict[int, Example] = {}
    left_out: Counter[str] = Counter()
    waiting = iter(enumerate(texts))
    budget_errors: list[BudgetError] = []
    done = 0

    async def work() -> None:
        nonlocal done
        for at, text in waiting:
            if budget_errors:
                return
            try:
                example, reason = await _label(approach, text, there, min_confidence)
            except BudgetError as error:
                budget_errors.append(error)
                return
            if example is None:
                left_out[reason] += 1
            else:
                labelled[at] = example
            done += 1
            progress(done, len(texts))

    await run_workers(work, max(1, concurrency))
    if budget_errors:
        raise budget_errors[0]
    if labelled:
        write_examples(target, [labelled[at] for at in sorted(labelled)])
    return DistillationReport(target, len(texts), len(labelled), dict(left_out), spent())


async def _label(
    approach: Approach, text: str, there: KnownInputs, min_confidence: float
) -> tuple[Example | None, str]:
    """Return the training example for an input; else None and the reason. Raises BudgetError."""
    if refused := there.why_not(text):
        return None, refused.partition(" (")[0]
    try:
        answer = await request_answer(approach, Question(text))
    except BudgetError:
        raise
    except GroundtuneError as error:
        if error.exit_code not in (3, 4):
            raise
        return None, f"error: {getattr(error, 'kind', 'missing')}"
    verbatim = approach.name.startswith(QUOTE_PREFIX)
    accepted, reason = accept_answer(answer, min_confidence=min_confidence, verbatim=verbatim)
    if accepted is None:
        return None, reason
    output, evidence = accepted
    example_id = f"distilled-{digest_text(text)[:12]}"
    return Example(example_id, text, output, evidence, "train", origin=distilled(approach.name)), ""


def accept_answer(
    answer: Answer, *, min_confidence: float, verbatim: bool = False
) -> tuple[tuple[object, tuple[Evidence, ...]] | None, str]:
    """Return the output and evidence of an answer that is safe to train on; else None and the reason.

    verbatim: the answer is a quote, so its citation is exact whether or not it answers the question.
    """
    if answer.status == "abstained":
        return None, "abstained"
    if answer.cut:
        return None, f"cut off at {answer.cut}"
    confident = answer.confidence is not None and answer.confidence >= min_confidence
    cites = any(citation.marker is not None and not citation.added for citation in answer.citations)
    exact = cites and all(citation.support == EXACT for citation in answer.citations)
    if not (confident or (exact and not verbatim)):
        unsure = "neither cited exactly nor sure" if cites else "not cited, and not sure"
        return None, "a quote, and not sure" if verbatim else unsure
    evidence = tuple(
        dict.fromkeys(
            Evidence(citation.source, citation.quote)
            for citation in answer.citations
            if citation.source and citation.quote
        )
    )
    return (training_text(answer) if answer.output is None else answer.output, evidence), ""


def read_inputs(path: Path) -> list[str]:
    """Read each distinct text, in file order. Raises MissingError, ConfigError with every problem."""
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
                problems.append(Problem(path, 'not an object with an "input" key', number, 'write {"input": "…"}'))
                continue
        if text:
            texts[text] = None
    if problems:
        raise ConfigError(problems)
    if not texts:
        raise ConfigError([Problem(path, "has no inputs", hint="write one per line")])
    return list(texts)
