"""What a tuned model must give wherever it is served: kept beside it, held against what a server gives. Asks nobody.

models/<id>/parity/inputs.json         a few rows: messages, prompt tokens, likeliest first tokens, what follows
                   logits.safetensors  all logits of the first token, tuned and untrained, for our own generator
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.chat_template import prompted
from groundtune.errors import MissingError
from groundtune.tune.lora import parity
from groundtune.tune.lora.plan import Plan
from groundtune.types import Artifact
from groundtune.workspace import read_json, write_json

FOLDER = "parity"
INPUTS = "inputs.json"
LOGITS = "logits.safetensors"
LEG = "generator that asks it"
NATS = 0.5
"""Difference of two log-probabilities that a server is allowed: a factor of 1.6. On small models 16 bits moved
likely tokens by 0.02 at most, a missing training or chat template by 6. What lies between is for weights in 8 and 4
bits; how much these take was not measured."""
LIKELY = math.log(0.05)
"""Only tokens that are at least this likely are compared: rounding moves the odds of the others by more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One input, and what the trained model makes of it."""

    id: str
    messages: Sequence[Mapping[str, str]]
    prompt_tokens: int
    first: Mapping[str, float]
    """Text of the likeliest first tokens to their log-probability."""
    untrained: Mapping[str, float]
    """The same tokens, and the likeliest ones of the base, by the base."""
    steps: Sequence[Mapping[str, float]]
    """For each token of the answer the text of the likeliest ones, with their log-odds to the best."""
    text: str
    ended: bool
    """Whether the answer ends within these tokens."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server said to one input; None where it did not tell."""

    prompt_tokens: int | None
    text: str
    ended: bool
    tokens: Sequence[Mapping[str, float]] | None = None
    """For each token of its answer the text of what it wrote, and of the likeliest others, to their log-probability."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One input on a server beside what was trained."""

    id: str
    prompt_tokens: tuple[int, int | None]
    """Ours, the server's."""
    first: tuple[str, str | None]
    """The likeliest first token here and there."""
    difference: float | None
    """Largest of the log-probabilities of likely first tokens, in nats."""
    text: tuple[str, str]
    reasons: tuple[str, ...] = ()
    """Why it is not the same model, asked in the same way."""


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a server gives what was trained."""

    place: str
    tolerance: float
    rows: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()
    """What could not be compared."""
    reasons: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = [f"row {row.id}: {reason}" for row in self.rows for reason in row.reasons]
        object.__setattr__(self, "reasons", tuple(found))


def keep(plan: Plan, folder: Path, prompts: Sequence[Sequence[int]], wanted: parity.Trace, untrained: Any) -> None:
    """Writes both files. wanted: of the model in the precision in which it is served."""
    folder.mkdir()
    parity.write_trace(folder / LOGITS, prompts, wanted, untrained=untrained)
    text = plan.form.tokenizer.decode
    asked = []
    for n, (row, prompt) in enumerate(zip(parity.rows(plan), prompts, strict=True)):
        messages, _ = prompted(plan.form.tokenizer, row.messages[:-1])
        odds, before = (one[n].double().log_softmax(-1) for one in (wanted.logits, untrained))
        ids = list(reversed(wanted.near[n][0]))
        ended = wanted.words[n][-1] in plan.form.ends
        words = wanted.words[n][:-1] if ended else wanted.words[n]
        asked.append(
            Asked(
                id=row.id,
                messages=messages,
                prompt_tokens=len(prompt),
                first={text([one]): float(odds[one]) for one in ids},
                untrained={text([one]): float(before[one]) for one in (*ids, *before.topk(len(ids)).indices.tolist())},
                steps=[_steps(step, text) for step in wanted.near[n][: len(words)]],
                text=text(list(words), skip_special_tokens=True, clean_up_tokenization_spaces=False),
                ended=ended,
            )
        )
    write_json(folder / INPUTS, {"dtype": plan.dtype, "inputs": [asdict(one) for one in asked]})


def _steps(step: Mapping[int, float], text: Any) -> dict[str, float]:
    best, found = max(step.values()), dict[str, float]()
    for token, odds in step.items():
        found.setdefault(text([token]), odds - best)  # the likelier of two with one text stays
    return found


def read(folder: Path, artifact: Artifact) -> list[Asked]:
    """folder: of the artifact. Raises MissingError for one that was trained before they were kept."""
    path = folder / FOLDER / INPUTS
    if not path.exists():
        raise MissingError(
            f"{artifact.id} has no {FOLDER}/{INPUTS} to compare with", hint=f"groundtune tune {artifact.name} --fresh"
        )
    return [Asked(**one) for one in read_json(path)["inputs"]]


def judge_ours(
    folder: Path, prompts: Sequence[Sequence[int]], found: parity.Trace, *, dtype: str
) -> tuple[dict[str, Any], str | None]:
    """What our own generator gives for the inputs, in order: figures, and why it is not what was trained.

    folder: of the artifact. dtype: in which the generator computed.
    """
    given, wanted, more = parity.recorded(folder / FOLDER / LOGITS)
    for ids, mine in zip(given, prompts, strict=True):
        if ids != list(mine):
            return {}, f"the {LEG} reads {len(mine)} prompt tokens that are not the {len(ids)} of the trainer"
    about = read_json(folder / FOLDER / INPUTS)
    coarsest = next((one for one in ("bfloat16", "float16") if one in (dtype, about["dtype"])), "float32")
    words = tuple(mine[: parity.STEPS] for mine in found.words)
    told, reason = parity.judge(replace(found, words=words), wanted, more["untrained"], leg=LEG, dtype=coarsest)
    return {**told, "dtype": dtype}, reason


def judge_server(place: str, pairs: Sequence[tuple[Asked, Served]], *, tolerance: float = NATS) -> Check:
    """tolerance: of log-probabilities, in nats."""
    notes = []
    if any(one.prompt_tokens is None for _, one in pairs):
        notes.append("it tells no usage.prompt_tokens: whether it uses the same chat template was not compared")
    if any(not one.tokens for _, one in pairs):
        notes.append("it tells no logprobs: only the words were compared")
    return Check(place, tolerance, tuple(_compare(*pair, tolerance) for pair in pairs), tuple(notes))


def _compare(asked: Asked, served: Served, tolerance: float) -> Comparison:
    reasons = []
    if served.prompt_tokens not in (None, asked.prompt_tokens):
        reasons.append(
            f"the server reads {served.prompt_tokens} prompt tokens, the model was trained on {asked.prompt_tokens}"
            f"{_template(served.prompt_tokens - asked.prompt_tokens)}"
        )
    theirs = dict(served.tokens[0]) if served.tokens else {}
    least = min(LIKELY, max(asked.first.values()))
    gaps = {text: _gap(text, odds, theirs) for text, odds in asked.first.items() if theirs and odds >= least}
    worst = max(gaps, key=lambda text: gaps[text], default=None)
    if worst is not None and gaps[worst] > tolerance:
        there = _found(worst, theirs)
        told = "not among the likeliest there" if there is None else f"of log-probability {there:.2f} there"
        reasons.append(
            f"the first token {worst!r} is {told}, {asked.first[worst]:.2f} as trained; {gaps[worst]:.2f} apart, "
            f"{tolerance:g} is allowed" + ("" if reasons else _base(asked, theirs, tolerance))
        )
    if said := _words(asked, served, tolerance):
        reasons.append(said)
    likeliest = max(theirs, key=lambda text: theirs[text]) if theirs else None
    return Comparison(
        id=asked.id,
        prompt_tokens=(asked.prompt_tokens, served.prompt_tokens),
        first=(max(asked.first, key=lambda text: asked.first[text]), likeliest),
        difference=None if worst is None else gaps[worst],
        text=(asked.text, served.text),
        reasons=tuple(reasons),
    )


def _template(more: int) -> str:
    if more == 1:
        return ": perhaps it sets a second token before them that begins a text"
    return ": another chat template, or none" + (", or a context that is too short" if more < 0 else "")


def _base(asked: Asked, theirs: Mapping[str, float], tolerance: float) -> str:
    """Whether it is the base that answers, asked in the right tokens."""
    likeliest = max(theirs, key=lambda text: theirs[text])
    odds = _found(likeliest, asked.untrained)
    alike = odds is not None and abs(odds - theirs[likeliest]) <= tolerance
    return "; so answers the base, without the training" if alike else ""


def _gap(text: str, odds: float, theirs: Mapping[str, float]) -> float:
    """At least; one that is not told is less likely than all that are."""
    found = _found(text, theirs)
    return abs(odds - found) if found is not None else max(0.0, odds - min(theirs.values()))


def _found(text: str, theirs: Mapping[str, float]) -> float | None:
    """Servers write a token with or without the space before it."""
    if text in theirs:
        return theirs[text]
    return next((odds for other, odds in theirs.items() if other.strip() == text.strip() != ""), None)


def _words(asked: Asked, served: Served, tolerance: float) -> str | None:
    """Where it goes on otherwise, and not because two tokens are as good as equally likely."""
    mine, theirs = asked.text.rstrip("\ufffd").strip(), served.text.strip()
    begins = theirs.startswith(mine) or (mine.startswith(theirs) and not served.ended)
    if (mine == theirs and served.ended) if asked.ended else begins:
        return None
    for step, token in zip(asked.steps, served.tokens or (), strict=False):
        wrote = next(iter(token))
        if wrote.strip() == max(step, key=lambda text: step[text]).strip():
            continue
        odds = _found(wrote, step)
        if odds is not None and -odds <= 2 * tolerance:
            return None
        break
    if asked.ended and theirs.startswith(mine) and not served.ended:
        return f"it does not end its answer behind {mine[-40:]!r}, as the model was trained to"
    return f"it answers {theirs[:80]!r}, as trained it is {mine[:80]!r}"
