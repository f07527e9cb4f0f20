"""Which models there are, and what their ids mean."""

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError

from groundtune.build import approach_registry
from groundtune.serve.api.models import approach_of
from tests.serve.conftest import HTTP, QUESTION, Running, Serve, script

UNTRAINED = '[tune.letters]\nkind = "lora"\nbase = "smollm2-135m"\n'


def ask(server: Running, model: str) -> Any:
    messages: Any = [{"role": "user", "content": QUESTION}]
    return server.client().chat.completions.create(model=model, messages=messages)


def test_models_are_approaches_and_the_choice(modelled: Running, quotes: Running) -> None:
    ids = [model.id for model in modelled.client().models.list()]
    assert ids[:2] == ["acme", "auto"]
    assert {"rag", "prompt", "quote-hybrid"} <= set(ids)
    assert "routed" not in ids
    assert "rag" not in [model.id for model in quotes.client().models.list()]
    assert modelled.client().models.retrieve("rag").id == "rag"
    assert ask(modelled, "quote-hybrid").groundtune["approach"] == "quote-hybrid"


@pytest.mark.parametrize("model", ["gpt-9", "rag/unheard-of", "", "tuned"])
def test_a_model_that_does_not_exist_is_not_found(modelled: Running, model: str) -> None:
    with pytest.raises(NotFoundError, match="choose one of acme, auto, "):
        ask(modelled, model)


@pytest.mark.parametrize("model", ["rag", "routed"])
def test_a_model_that_lacks_something_cannot_be_asked(quotes: Running, model: str) -> None:
    with pytest.raises(BadRequestError, match="cannot be asked now") as caught:
        ask(quotes, model)
    assert caught.value.code == "model_not_ready"


def test_without_a_router_auto_is_the_choice(quotes: Running) -> None:
    assert ask(quotes, "auto").groundtune["approach"] == "quote-hybrid"


def test_with_a_fallback_an_untrained_model_answers_degraded(serve: Serve) -> None:
    server = serve(f'{UNTRAINED}[fallback]\napproaches = ["rag"]\n', reply=script)
    field = ask(server, "tuned").groundtune
    assert field["approach"] == "rag"
    assert "tuned cannot run" in field["degradation"]
    assert "tuned" not in [model.id for model in server.client().models.list()]


def test_a_broken_file_of_examples_leaves_the_models_that_need_none(serve: Serve) -> None:
    server = serve('[examples]\nfiles = ["examples.jsonl"]\n', reply=script)
    (server.project.root / "examples.jsonl").write_text('{"input": "When?"\n')
    ids = [model.id for model in server.client().models.list()]
    assert {"acme", "auto", "rag", "quote-hybrid"} <= set(ids)
    assert "fewshot" not in ids
    for model in ("acme", "auto", "rag"):
        assert ask(server, model).choices[0].message.content
    with pytest.raises(BadRequestError, match="cannot be asked now"):
        ask(server, "fewshot")


def test_the_registry_is_built_once(quotes: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    build = approach_registry.build_registry

    async def counted(*parts: Any, **options: Any) -> Any:
        built.append(options)
        return await build(*parts, **options)

    monkeypatch.setattr("groundtune.project.session.build_registry", counted)
    for _ in range(3):
        HTTP.get(f"{quotes.url}/readyz")
        HTTP.get(f"{quotes.url}/v1/models")
        ask(quotes, "quote-dense")
        with pytest.raises(BadRequestError):
            ask(quotes, "fewshot")
    assert len(built) <= 5  # the choice, the list and its router, and each of the two that were named


@pytest.mark.parametrize(("reason", "approach"), [(None, "routed"), ("was trained with another embedder", None)])
async def test_auto_is_the_router_while_it_can_run(
    quotes: Running, monkeypatch: pytest.MonkeyPatch, reason: str | None, approach: str | None
) -> None:
    async def reasons() -> dict[str, str | None]:
        return {"quote-hybrid": None, "routed": reason}

    monkeypatch.setattr(quotes.project, "aapproaches", reasons)
    assert await approach_of(quotes.project, "auto") == approach
