"""Test a tiny `transformers` model that memorized its answers: batches, turn ends, templates, windows, cancelling."""

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.common.json_schema import schema_checker
from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.models import local_generator
from groundtune.models.budget import Budget
from groundtune.models.generation_cache import CachedGenerator, GenerationCache
from groundtune.models.local_generator import LocalGenerator
from groundtune.models.repetition import LOOP_TOKENS, REPETITION
from groundtune.protocols import Generator, RepeatableGenerator
from groundtune.types import Generation, Message, Prompt
from tests.models.tiny import NO_SYSTEM, TEMPLATE, WINDOW, tiny_model

pytestmark = pytest.mark.slow

ANSWERS = {
    "what is the capital of France?": "Paris is the capital",
    "how long does a refund take?": "thirty days",
    "the sky?": "blue",
    "is it open on Sunday, or on any other day of the week?": "no, it is closed on all the days of the week",
    "x": "y",
}
ANYTHING = [f"{'some words of which it knows nothing ' * (n % 5)}{n}" for n in range(20)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("trained"), answers=ANSWERS)


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that repeats one word forever."""
    answers = dict.fromkeys(["the sky?", "what is it?", "a", "be brief\n\na", "thirty days " * 10], " yes" * 30)
    return tiny_model(tmp_path_factory.mktemp("endless"), answers=answers, window=4096, ends=False)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32, where a batch gives the same answers as single prompts."""
    monkeypatch.setattr(local_generator, "has_fast_bfloat16", lambda: False)


async def ask(model: LocalGenerator, *questions: str) -> list[str]:
    generations = await asyncio.gather(*(model.generate(Prompt(question)) for question in questions))
    return [generation.text for generation in generations]


