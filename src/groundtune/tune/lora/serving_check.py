"""Record what a tuned model must output wherever it is served, and compare a server's output with it. Sends nothing.

models/<id>/parity/inputs.json         a few rows: messages, prompt tokens, likeliest first tokens, continuation
                   logits.safetensors  all logits of the first token, tuned and untrained, for our own generator
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.errors import MissingError
from groundtune.models.chat_template import decode_reply, render_prompt
from groundtune.models.reasoning import separate_reasoning
from groundtune.tune.lora import parity_gate
from groundtune.tune.lora.plan import LoraPlan
from groundtune.types import Artifact

FOLDER = "parity"
INPUTS = "inputs.json"
LOGITS = "logits.safetensors"
LEG = "generator that asks it"
"""Key of the local generator's figures in an artifact's details."""
GENERATOR = "local generator"
"""Name of the local generator in messages."""
NATS = 0.5
"""Tolerance for the difference of two log-probabilities on a server: a factor of 1.6. On small models, 16-bit weights
changed likely tokens by at most 0.02; a missing adapter or chat template changed them by 6. The margin leaves room for
8-bit and 4-bit weights; their effect was not measured."""
LIKELY = math.log(0.05)
"""Only tokens that are at least this likely are compared: rounding has a larger effect on less likely tokens."""


@dataclass(frozen=True, slots=True)
class ReferenceOutput:
    """One input, and the trained model's output for it."""

    id: str
    messages: Sequence[Mapping[str, str]]
    prompt_tokens: int
    first: Mapping[str, float]
    """Log-probabilities of the likeliest first tokens, by text."""
    untrained: Mapping[str, float]
    """Log-probabilities by the base model: of the same tokens, and of its own likeliest ones."""
    steps: Sequence[Mapping[str, float]]
    """For each token of the answer, the likeliest ones by text, with their log-odds to the best."""
    text: str
    ended: bool
    """Whether the answer ends within these tokens."""


@dataclass(frozen=True, slots=True)
class ServerOutput:
    """A server's output for one input; None where it did not report a value."""

    prompt_tokens: int | None
    text: str
    ended: bool
    tokens: Sequence[Mapping[str, float]] | None = None
    """For each token of its answer, log-probabilities by text: of the token it wrote, then of the likeliest others."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first token of a server's answer that the trained model would not have written."""

    token: int
    """Its place in the answer; the first is 1."""
    expected: str
    served: str
    nats: float | None
    """How much likelier the expected token is to the trained model; None if the other is not among its likeliest."""

    def __str__(self) -> str:
        likelier = "far likelier" if self.nats is None else f"{self.nats:.2f} nats likelier"
        return f"token {self.token} is {self.served!r}, where {self.expected!r} is {likelier} in the trained model"


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """One input on a server, compared with the trained model."""

    id: str
    prompt_tokens: tuple[int, int | None]
    """Number of prompt tokens locally and on the server."""
    first: tuple[str, str | None]
    """The likeliest first token locally and on the server."""
    difference: float | None
    """Largest difference in log-probability of likely first tokens, in nats."""
    text: tuple[str, str]
    same_words: bool
    """Whether the answers are the same, as far as both go."""
    divergence: Divergence | None = None
    """Where they part; None if they do not, or if the server does not report its tokens."""
    reasons: tuple[str, ...] = ()
    """Why it is not the same model with the same prompts."""


@dataclass(frozen=True, slots=True)
class ServingCheck:
    """Whether a server gives the output of the trained model."""

    place: str
    tolerance: float
    rows: tuple[OutputComparison, ...]
    notes: tuple[str, ...] = ()
    """Remarks on what could not be compared, and on near ties."""
    reasons: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        reasons = [f"row {row.id}: {reason}" for row in self.rows for reason in row.reasons]
        object.__setattr__(self, "reasons", tuple(reasons))

    @property
    def same_words(self) -> int:
        """Number of inputs that the server answers in the words of the trained model."""
        return sum(row.same_words for row in self.rows)


