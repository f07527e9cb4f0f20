"""Prompt to text by a `transformers` model on this machine. Never cuts a prompt, never loads before the first one."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.chat_template import TemplateError, ends_of, prompted
from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError, need
from groundtune.models.checkpoint import HINT, Checkpoint, find_checkpoint
from groundtune.models.embed import has_fast_bfloat16
from groundtune.types import Generation, Message, Prompt, Usage

GATHER_SECONDS = 0.003
"""How long a batch that is not full waits for more prompts."""
LEAST_ROOM = 64
"""Tokens that a prompt must leave of the window for the answer, or `max_output_tokens` where that is less."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    """One prompt on its way to its text."""

    messages: list[dict[str, str]]
    done: "asyncio.Future[Generation]"
    ids: list[int] = field(default_factory=list)
    room: int = 0
    """Tokens that the answer may have."""
    made: list[int] = field(default_factory=list)
    error: GroundtuneError | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """How one prompt is read and answered."""

    prompt: list[int]
    """Its tokens."""
    logits: Any
    """Of the token that follows: float32, (vocabulary,), on the processor."""
    made: list[int]
    """Tokens of the answer, the one that ends it included."""
    dtype: str
    """In which it was computed."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    torch: Any
    transformers: Any
    model: Any
    tokenizer: Any
    ends: list[int]
    """Tokens that end an answer."""
    pad: int


