"""Generate text with a `transformers` model on this machine. Loads on the first prompt; never truncates one."""

import asyncio
import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from groundtune.common.model_loading import no_collection
from groundtune.common.text import one_line
from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError, need
from groundtune.models.chat_template import TemplateError, decode_reply, find_end_ids, render_prompt
from groundtune.models.constrained_decoding import HeldReply, TokenGrammar, why_not_enforceable
from groundtune.models.hub import (
    CAUSAL_MODEL,
    LocatedModel,
    loading,
    locate_model,
    model_hint,
    refuse_missing_weights,
)
from groundtune.models.reasoning import separate_reasoning
from groundtune.models.repetition import REPETITION, end_before_loop
from groundtune.models.shared_beginning import generate_batch
from groundtune.models.token_confidence import mean_probability
from groundtune.models.torch_device import has_fast_bfloat16
from groundtune.types import Generation, Message, Prompt, Usage

GATHER_SECONDS = 0.003
"""Time that an incomplete batch waits for more prompts."""
LOOKED_UP = 10
"""Maximum tokens that are copied from the text so far and checked at once."""
LOOK_EVERY = 8
"""Tokens after which an answer is searched for a loop."""
LEAST_ROOM = 64
"""Minimum tokens of the context window to leave for the answer (or `max_output_tokens`, if lower)."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _PendingPrompt:
    """A prompt that is waiting for its answer."""

    messages: list[dict[str, str]]
    done: "asyncio.Future[Generation]"
    confidence: bool = False
    """Whether the answer is to state one."""
    schema: Mapping[str, Any] | None = None
    """What the answer has to satisfy."""
    text: str = ""
    """The prompt as it is rendered."""
    ids: list[int] = field(default_factory=list)
    room: int = 0
    """Maximum tokens of the answer."""
    held: HeldReply | None = None
    """Holds the answer to the schema."""
    tokens: list[int] = field(default_factory=list)
    """Tokens of the answer so far, the end token included."""
    logprobs: list[float] = field(default_factory=list)
    """Log-probabilities of these tokens, where a confidence is wanted."""
    kept: int = 0
    """Number of these tokens that belong to the text: not the end token, and no cycle of a loop but the first."""
    cut: str | None = None
    """Name of the limit at which the answer ended too early."""
    error: GroundtuneError | None = None


@dataclass(frozen=True, slots=True)
class GenerationTrace:
    """Token-level record of how a prompt is read and answered."""

    prompt_tokens: list[int]
    """Tokens of the prompt."""
    logits: Any
    """Logits of the first answer token: float32, (vocabulary,), on the CPU."""
    output_tokens: list[int]
    """Tokens of the answer, the end token included."""
    dtype: str
    """Data type of the computation."""


@dataclass(slots=True)
class _LoadedModel:
    torch: Any
    transformers: Any
    model: Any
    tokenizer: Any
    ends: list[int]
    """Ids of the end-of-turn tokens."""
    pad: int
    is_stateful: bool
    """Whether the model cannot take back tokens, as a recurrent one."""
    grammar: TokenGrammar | None = None
    """Holds answers to schemas; None until a prompt has one."""


class LocalGenerator:
    """A causal language model by hub name or path, in its own chat format. For one event loop at a time.

    Generation stops at every end-of-turn token: the model's, the tokenizer's and the template's. Decoding is greedy
    unless `temperature` is above 0; then it samples from all tokens. Concurrent prompts of similar length are generated
    in batches of up to `batch_size`; a prompt alone is answered in fewer steps where it copies from its own text
    (prompt lookup). In bfloat16 (on CUDA, and on CPUs with hardware support), either may resolve a near tie between two
    tokens differently.

    The answer to a prompt with a `schema` is held to it (constrained_decoding.py), and an answer that runs into a loop
    ends after its first cycle (repetition.py). A system message that the template rejects or drops is prepended to the
    first user message. Thinking before the answer is separated from it. A confidence that a prompt asks for is that of
    token_confidence.py; under a schema, probabilities are those among the tokens that it allows.

    window: context window in tokens, prompt and answer together; None takes it from the model's configuration. A prompt
    that leaves too little room for an answer is rejected; if it leaves fewer than `max_output_tokens`, the answer's
    limit is lowered.
    """

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        batch_size: int = 8,
        max_output_tokens: int = 1024,
        temperature: float | None = None,
        window: int | None = None,
    ) -> None:
        if batch_size < 1 or max_output_tokens < 1:
            raise UsageError("batch_size and max_output_tokens must be 1 or more")
        self.name = model
        self._device = device
        self._batch_size = batch_size
        self._max_output_tokens = max_output_tokens
        self._temperature = temperature
        self._window = window
        self._lock = threading.Lock()
        self._located: LocatedModel | None = None
        self._loaded: _LoadedModel | None = None
        self._failed: GroundtuneError | None = None
        self._jobs: list[_PendingPrompt] = []
        self._worker: asyncio.Task[None] | None = None

    @property
    def window(self) -> int | None:
        """Context window in tokens, prompt and answer together; None when unknown. Raises MissingError."""
        return self._window if self._window is not None else self._model().window

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Return the digest of the weights, the messages and the parameters; device and precision are left out.

        The first call locates the model: milliseconds, or a download for a new name on the hub. Raises MissingError.
        """
        return {
            "weights": self._model().digest,
            "messages": _turns(prompt),
            "max_output_tokens": self._max_output_tokens,
            "temperature": self._temperature,
            "window": self._window,
            **({"confidence": True} if prompt.confidence else {}),
            **({"schema": prompt.schema} if prompt.schema is not None else {}),
        }

    def ceiling_usd(self, prompt: Prompt) -> float:
        """Return 0: computing on this machine is not billed."""
        return 0.0

    def why_not_held(self, schema: Mapping[str, Any]) -> str | None:
        """Return what in a schema the decoder cannot be held to; None if it can."""
        try:
            return why_not_enforceable(schema)
        except MissingError as error:
            return error.message

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the text with token counts; `usage.seconds` is the time of its batch, without the wait for it.

        Raises MissingError when the model cannot be found or has no chat template, and ProviderError: `bad_request` for
        a prompt that does not fit the window or a schema that no decoder can hold, `bad_response` for an empty answer,
        `server` when generation fails.
        """
        loop = asyncio.get_running_loop()
        job = _PendingPrompt(_turns(prompt), loop.create_future(), prompt.confidence, prompt.schema)
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._jobs = []
            self._worker = loop.create_task(self._work())
        self._jobs.append(job)
        return await job.done

    async def trace(self, prompts: Sequence[Prompt], *, tokens: int) -> list[GenerationTrace]:
        """Trace how `generate` reads and answers the prompts: in one batch, up to `tokens` tokens each.

        Raises as `generate` does, except that a prompt may leave as little as one token of the window.
        """
        loaded = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        jobs = [_PendingPrompt(_turns(prompt), loop.create_future()) for prompt in prompts]
        return await asyncio.to_thread(self._traced, loaded, jobs, tokens)

    def _traced(self, loaded: _LoadedModel, jobs: Sequence[_PendingPrompt], tokens: int) -> list[GenerationTrace]:
        self._encode(loaded, jobs)
        for job in jobs:
            if job.error and job.room < 1:
                raise job.error
        limit = min(tokens, *(job.room for job in jobs))
        generated = self._generated(loaded, jobs, limit=limit, logits=True)
        width, dtype = max(len(job.ids) for job in jobs), str(loaded.model.dtype).removeprefix("torch.")
        first = generated.logits[0].float().cpu()
        rows = [_until_end(row, loaded.ends) for row in generated.sequences[:, width:].tolist()]
        return [GenerationTrace(job.ids, first[n], rows[n], dtype) for n, job in enumerate(jobs)]

    async def _work(self) -> None:
        """Generate batches until no prompt is left. An error reaches every waiting caller."""
        try:
            while self._jobs:
                if len(self._jobs) < self._batch_size:
                    await asyncio.sleep(GATHER_SECONDS)
                loaded = await asyncio.to_thread(self._load)
                await asyncio.to_thread(self._encode, loaded, [job for job in self._jobs if not job.ids])
                batch = self._next()
                start = time.perf_counter()
                await asyncio.to_thread(self._write, loaded, batch)
                seconds = time.perf_counter() - start
                for job in self._jobs:
                    if not job.done.done() and (job.error or job in batch):
                        self._hand_out(job, loaded, seconds, answers=len(batch))
                self._jobs = [job for job in self._jobs if not job.done.done()]
        except asyncio.CancelledError:
            for job in self._jobs:
                job.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  passed on to every waiting caller
            for job in self._jobs:
                if not job.done.done():
                    job.done.set_exception(error)

    def _next(self) -> list[_PendingPrompt]:
        """Return the prompt that has waited longest, with those closest to it in length."""
        ready = [job for job in self._jobs if job.ids and not job.error and not job.done.done()]
        return sorted(ready, key=lambda job: abs(len(job.ids) - len(ready[0].ids)))[: self._batch_size]

    def _encode(self, loaded: _LoadedModel, jobs: Sequence[_PendingPrompt]) -> None:
        window = self.window
        min_room = min(LEAST_ROOM, self._max_output_tokens)
        for job in jobs:
            try:
                job.text = _rendered(loaded.tokenizer, job.messages, name=self.name)
                job.ids = loaded.tokenizer(job.text, add_special_tokens=False)["input_ids"]
            except GroundtuneError as error:
                job.error = error
                continue
            except (ValueError, TypeError) as error:  # lone surrogates
                job.error = ProviderError(f"{self.name} cannot read the prompt: {error}", kind="bad_request")
                continue
            if not job.ids:
                job.error = ProviderError(f"{self.name}: the prompt is empty", kind="bad_request")
                continue
            job.room = self._max_output_tokens if window is None else window - len(job.ids)
            if job.room < min_room:
                job.error = ProviderError(
                    f"{self.name}: the prompt has {len(job.ids)} tokens, which leaves fewer than {min_room} "
                    f"of the {window} tokens in the context window for the answer",
                    kind="bad_request",
                    hint="use fewer or shorter passages, or a model with a larger context window",
                )
            job.room = min(job.room, self._max_output_tokens)

    def _write(self, loaded: _LoadedModel, jobs: Sequence[_PendingPrompt]) -> None:
        """Generate the tokens of each job. A failing batch is split in half until only the faulty prompt fails."""
        jobs = [job for job in jobs if not job.done.done() and self._can_hold(loaded, job)]
        if not jobs:
            return
        failure = None
        watch = _Watch(loaded, jobs)
        held = any(job.held for job in jobs)
        record = _TokenLogprobs() if any(job.confidence for job in jobs) else None
        try:
            generated = self._generated(
                loaded,
                jobs,
                limit=min(job.room for job in jobs),
                processors=[processor for processor in (watch.restrict if held else None, record) if processor],
                stops=watch.ended,
                may_look_up=len(jobs) == 1 and not held and not record and not loaded.is_stateful,
            )
            logprobs = record.finish(loaded.torch, generated.sequences) if record else [[] for _ in jobs]
        except (RuntimeError, IndexError, ValueError) as error:  # RuntimeError includes out of memory
            failure = one_line(str(error)) or type(error).__name__
        if failure is not None:  # outside of `except`: the exception would keep the tensors alive
            if len(jobs) > 1:
                half = len(jobs) // 2
                self._write(loaded, jobs[:half])
                self._write(loaded, jobs[half:])
            else:
                hint = "to use less memory, choose a smaller model, a shorter prompt or a lower max_output_tokens"
                jobs[0].error = ProviderError(f"{self.name} failed: {failure}", kind="server", hint=hint)
            return
        for job, tokens, values in zip(jobs, watch.rows, logprobs, strict=True):
            job.tokens, job.logprobs = tokens, values[: len(tokens)]
            self._end(job, loaded)
        # The batch ends at the smallest limit; continue the answers that have room left.
        limits = (None, REPETITION)
        self._write(loaded, [job for job in jobs if job.cut not in limits and len(job.tokens) < job.room])

    def _can_hold(self, loaded: _LoadedModel, job: _PendingPrompt) -> bool:
        """Begin to hold a job to its schema. Otherwise note the error and return False."""
        if job.schema is None:
            return True
        try:
            if loaded.grammar is None:
                width = loaded.model.config.get_text_config().vocab_size
                loaded.grammar = TokenGrammar(loaded.tokenizer, vocabulary=width, ends=loaded.ends)
            job.held = loaded.grammar.hold(job.schema, prompt=job.text)
        except ValueError as error:
            job.error = self._not_held(str(error))
        except MissingError as error:
            job.error = error
        return job.error is None

    def _end(self, job: _PendingPrompt, loaded: _LoadedModel) -> None:
        """Note which tokens belong to the text, and the limit that cut it."""
        job.kept, job.cut = len(job.tokens), None
        if job.tokens and job.tokens[-1] in loaded.ends:
            job.kept -= 1
        elif job.held and job.held.error:
            job.error = self._not_held(job.held.error)
        elif job.held and job.held.is_complete:
            return
        elif kept := end_before_loop(job.tokens, read=lambda token: loaded.tokenizer.decode([token])):
            job.kept, job.cut = kept, REPETITION
        else:
            job.cut = "max_output_tokens" if job.room == self._max_output_tokens else "window"

    def _not_held(self, reason: str) -> ProviderError:
        return ProviderError(
            f"{self.name} cannot be held to the JSON Schema while it writes: {reason}",
            kind="bad_request",
            hint="write the schema without this, or use the approach without `constrained`",
        )

    def _generated(
        self,
        loaded: _LoadedModel,
        jobs: Sequence[_PendingPrompt],
        *,
        limit: int,
        logits: bool = False,
        processors: Sequence[Any] = (),
        stops: Any = None,
        may_look_up: bool = False,
    ) -> Any:
        """Generate up to `limit` tokens for each prompt; rows are padded after their end.

        logits: adds those of each step, with every prompt read as a whole.
        processors: change the scores before a token is chosen. stops: says after each step which rows have ended.
        may_look_up: a step may write several tokens, if they are copied from the text before them; the model checks
        them all at once and keeps those that it would have chosen (prompt lookup decoding, Saxena 2023).
        """
        sampling = bool(self._temperature)
        # Set every option: the model's generation_config.json supplies those left out.
        config = loaded.transformers.GenerationConfig(
            max_new_tokens=limit,
            do_sample=sampling,
            temperature=self._temperature if sampling else 1.0,
            top_k=0 if sampling else 50,
            top_p=1.0,
            num_beams=1,
            repetition_penalty=1.0,
            prompt_lookup_num_tokens=LOOKED_UP if may_look_up and not sampling else None,
            eos_token_id=loaded.ends or None,
            pad_token_id=loaded.pad,
            return_dict_in_generate=True,
            output_logits=logits,
        )

        with loaded.torch.inference_mode():
            return generate_batch(
                loaded.model,
                loaded.torch,
                [job.ids for job in jobs],
                pad=loaded.pad,
                shares=not logits,
                generation_config=config,
                stopping_criteria=loaded.transformers.StoppingCriteriaList([stops] if stops else []),
                logits_processor=loaded.transformers.LogitsProcessorList(processors),
            )

    def _hand_out(self, job: _PendingPrompt, loaded: _LoadedModel, seconds: float, *, answers: int) -> None:
        tokens = job.tokens[: job.kept]
        written = decode_reply(loaded.tokenizer, tokens, prompt=job.text)
        reply = separate_reasoning(written)
        if job.error is None and not reply.text.strip():
            job.error = self._no_answer(job, thought=bool(reply.reasoning))
        if job.error:
            job.done.set_exception(job.error)
            return
        thought = len(loaded.tokenizer(reply.reasoning, add_special_tokens=False)["input_ids"])
        usage = Usage(
            input_tokens=len(job.ids),
            output_tokens=len(job.tokens),
            seconds=seconds,
            reasoning_tokens=min(thought, len(job.tokens)) if reply.text != written else None,
            machine_seconds=seconds / max(1, answers),
        )
        confidence = _confidence(loaded.tokenizer, tokens, job.logprobs, reply.text) if job.confidence else None
        job.done.set_result(
            Generation(text=reply.text, usage=usage, confidence=confidence, reasoning=reply.reasoning, cut=job.cut)
        )

    def _no_answer(self, job: _PendingPrompt, *, thought: bool) -> ProviderError:
        message, hint = "returned an empty answer", "rephrase the question, or use another model"
        if job.cut == REPETITION:
            message = "repeated itself before the first word of its answer"
        elif job.cut:
            message = f"used all {len(job.tokens)} output tokens before the first word of its answer"
            hint = "raise max_output_tokens"
        elif thought:
            message = "ended inside its thinking, without an answer"
        return ProviderError(f"{self.name} {message}", kind="bad_response", hint=hint, cut=job.cut)

    def _model(self) -> LocatedModel:
        with self._lock:
            if self._located is None:
                self._located = locate_model(self.name)
            return self._located

    def _load(self) -> _LoadedModel:
        """Load the model once. A failure is raised again, since another try would fail the same way."""
        if self._failed:
            raise self._failed
        if self._loaded is None:
            try:
                self._loaded = _load(self._model(), self.name, self._device)
            except GroundtuneError as error:
                self._failed = error
                raise
        return self._loaded


@no_collection()
def _load(located: LocatedModel, name: str, device: str | None) -> _LoadedModel:
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    library.utils.logging.disable_progress_bar()  # stderr is reserved for groundtune's own progress
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MissingError(
            f"{name}: torch cannot find a CUDA device", hint='set device = "cpu", or install a CUDA build of torch'
        )
    bfloat16 = torch.cuda.is_bf16_supported() if device.startswith("cuda") else device == "cpu" and has_fast_bfloat16()
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    with loading(f"the model {name!r}", hint=model_hint(CAUSAL_MODEL)):
        tokenizer = library.AutoTokenizer.from_pretrained(located.source, **located.options)
        if not tokenizer.chat_template:
            raise MissingError(
                f"{name} has no chat template, so its prompt format is unknown",
                hint="use its instruct or chat variant, or save the template it was trained with in its folder",
            )
        model, report = library.AutoModelForCausalLM.from_pretrained(
            located.source, dtype=dtype, output_loading_info=True, **located.options
        )
        model = model.to(device).eval()
    refuse_missing_weights(name, report["missing_keys"], hint=model_hint(CAUSAL_MODEL))
    ends = find_end_ids(tokenizer, model.generation_config.eos_token_id)
    if not ends:
        log.warning("%s has no end-of-turn token: it generates until max_output_tokens", name)
    pad = next((token for token in (tokenizer.pad_token_id, *ends) if token is not None), 0)
    return _LoadedModel(torch, library, model, tokenizer, ends, pad, is_stateful=bool(model._is_stateful))


class _Watch:
    """Follows the rows of a batch token by token: holds them to their schemas, and ends those that are done."""

    def __init__(self, loaded: _LoadedModel, jobs: Sequence[_PendingPrompt]) -> None:
        self._torch = loaded.torch
        self._jobs = jobs
        self._ends = frozenset(loaded.ends)
        self._width = max(len(job.ids) for job in jobs)
        self._done = [False] * len(jobs)
        self.rows: list[list[int]] = [[] for _ in jobs]
        """Tokens of each row up to its end."""

    def restrict(self, input_ids: Any, scores: Any) -> Any:
        """Rule out the tokens that schemas do not allow. A logits processor."""
        held = [(row, job.held) for row, job in enumerate(self._jobs) if job.held and not self._done[row]]
        scores = scores.clone() if held else scores
        for row, reply in held:
            scores[row] = reply.restrict(self._torch, scores[row])
        return scores

    def ended(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Take note of the tokens that were chosen, and return which rows have ended. A stopping criterion."""
        for row, tokens in enumerate(self.rows):
            for token in input_ids[row, self._width + len(tokens) :].tolist():
                if not self._done[row]:
                    tokens.append(token)
                    self._done[row] = self._ends_with(row, token)
        return self._torch.tensor(self._done, device=input_ids.device)

    def _ends_with(self, row: int, token: int) -> bool:
        job = self._jobs[row]
        if job.held:
            job.held.add(token)
            if job.held.is_complete or job.held.error:
                return True
        looks = len(self.rows[row]) % LOOK_EVERY == 0
        return token in self._ends or job.done.done() or (looks and end_before_loop(self.rows[row]) is not None)