def write_references(
    plan: LoraPlan, folder: Path, prompts: Sequence[Sequence[int]], wanted: parity_gate.ModelTrace, untrained: Any
) -> None:
    """Write both files. wanted: trace of the model in the precision in which it is served."""
    folder.mkdir()
    parity_gate.write_trace(folder / LOGITS, prompts, wanted, untrained=untrained)
    text = plan.format.tokenizer.decode
    entries = []
    for n, (row, prompt) in enumerate(zip(parity_gate.input_rows(plan), prompts, strict=True)):
        messages, _ = render_prompt(plan.format.tokenizer, row.messages[:-1])
        odds, before = (logits[n].double().log_softmax(-1) for logits in (wanted.logits, untrained))
        ids = list(reversed(wanted.likeliest[n][0]))
        ended = wanted.token_ids[n][-1] in plan.format.end_ids
        words = wanted.token_ids[n][:-1] if ended else wanted.token_ids[n]
        entries.append(
            ReferenceOutput(
                id=row.id,
                messages=messages,
                prompt_tokens=len(prompt),
                first={text([token]): float(odds[token]) for token in ids},
                untrained={
                    text([token]): float(before[token]) for token in (*ids, *before.topk(len(ids)).indices.tolist())
                },
                steps=[_steps(step, text) for step in wanted.likeliest[n][: len(words)]],
                text=decode_reply(plan.format.tokenizer, words, prompt=text(prompt)),
                ended=ended,
            )
        )
    write_json(folder / INPUTS, {"dtype": plan.dtype, "inputs": [asdict(entry) for entry in entries]})


def _steps(step: Mapping[int, float], text: Any) -> dict[str, float]:
    best, relative = max(step.values()), dict[str, float]()
    for token, odds in step.items():
        relative.setdefault(text([token]), odds - best)  # of two tokens with the same text, the likelier stays
    return relative


def read_references(folder: Path, artifact: Artifact) -> list[ReferenceOutput]:
    """Read the recorded inputs. folder: of the artifact. Raises MissingError for an artifact without them."""
    path = folder / FOLDER / INPUTS
    if not path.exists():
        raise MissingError(
            f"{artifact.id} has no {FOLDER}/{INPUTS} to compare with", hint=f"groundtune tune {artifact.name} --fresh"
        )
    return [ReferenceOutput(**entry) for entry in read_json(path)["inputs"]]


def compare_generator(
    folder: Path, prompts: Sequence[Sequence[int]], actual: parity_gate.ModelTrace, *, dtype: str
) -> tuple[dict[str, Any], str | None]:
    """Compare our own generator's output for the inputs, in order: figures, and why they differ too much, or None.

    folder: of the artifact. dtype: precision in which the generator computed.
    """
    recorded_prompts, expected, more = parity_gate.read_trace(folder / FOLDER / LOGITS)
    for ids, mine in zip(recorded_prompts, prompts, strict=True):
        if ids != list(mine):
            return {}, f"the {GENERATOR} reads {len(mine)} prompt tokens that differ from the trainer's {len(ids)}"
    about = read_json(folder / FOLDER / INPUTS)
    coarsest = next((name for name in ("bfloat16", "float16") if name in (dtype, about["dtype"])), "float32")
    words = tuple(mine[: parity_gate.STEPS] for mine in actual.token_ids)
    figures, reason = parity_gate.compare_traces(
        replace(actual, token_ids=words), expected, more["untrained"], leg=GENERATOR, dtype=coarsest
    )
    return {**figures, "dtype": dtype}, reason


def compare_server(
    place: str, pairs: Sequence[tuple[ReferenceOutput, ServerOutput]], *, tolerance: float = NATS
) -> ServingCheck:
    """Compare a server's output with the trained model's. tolerance: of log-probabilities, in nats."""
    notes = []
    if any(served.prompt_tokens is None for _, served in pairs):
        notes.append("the server reports no usage.prompt_tokens: its chat template was not compared")
    if any(not served.tokens for _, served in pairs):
        notes.append("the server reports no logprobs: only the words were compared")
    rows = tuple(_compare(*pair, tolerance) for pair in pairs)
    notes += [
        f"row {row.id}: other words after a near tie: {row.divergence}"
        for row in rows
        if row.divergence is not None and _is_near_tie(row.divergence, tolerance)
    ]
    return ServingCheck(place, tolerance, rows, tuple(notes))