class LocalGenerator:
    """A causal language model by hub name or path, in its own chat format. For one event loop at a time.

    It stops at every token that ends a turn: the model's, the tokenizer's, the template's. It answers greedily unless
    `temperature` is above 0; then it samples from all tokens. Prompts that wait together are written in one batch of
    up to `batch_size`, those of like length together; in bfloat16 (on CUDA, and on processors that have it), a near
    tie between two words may fall otherwise in another batch. Nothing holds the text to a `Prompt.schema`: it is
    passed over. A system message that the template refuses or drops is put before the first message of the user.

    window: tokens of prompt and answer together; None: what the model's configuration says. A prompt that leaves no
    room for an answer is refused, one that leaves little makes the answer short.
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
            raise UsageError("batch_size and max_output_tokens are 1 or more")
        self.name = model
        self._device = device
        self._batch_size = batch_size
        self._max_output_tokens = max_output_tokens
        self._temperature = temperature
        self._window = window
        self._lock = threading.Lock()
        self._found: Checkpoint | None = None
        self._loaded: _Loaded | None = None
        self._failed: GroundtuneError | None = None
        self._jobs: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None

    @property
    def window(self) -> int | None:
        """Tokens that prompt and answer may have together; None when nobody says. Raises MissingError."""
        return self._window if self._window is not None else self._checkpoint().window

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """The weights by digest, the messages, the parameters; device and precision are not in it.

        The first call looks the model up (milliseconds; for a new name on the hub, a download). Raises MissingError.
        """
        return {
            "weights": self._checkpoint().digest,
            "messages": _turns(prompt),
            "max_output_tokens": self._max_output_tokens,
            "temperature": self._temperature,
            "window": self._window,
        }

    def ceiling_usd(self, prompt: Prompt) -> float:
        """0: nobody bills for this machine's own work."""
        return 0.0

    async def generate(self, prompt: Prompt) -> Generation:
        """The text, with tokens counted; `usage.seconds` are those of its batch, without the wait for it.

        Raises MissingError when the model is not there or has no chat template, ProviderError: `bad_request` for a
        prompt that does not fit the window, `bad_response` for an empty answer, `server` when the computation fails.
        """
        loop = asyncio.get_running_loop()
        job = _Job(_turns(prompt), loop.create_future())
        if self._worker is None or self._worker.done() or self._worker.get_loop() is not loop:
            self._jobs = []
            self._worker = loop.create_task(self._work())
        self._jobs.append(job)
        return await job.done

    async def trace(self, prompts: Sequence[Prompt], *, tokens: int) -> list[Trace]:
        """The prompts as `generate` reads and answers them, in one batch, up to so many tokens. Raises as it does, but
        for a prompt that leaves little of the window.
        """
        loaded = await asyncio.to_thread(self._load)
        loop = asyncio.get_running_loop()
        jobs = [_Job(_turns(prompt), loop.create_future()) for prompt in prompts]
        return await asyncio.to_thread(self._traced, loaded, jobs, tokens)

    def _traced(self, loaded: _Loaded, jobs: Sequence[_Job], tokens: int) -> list[Trace]:
        self._encode(loaded, jobs)
        for job in jobs:
            if job.error and job.room < 1:
                raise job.error
        room = min(tokens, *(job.room for job in jobs))
        made = self._generated(loaded, jobs, limit=room, logits=True)
        width, dtype = max(len(job.ids) for job in jobs), str(loaded.model.dtype).removeprefix("torch.")
        first = made.logits[0].float().cpu()
        rows = [_until_end(row, loaded.ends) for row in made.sequences[:, width:].tolist()]
        return [Trace(job.ids, first[n], rows[n], dtype) for n, job in enumerate(jobs)]

    async def _work(self) -> None:
        """Until no prompt is left. Whatever stops it reaches every caller that waits."""
        try:
            while self._jobs:
                if len(self._jobs) < self._batch_size:
                    await asyncio.sleep(GATHER_SECONDS)
                loaded = await asyncio.to_thread(self._load)
                await asyncio.to_thread(self._encode, loaded, [job for job in self._jobs if not job.ids])
                batch = self._next()
                begin = time.perf_counter()
                await asyncio.to_thread(self._write, loaded, batch)
                seconds = time.perf_counter() - begin
                for job in self._jobs:
                    if not job.done.done() and (job.error or job in batch):
                        self._hand_out(job, loaded, seconds)
                self._jobs = [job for job in self._jobs if not job.done.done()]
        except asyncio.CancelledError:
            for job in self._jobs:
                job.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001  it is not kept here: whoever waits gets it
            for job in self._jobs:
                if not job.done.done():
                    job.done.set_exception(error)

    def _next(self) -> list[_Job]:
        """The prompt that has waited longest, and those nearest to it in length."""
        ready = [job for job in self._jobs if job.ids and not job.error and not job.done.done()]
        return sorted(ready, key=lambda job: abs(len(job.ids) - len(ready[0].ids)))[: self._batch_size]

    def _encode(self, loaded: _Loaded, jobs: Sequence[_Job]) -> None:
        window = self.window
        least = min(LEAST_ROOM, self._max_output_tokens)
        for job in jobs:
            try:
                text = _rendered(loaded.tokenizer, job.messages, name=self.name)
                job.ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
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
            if job.room < least:
                job.error = ProviderError(
                    f"{self.name}: the prompt has {len(job.ids)} tokens and its window {window}: less than {least} are "
                    "left for the answer",
                    kind="bad_request",
                    hint="give fewer or shorter passages, or take a model with a larger window",
                )
            job.room = min(job.room, self._max_output_tokens)

    def _write(self, loaded: _Loaded, jobs: Sequence[_Job]) -> None:
        """Fill `made` of each job. A batch that fails is cut in half, until only the prompt at fault fails."""
        jobs = [job for job in jobs if not job.done.done()]
        if not jobs:
            return
        failure = None
        try:
            made = self._generated(loaded, jobs, limit=min(job.room for job in jobs))
            rows = made.sequences[:, max(len(job.ids) for job in jobs) :].tolist()
        except (RuntimeError, IndexError, ValueError) as error:  # RuntimeError: also out of memory
            failure = " ".join(str(error).split())[:300] or type(error).__name__
        if failure is not None:  # outside of `except`, whose error would keep the tensors alive
            if len(jobs) > 1:
                half = len(jobs) // 2
                self._write(loaded, jobs[:half])
                self._write(loaded, jobs[half:])
            else:
                hint = "a smaller model, a shorter prompt or a lower max_output_tokens takes less memory"
                jobs[0].error = ProviderError(f"{self.name} failed: {failure}", kind="server", hint=hint)
            return
        ends = set(loaded.ends)
        for job, row in zip(jobs, rows, strict=True):
            job.made = _until_end(row, loaded.ends)
        # The window of the longest prompt ends the batch; the others may have had more to say.
        self._write(loaded, [job for job in jobs if job.made[-1] not in ends and len(job.made) < job.room])

    def _generated(self, loaded: _Loaded, jobs: Sequence[_Job], *, limit: int, logits: bool = False) -> Any:
        """Up to `limit` tokens for each prompt; rows go on with padding behind their end. With logits if wanted."""
        torch, device = loaded.torch, loaded.model.device
        width = max(len(job.ids) for job in jobs)
        ids = torch.full((len(jobs), width), loaded.pad)
        mask = torch.zeros((len(jobs), width), dtype=torch.long)
        for row, job in enumerate(jobs):
            ids[row, width - len(job.ids) :] = torch.tensor(job.ids)
            mask[row, width - len(job.ids) :] = 1
        hot = bool(self._temperature)
        # Said in full, since what is left out is taken from the model's own recommendations.
        config = loaded.transformers.GenerationConfig(
            max_new_tokens=limit,
            do_sample=hot,
            temperature=self._temperature if hot else 1.0,
            top_k=0 if hot else 50,
            top_p=1.0,
            num_beams=1,
            repetition_penalty=1.0,
            eos_token_id=loaded.ends or None,
            pad_token_id=loaded.pad,
            return_dict_in_generate=True,
            output_logits=logits,
        )

        def dropped(given: Any, scores: Any, **_: Any) -> Any:
            return torch.tensor([job.done.done() for job in jobs], device=given.device)

        with torch.inference_mode():
            return loaded.model.generate(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=config,
                stopping_criteria=loaded.transformers.StoppingCriteriaList([dropped]),
            )

    def _hand_out(self, job: _Job, loaded: _Loaded, seconds: float) -> None:
        ended = bool(job.made) and job.made[-1] in loaded.ends
        made = job.made[:-1] if ended else job.made
        text = loaded.tokenizer.decode(made, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if job.error is None and not text.strip():
            hint = "ask otherwise, or use another model"
            job.error = ProviderError(f"{self.name} wrote nothing", kind="bad_response", hint=hint)
        if job.error:
            job.done.set_exception(job.error)
            return
        if not ended:
            log.warning("%s: the answer was cut after %d tokens", self.name, len(job.made))
        usage = Usage(input_tokens=len(job.ids), output_tokens=len(job.made), seconds=seconds)
        job.done.set_result(Generation(text=text, usage=usage))

    def _checkpoint(self) -> Checkpoint:
        with self._lock:
            if self._found is None:
                self._found = find_checkpoint(self.name)
            return self._found

    def _load(self) -> _Loaded:
        """Once; a failure stays one, since the next try would take as long and end the same."""
        if self._failed:
            raise self._failed
        if self._loaded is None:
            try:
                self._loaded = _load(self._checkpoint(), self.name, self._device)
            except GroundtuneError as error:
                self._failed = error
                raise
        return self._loaded


def _load(found: Checkpoint, name: str, device: str | None) -> _Loaded:
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    damaged = need("safetensors", extra="local").SafetensorError
    library.utils.logging.disable_progress_bar()  # stderr is for our own progress
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MissingError(f"{name}: torch finds no CUDA device", hint='device = "cpu", or a torch built for CUDA')
    fast = torch.cuda.is_bf16_supported() if device.startswith("cuda") else device == "cpu" and has_fast_bfloat16()
    options = {"revision": found.revision} if found.revision else {}
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(found.source, **options)
        if not tokenizer.chat_template:
            raise MissingError(
                f"{name} has no chat template, so nobody knows how it is to be asked",
                hint="take its instruct or chat variant, or save the template that it was trained with beside it",
            )
        model, report = library.AutoModelForCausalLM.from_pretrained(
            found.source, dtype=torch.bfloat16 if fast else torch.float32, output_loading_info=True, **options
        )
        model = model.to(device).eval()
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, damaged) as error:
        said = " ".join(str(error).split())[:300]
        raise MissingError(f"the model {name!r} cannot be loaded: {said}", hint=HINT) from error
    if lost := sorted(report["missing_keys"]):
        raise MissingError(f"{name} is no whole causal model: it lacks {lost[0]} ({len(lost)} weights)", hint=HINT)
    ends = ends_of(tokenizer, model.generation_config.eos_token_id)
    if not ends:
        log.warning("%s has no token that ends an answer: it writes until max_output_tokens", name)
    pad = next((token for token in (tokenizer.pad_token_id, *ends) if token is not None), 0)
    return _Loaded(torch, library, model, tokenizer, ends, pad)


def _until_end(row: list[int], ends: Sequence[int]) -> list[int]:
    end = next((place for place, token in enumerate(row) if token in ends), None)
    return row if end is None else row[: end + 1]


def _rendered(tokenizer: Any, turns: Sequence[dict[str, str]], *, name: str) -> str:
    """The messages in the model's own format. Raises ProviderError when its template refuses or drops one of them."""
    try:
        return prompted(tokenizer, turns)[1]
    except TemplateError as error:
        raise ProviderError(
            f"the chat template of {name} refuses these messages: {error}",
            kind="bad_request",
            hint="system message first, then user and assistant in turn",
        ) from error


def _turns(prompt: Prompt) -> list[dict[str, str]]:
    messages = prompt.messages or (Message("user", prompt.question),)
    return [{"role": message.role, "content": message.content} for message in messages]