class _TokenLogprobs:
    """A logits processor that changes nothing, and notes the log-probability of each token that is chosen.

    It keeps one row of the vocabulary for each prompt, where the logits of all steps would take gigabytes.
    """

    def __init__(self) -> None:
        self._last: Any = None
        self._chosen: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._note(input_ids)
        self._last = scores.float().log_softmax(-1)
        return scores

    def finish(self, torch: Any, sequences: Any) -> list[list[float]]:
        """Return the log-probabilities of the new tokens of each row, also of the padding after its end."""
        self._note(sequences)
        rows: list[list[float]] = torch.stack(self._chosen, dim=1).tolist()
        return rows

    def _note(self, ids: Any) -> None:
        if self._last is not None:
            self._chosen.append(self._last.gather(1, ids[:, -1:])[:, 0])


def _confidence(tokenizer: Any, tokens: Sequence[int], logprobs: Sequence[float], text: str) -> float | None:
    """Return the confidence of a text at the end of the tokens, without that of the thinking before it."""
    lacks_text = partial(_lacks, tokenizer, tokens, text.strip())
    start = bisect_left(range(len(tokens)), True, key=lacks_text) - 1
    return mean_probability(logprobs[start : len(tokens)]) if start >= 0 else None


def _lacks(tokenizer: Any, tokens: Sequence[int], text: str, start: int) -> bool:
    return text not in tokenizer.decode(tokens[start:], skip_special_tokens=True)


def _until_end(row: list[int], ends: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(row) if token in ends), None)
    return row if end is None else row[: end + 1]


def _rendered(tokenizer: Any, turns: Sequence[dict[str, str]], *, name: str) -> str:
    """Return the prompt in the model's format. Raises ProviderError when the template rejects or drops a message."""
    try:
        return render_prompt(tokenizer, turns)[1]
    except TemplateError as error:
        raise ProviderError(
            f"the chat template of {name} rejects these messages: {error}",
            kind="bad_request",
            hint="put the system message first, then alternate user and assistant",
        ) from error


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    messages = prompt.messages or (Message("user", prompt.question),)
    return [{"role": message.role, "content": message.content} for message in messages]