async def test_it_gives_the_learned_answers_and_stops(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    assert isinstance(model, Generator)
    assert isinstance(model, RepeatableGenerator)
    assert await ask(model, *ANSWERS) == list(ANSWERS.values())


async def test_usage_counts_real_tokens(trained: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained)
    generation = await LocalGenerator(str(trained), max_output_tokens=40).generate(Prompt("the sky?"))
    prompt_tokens = tokenizer("<|user|>the sky?<|end|><|assistant|>", add_special_tokens=False)["input_ids"]
    assert generation.usage.input_tokens == len(prompt_tokens)
    assert generation.usage.output_tokens == len(tokenizer("blue<|end|>", add_special_tokens=False)["input_ids"])
    assert (generation.usage.cached_tokens, generation.usage.usd, generation.cached) == (None, None, False)
    assert generation.usage.seconds is not None
    assert 0 < generation.usage.seconds < 100


async def test_models_loaded_at_once_have_weights_of_one_data_type(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library sets the default data type of the whole process while it loads."""
    import torch

    default = torch.get_default_dtype()
    monkeypatch.setattr("groundtune.models.local_generator.has_fast_bfloat16", lambda: True)
    models = [LocalGenerator(str(trained), max_output_tokens=4) for _ in range(12)]
    await asyncio.gather(*(model.generate(Prompt("the sky?")) for model in models))
    assert {weights.dtype for one in models for weights in one._load().model.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() == default


async def test_the_answers_of_a_batch_share_its_seconds_of_the_machine(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40, batch_size=len(ANSWERS))
    await model.generate(Prompt("the sky?"))  # loads the model
    usages = [one.usage for one in await asyncio.gather(*(model.generate(Prompt(text)) for text in ANSWERS))]
    (batch,) = {usage.seconds for usage in usages}
    assert batch is not None
    assert [usage.machine_seconds for usage in usages] == [batch / len(ANSWERS)] * len(ANSWERS)


@pytest.mark.usefixtures("exact")
async def test_the_confidence_is_that_of_the_tokens_of_the_answer(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    known, unknown = Prompt("the sky?", confidence=True), Prompt("some words", confidence=True)
    plain = await model.generate(Prompt("the sky?"))
    sure, unsure = await asyncio.gather(model.generate(known), model.generate(unknown))
    assert (plain.text, plain.confidence) == (sure.text, None)
    assert sure.confidence is not None
    assert unsure.confidence is not None
    assert 0 < unsure.confidence < sure.confidence <= 1
    assert sure.confidence == pytest.approx(_probability(trained, "the sky?", "blue"), rel=1e-3)
    assert {**model.request(Prompt("the sky?")), "confidence": True} == model.request(known)


def _probability(folder: Path, question: str, answer: str) -> float:
    """Return the geometric mean of the probabilities of the answer's tokens, from one pass over all of them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompt = tokenizer(f"<|user|>{question}<|end|><|assistant|>", add_special_tokens=False)["input_ids"]
    reply = tokenizer(answer, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logprobs = model(torch.tensor([[*prompt, *reply]])).logits[0].log_softmax(-1)
    chosen = [float(logprobs[len(prompt) - 1 + place, token]) for place, token in enumerate(reply)]
    return float(np.exp(np.mean(chosen)))


@pytest.mark.usefixtures("exact")
async def test_batches_give_the_same_answers_as_single_prompts(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = LocalGenerator._generated

    def spied(self: LocalGenerator, loaded: Any, jobs: Any, **options: Any) -> Any:
        sizes.append(len(jobs))
        return original(self, loaded, jobs, **options)

    monkeypatch.setattr(LocalGenerator, "_generated", spied)
    questions = [*ANYTHING, *ANSWERS]
    alone = [
        (await ask(LocalGenerator(str(trained), batch_size=1, max_output_tokens=12), question))[0]
        for question in questions
    ]
    assert sizes == [1] * len(questions)
    sizes.clear()
    assert await ask(LocalGenerator(str(trained), batch_size=8, max_output_tokens=12), *questions) == alone
    assert max(sizes) == 8
    assert len(sizes) <= 5


COPIED = "is it open on Sunday, or on any other day of the week?"


@pytest.mark.usefixtures("exact")
async def test_a_prompt_alone_is_answered_in_fewer_steps_with_the_same_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tiny_model(tmp_path, answers={COPIED: COPIED, "x": "y"}, steps=80))
    answers, steps = [], []
    for looked_up in (10, None):
        monkeypatch.setattr(local_generator, "LOOKED_UP", looked_up)
        model, count = LocalGenerator(folder, max_output_tokens=60), 0
        loaded = model._load()

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1

        loaded.model.register_forward_hook(counted)
        answers.append([await model.generate(Prompt(question)) for question in (COPIED, "x")])
        steps.append(count)
    assert [(each.text, each.usage.output_tokens) for each in answers[0]] == [
        (each.text, each.usage.output_tokens) for each in answers[1]
    ]
    assert answers[0][0].text == COPIED
    assert steps[0] < steps[1]


async def test_an_answer_truncated_at_its_limit_says_so(endless: Path, trained: Path) -> None:
    generation = await LocalGenerator(str(endless), max_output_tokens=5).generate(Prompt("the capital of France"))
    assert (generation.usage.output_tokens, generation.cut) == (5, "max_output_tokens")
    narrow = LocalGenerator(str(endless), window=80)
    assert (await narrow.generate(Prompt("the capital of France"))).cut == "window"
    assert (await LocalGenerator(str(trained), max_output_tokens=40).generate(Prompt("the sky?"))).cut is None


async def test_a_loop_ends_after_its_first_cycle(endless: Path, tmp_path: Path) -> None:
    model = LocalGenerator(str(endless), max_output_tokens=1000)
    for hit in (False, True):
        cached = CachedGenerator(model, GenerationCache(tmp_path / "c.sqlite"), budget=Budget(0.0))
        generation = await cached.generate(Prompt("the sky?", confidence=True))
        assert (generation.text.strip(), generation.cut, generation.cached) == ("yes", REPETITION, hit)
        assert LOOP_TOKENS <= (generation.usage.output_tokens or 0) < 2 * LOOP_TOKENS
        assert generation.confidence == pytest.approx(1.0, abs=0.1)


SCHEMA = {
    "type": "object",
    "properties": {
        "town": {"type": "string", "maxLength": 12},
        "paid": {"type": "boolean"},
        "days": {"type": ["integer", "null"], "minimum": 0, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["new", "old"]}, "maxItems": 2},
    },
    "required": ["town", "paid", "days", "tags"],
    "additionalProperties": False,
}


@pytest.mark.usefixtures("exact")
async def test_a_schema_holds_whatever_the_model_would_write(trained: Path) -> None:
    """Also in batches with prompts that have another schema, or none."""
    model = LocalGenerator(str(trained), max_output_tokens=100)
    other = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    prompts = [Prompt(question, schema=schema) for question in ANSWERS for schema in (SCHEMA, other)]
    alone = [(await model.generate(prompt)).text for prompt in prompts[:3]]
    held, free = await asyncio.gather(
        asyncio.gather(*map(model.generate, prompts)), asyncio.gather(*(model.generate(Prompt(q)) for q in ANSWERS))
    )
    for prompt, generation in zip(prompts, held, strict=True):
        assert prompt.schema is not None
        assert schema_checker(prompt.schema)(json.loads(generation.text)) is None
        assert generation.cut is None
    assert [generation.text for generation in held][:3] == alone
    assert {generation.text for generation in held[1::2]} == {'{"a": 1}'}
    assert [generation.text for generation in free] == list(ANSWERS.values())
    assert model.request(prompts[0]) != model.request(prompts[1])


@pytest.mark.usefixtures("exact")
async def test_the_confidence_under_a_schema_is_that_among_the_tokens_it_allows(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=100)
    forced = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    sure, unsure = [
        (await model.generate(Prompt("the sky?", schema=schema, confidence=True))).confidence
        for schema in (forced, SCHEMA)
    ]
    assert sure == pytest.approx(1.0)
    assert 0 < (unsure or 0) < 1


async def test_an_object_that_is_cut_off_says_so(trained: Path) -> None:
    generation = await LocalGenerator(str(trained), max_output_tokens=6).generate(Prompt("x", schema=SCHEMA))
    assert (generation.text[:1], generation.cut) == ("{", "max_output_tokens")


async def test_a_schema_that_no_decoder_can_hold_fails_alone_and_names_the_keyword(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    results = await asyncio.gather(
        *(model.generate(prompt) for prompt in (Prompt("x"), Prompt("x", schema=schema))), return_exceptions=True
    )
    assert isinstance(results[0], Generation)
    assert isinstance(results[1], ProviderError)
    assert (results[1].kind, "uniqueItems" in results[1].message) == ("bad_request", True)
    assert "uniqueItems" in (model.why_not_held(schema) or "")
    assert model.why_not_held(SCHEMA) is None


async def test_a_model_without_an_end_token_stops_at_the_end_of_the_object(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_generator, "find_end_ids", lambda *_: [])
    generation = await LocalGenerator(str(trained), max_output_tokens=100).generate(Prompt("x", schema=SCHEMA))
    assert (schema_checker(SCHEMA)(json.loads(generation.text)), generation.cut) == (None, None)


@pytest.mark.parametrize("opened", [False, True], ids=["by the model", "by the template"])
async def test_a_schema_holds_after_the_thinking(tmp_path: Path, opened: bool) -> None:
    thought = "it is day\n</think>\n\nblue"
    template = TEMPLATE.replace("<|assistant|>", "<|assistant|><think>\n") if opened else TEMPLATE
    answers = {"the sky?": thought if opened else f"<think>\n{thought}"}
    folder = tiny_model(tmp_path, answers=answers, steps=120, template=template, special=["<think>", "</think>"])
    generation = await LocalGenerator(str(folder), max_output_tokens=100).generate(Prompt("the sky?", schema=SCHEMA))
    assert generation.reasoning == "it is day"
    assert schema_checker(SCHEMA)(json.loads(generation.text)) is None


THINKS = {"the sky?": "<think>\nit is day\n</think>\n\nblue", "x": "<think>\n\n</think>\n\ny"}


async def test_thinking_is_separated_from_the_answer(tmp_path: Path) -> None:
    model = LocalGenerator(str(tiny_model(tmp_path, answers=THINKS, steps=120)), max_output_tokens=60)
    generation = await model.generate(Prompt("the sky?"))
    assert (generation.text, generation.reasoning) == ("blue", "it is day")
    usage = generation.usage
    assert 0 < (usage.reasoning_tokens or 0) < (usage.output_tokens or 0)
    generation = await model.generate(Prompt("x"))
    assert (generation.text, generation.reasoning, generation.usage.reasoning_tokens) == ("y", "", 0)


async def test_thinking_that_the_prompt_opened_is_no_answer(tmp_path: Path) -> None:
    template = TEMPLATE.replace("<|assistant|>", "<|assistant|><think>\n")
    answers = {"the sky?": "it is day\n</think>\n\nblue", "x": "on and on and on"}
    folder = tiny_model(tmp_path, answers=answers, template=template, steps=120)
    model = LocalGenerator(str(folder), max_output_tokens=60)
    generation = await model.generate(Prompt("the sky?"))
    assert (generation.text, generation.reasoning) == ("blue", "it is day")
    with pytest.raises(ProviderError, match="ended inside its thinking"):
        await model.generate(Prompt("x"))
    with pytest.raises(ProviderError, match="used all 3 output tokens before the first word of its answer"):
        await LocalGenerator(str(folder), max_output_tokens=3).generate(Prompt("the sky?"))


async def test_all_tokens_that_end_an_answer_are_known(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained, folder)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": [2, 3]}))
    model = LocalGenerator(str(folder), max_output_tokens=20)
    await ask(model, "x")
    assert model._loaded is not None
    assert set(model._loaded.ends) == {2, 3, 6}  # those of the model, and the template's <|end|>
    assert model._loaded.pad == 0


async def test_messages_are_rendered_with_the_template(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = local_generator._rendered
    monkeypatch.setattr(
        local_generator, "_rendered", lambda *args, **more: seen.append(real(*args, **more)) or seen[-1]
    )
    messages = (Message("system", "be brief"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    await LocalGenerator(str(trained), max_output_tokens=8).generate(Prompt("ignored", messages=messages))
    assert seen == ["<|system|>be brief<|end|><|user|>a<|end|><|assistant|>b<|end|><|user|>c<|end|><|assistant|>"]


@pytest.mark.parametrize(
    "template",
    [
        NO_SYSTEM,
        TEMPLATE.replace("%}<|{{", "%}{% if m.role != 'system' %}<|{{").replace(
            "{% endfor %}", "{% endif %}{% endfor %}"
        ),
    ],
    ids=["refused", "dropped"],
)
async def test_a_system_message_is_never_lost(
    template: str, endless: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = local_generator._rendered
    monkeypatch.setattr(
        local_generator, "_rendered", lambda *args, **more: seen.append(real(*args, **more)) or seen[-1]
    )
    folder = tmp_path / "model"
    shutil.copytree(endless, folder)
    (folder / "chat_template.jinja").write_text(template)
    model = LocalGenerator(str(folder), max_output_tokens=4)
    await model.generate(Prompt("q", messages=(Message("system", "be brief"), Message("user", "a"))))
    assert seen == ["<|user|>be brief\n\na<|end|><|assistant|>"]
    with pytest.raises(ProviderError, match=r"the chat template of .* rejects") as caught:
        await model.generate(Prompt("q", messages=(Message("system", "only this"),)))
    assert caught.value.kind == "bad_request"


@pytest.mark.usefixtures("exact")
async def test_a_prompt_that_does_not_fit_fails_alone(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    results = await asyncio.gather(
        model.generate(Prompt("the sky?")),
        model.generate(Prompt("long " * 300)),
        model.generate(Prompt("lone surrogate \ud800")),
        model.generate(Prompt("x")),
        return_exceptions=True,
    )
    assert [getattr(result, "text", None) for result in results] == ["blue", None, None, "y"]
    error = results[1]
    assert isinstance(error, ProviderError)
    assert error.kind == "bad_request"
    assert f"the prompt has 305 tokens, which leaves fewer than 40 of the {WINDOW} tokens" in error.message
    assert "fewer or shorter passages" in (error.hint or "")
    assert isinstance(results[2], ProviderError)


@pytest.mark.usefixtures("exact")
async def test_a_prompt_that_nearly_fills_the_window_shortens_only_its_own_answer(endless: Path) -> None:
    model = LocalGenerator(str(endless), max_output_tokens=95, window=200)
    near, free = await asyncio.gather(
        *(model.generate(Prompt(question)) for question in ("thirty days " * 60, "the sky?"))
    )
    assert near.usage.input_tokens is not None
    assert near.usage.output_tokens == 200 - near.usage.input_tokens
    assert 64 <= near.usage.output_tokens < 95
    assert free.usage.output_tokens == 95


async def test_the_window_is_the_configured_one_or_the_models(trained: Path, tmp_path: Path) -> None:
    assert LocalGenerator(str(trained)).window == WINDOW
    narrow = LocalGenerator(str(trained), window=20, max_output_tokens=8)
    assert narrow.window == 20
    with pytest.raises(ProviderError, match="of the 20 tokens in the context window"):
        await ask(narrow, "is it open on Sunday, or on any other day of the week?")


async def test_a_failing_prompt_does_not_fail_its_batch(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = LocalGenerator._generated

    def short_of_memory(self: LocalGenerator, loaded: Any, jobs: Any, **options: Any) -> Any:
        if any("week" in job.messages[0]["content"] for job in jobs):
            raise RuntimeError("CUDA out of memory")
        return original(self, loaded, jobs, **options)

    monkeypatch.setattr(LocalGenerator, "_generated", short_of_memory)
    model = LocalGenerator(str(trained), max_output_tokens=40)
    results = await asyncio.gather(*(model.generate(Prompt(result)) for result in ANSWERS), return_exceptions=True)
    failed = results.pop(3)
    assert [result.text for result in results] == [text for text in ANSWERS.values() if "week" not in text]
    assert isinstance(failed, ProviderError)
    assert (failed.kind, "out of memory" in failed.message) == ("server", True)


async def test_an_unexpected_error_reaches_every_caller_and_the_next_prompt_works(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    with monkeypatch.context() as patch:
        patch.setattr(LocalGenerator, "_write", lambda *_: 1 / 0)
        results = await asyncio.gather(*(model.generate(Prompt(result)) for result in ANSWERS), return_exceptions=True)
        assert {type(result) for result in results} == {ZeroDivisionError}
    assert await ask(model, "x") == ["y"]


async def test_cancelled_callers_are_dropped_and_stop_the_work(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, lengths = threading.Event(), []
    original = LocalGenerator._generated

    def spied(self: LocalGenerator, loaded: Any, jobs: Any, **options: Any) -> Any:
        running.set()
        rows = original(self, loaded, jobs, **options)
        lengths.append((len(jobs), len(rows[0])))
        return rows

    monkeypatch.setattr(LocalGenerator, "_generated", spied)
    model = LocalGenerator(str(endless), max_output_tokens=90_000, window=100_000, batch_size=2)
    writing = [asyncio.create_task(model.generate(Prompt(f"for ever {n}"))) for n in range(2)]
    queued = asyncio.create_task(model.generate(Prompt("never begun")))
    assert await asyncio.to_thread(running.wait, 300)
    for task in (*writing, queued):
        task.cancel()
    results = await asyncio.gather(*writing, queued, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert model._worker is not None
    async with asyncio.timeout(300):
        await model._worker
    assert [count for count, _ in lengths] == [2]
    assert lengths[0][1] < 90_000


def test_one_event_loop_after_the_other(trained: Path) -> None:
    model = LocalGenerator(str(trained), max_output_tokens=40)
    for _ in range(2):
        assert asyncio.run(ask(model, "x", "the sky?")) == ["y", "blue"]


async def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    model = LocalGenerator(str(tiny_model(tmp_path, template=None)))
    for _ in range(2):
        with pytest.raises(MissingError, match="has no chat template") as caught:
            await ask(model, "x")
        assert "instruct" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["/no/such/folder", "./no-such", "models/a/b", "~/no-such-model"])
async def test_a_missing_path(name: str) -> None:
    model = LocalGenerator(name)
    for call in (lambda: model.window, lambda: model.request(Prompt("x"))):
        with pytest.raises(MissingError, match="no model at"):
            call()
    with pytest.raises(MissingError, match="no model at"):
        await ask(model, "x")


async def test_a_name_that_was_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", "no name at all"):
        with pytest.raises(MissingError, match="not found locally"):
            await ask(LocalGenerator(name), "x")


async def test_a_folder_without_a_model(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"has no config\.json"):
        await ask(LocalGenerator(str(tmp_path)), "x")
    folder = tmp_path / "torn"
    shutil.copytree(trained, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(MissingError, match="damaged"):
        await ask(LocalGenerator(str(folder)), "x")
    weights.unlink()
    with pytest.raises(MissingError, match="cannot be loaded"):
        await ask(LocalGenerator(str(folder)), "x")


async def test_missing_weights_are_an_error(trained: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "part"
    shutil.copytree(trained, folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MissingError, match=r"missing 1 weight, model\.layers\.1\.mlp\.up_proj\.weight"):
        await ask(LocalGenerator(str(folder)), "x")


async def test_an_empty_answer_is_a_bad_response(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path, answers={"say nothing": "", "x": "y"})
    with pytest.raises(ProviderError, match="returned an empty answer") as caught:
        await ask(LocalGenerator(str(folder), max_output_tokens=10), "say nothing")
    assert caught.value.kind == "bad_response"


async def test_a_missing_device(trained: Path) -> None:
    for device in ("cuda:97", "nonsense"):
        with pytest.raises(GroundtuneError):
            await ask(LocalGenerator(str(trained), device=device), "x")


def test_invalid_sizes() -> None:
    with pytest.raises(UsageError):
        LocalGenerator("x", batch_size=0)


async def test_a_temperature_samples_from_all_tokens(endless: Path) -> None:
    model = LocalGenerator(str(endless), temperature=5.0, max_output_tokens=12)
    assert len(set(await ask(model, *["the sky?"] * 6))) > 1


def test_the_request_depends_on_weights_and_messages(trained: Path, tmp_path: Path) -> None:
    prompt = Prompt("x", schema={"type": "object"})
    first = LocalGenerator(str(trained)).request(prompt)
    json.dumps(first)
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    assert LocalGenerator(str(copy)).request(prompt) == first
    assert LocalGenerator(str(trained), temperature=0.5).request(prompt) != first
    assert LocalGenerator(str(trained)).request(Prompt("y")) != first
    other = tmp_path / "other"
    assert LocalGenerator(str(tiny_model(other, answers=ANSWERS, steps=1))).request(prompt) != first
    (copy / "chat_template.jinja").write_text(NO_SYSTEM)
    assert LocalGenerator(str(copy)).request(prompt) != first
    assert LocalGenerator(str(trained)).ceiling_usd(prompt) == 0.0


async def test_a_cache_hit_does_not_load_the_model(trained: Path, tmp_path: Path) -> None:
    for hit in (False, True):
        model = LocalGenerator(str(trained), max_output_tokens=40)
        cached = CachedGenerator(model, GenerationCache(tmp_path / "c.sqlite"), budget=Budget(0.0))
        generation = await cached.generate(Prompt("the sky?"))
        assert (generation.text, generation.cached, cached.window) == ("blue", hit, WINDOW)
        assert (model._loaded is None) is hit


async def test_a_trace_shows_how_prompts_are_read_and_answered(trained: Path, exact: None) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts = [Prompt("the sky?"), Prompt("what is the capital of France?")]
    model = LocalGenerator(str(trained), max_output_tokens=40)
    traces = await model.trace(prompts, tokens=3)
    tokenizer, reference = AutoTokenizer.from_pretrained(trained), AutoModelForCausalLM.from_pretrained(trained)
    for prompt, trace in zip(prompts, traces, strict=True):
        text = f"<|user|>{prompt.question}<|end|><|assistant|>"
        assert trace.prompt_tokens == tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            expected = reference(input_ids=torch.tensor([trace.prompt_tokens])).logits[0, -1]
        assert float((trace.logits - expected).abs().max()) < 1e-4
        assert trace.output_tokens[0] == int(expected.argmax())
        assert (trace.dtype, len(trace.output_tokens) <= 3) == ("float32", True)
    narrow = LocalGenerator(str(trained), max_output_tokens=40, window=len(traces[0].prompt_tokens) + 2)
    assert [len(trace.output_tokens) <= 2 for trace in await narrow.trace(prompts[:1], tokens=3)] == [True]
    with pytest.raises(ProviderError, match="in the context window"):
        await model.trace([Prompt("the sky? " * WINDOW)], tokens=3)