def _compare(expected: ReferenceOutput, served: ServerOutput, tolerance: float) -> OutputComparison:
    reasons = []
    if served.prompt_tokens not in (None, expected.prompt_tokens):
        reasons.append(
            f"the server reports {served.prompt_tokens} prompt tokens, "
            f"but the trained model sees {expected.prompt_tokens}"
            f"{_template(served.prompt_tokens - expected.prompt_tokens)}"
        )
    theirs = dict(served.tokens[0]) if served.tokens else {}
    least = min(LIKELY, max(expected.first.values()))
    gaps = {text: _gap(text, odds, theirs) for text, odds in expected.first.items() if theirs and odds >= least}
    worst = max(gaps, key=lambda text: gaps[text], default=None)
    if worst is not None and gaps[worst] > tolerance:
        served_odds = _lookup(worst, theirs)
        finding = (
            "is not among the top tokens that the server reports"
            if served_odds is None
            else f"has log-probability {served_odds:.2f} on the server"
        )
        reasons.append(
            f"the first token {worst!r} {finding} but {expected.first[worst]:.2f} in the trained model; "
            f"the difference of {gaps[worst]:.2f} exceeds the tolerance of {tolerance:g}"
            + ("" if reasons else _base(expected, theirs, tolerance))
        )
    same_words = _same_words(expected, served)
    divergence = None if same_words else _divergence(expected, served)
    if not same_words and not (divergence is not None and _is_near_tie(divergence, tolerance)):
        reasons.append(_other_words(expected, served, divergence))
    likeliest = max(theirs, key=lambda text: theirs[text]) if theirs else None
    return OutputComparison(
        id=expected.id,
        prompt_tokens=(expected.prompt_tokens, served.prompt_tokens),
        first=(max(expected.first, key=lambda text: expected.first[text]), likeliest),
        difference=None if worst is None else gaps[worst],
        text=(expected.text, served.text),
        same_words=same_words,
        divergence=divergence,
        reasons=tuple(reasons),
    )


def _template(more: int) -> str:
    if more == 1:
        return ": it may add a second beginning-of-text token"
    too_short = ", or its context window is too small" if more < 0 else ""
    return f": it probably uses a different chat template, or none{too_short}"


def _base(expected: ReferenceOutput, theirs: Mapping[str, float], tolerance: float) -> str:
    """Say whether the base model seems to answer instead, given the correct tokens; empty when it does not."""
    likeliest = max(theirs, key=lambda text: theirs[text])
    odds = _lookup(likeliest, expected.untrained)
    alike = odds is not None and abs(odds - theirs[likeliest]) <= tolerance
    return "; the untrained base model answers like this" if alike else ""


def _gap(text: str, odds: float, theirs: Mapping[str, float]) -> float:
    """Return the smallest possible difference, as an unreported token is less likely than every reported one."""
    served_odds = _lookup(text, theirs)
    return abs(odds - served_odds) if served_odds is not None else max(0.0, odds - min(theirs.values()))


def _lookup(text: str, theirs: Mapping[str, float]) -> float | None:
    """Look up a token; servers write it with or without the space before it."""
    if text in theirs:
        return theirs[text]
    return next((odds for other, odds in theirs.items() if other.strip() == text.strip() != ""), None)


def _answers(expected: ReferenceOutput, served: ServerOutput) -> tuple[str, str]:
    """Return both answers, without thinking and the space around them."""
    ours, theirs = (separate_reasoning(text).text.strip() for text in (expected.text.rstrip("\ufffd"), served.text))
    return ours, theirs


def _same_words(expected: ReferenceOutput, served: ServerOutput) -> bool:
    """Whether both answers are the same, as far as both go, and end alike."""
    ours, theirs = _answers(expected, served)
    if expected.ended:
        return ours == theirs and served.ended
    return theirs.startswith(ours) or (ours.startswith(theirs) and not served.ended)


def _divergence(expected: ReferenceOutput, served: ServerOutput) -> Divergence | None:
    """Return where the server's tokens part from the trained model's; None if they do not, or are not known."""
    for place, (step, token) in enumerate(zip(expected.steps, served.tokens or (), strict=False), start=1):
        best, wrote = max(step, key=lambda text: step[text]), next(iter(token))
        if wrote.strip() != best.strip():
            odds = _lookup(wrote, step)
            return Divergence(place, best, wrote, None if odds is None else -odds)
    return None


def _is_near_tie(divergence: Divergence, tolerance: float) -> bool:
    """Whether the tolerance of both tokens explains it."""
    return divergence.nats is not None and divergence.nats <= 2 * tolerance


def _other_words(expected: ReferenceOutput, served: ServerOutput, divergence: Divergence | None) -> str:
    """Say how the answers differ."""
    ours, theirs = _answers(expected, served)
    if expected.ended and theirs.startswith(ours) and not served.ended:
        return f"it does not end its answer after {ours[-40:]!r}, as the model was trained to"
    where = f"; {divergence}" if divergence is not None else ""
    return f"it answers {theirs[:80]!r}, the trained model {ours[:80]!r}{where}"
