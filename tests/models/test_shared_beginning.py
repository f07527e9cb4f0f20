"""Reading what prompts begin with once gives the same text as reading each as a whole."""

from typing import Any

import pytest

from groundtune.models import shared_beginning
from groundtune.models.shared_beginning import LEAST, generate_batch

RULES = tuple(range(3, 3 + LEAST + 8))
TEXTS = [(*RULES, 60, 61, 62), (*RULES, 70), (*RULES, 80, 81, 82, 83, 84, 85, 86)]
SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def model_of(family: str) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(getattr(transformers, f"{family}Config")(**SIZES)).eval()
    for name, weight in model.named_parameters():
        if "proj" in name:
            weight.data.mul_(8)  # fresh weights attend to hardly anything
    return model


def written(model: Any, **options: Any) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Return the tokens of each text, and the shapes that the model read."""
    import torch

    shapes: list[Any] = []
    with (
        torch.inference_mode(),
        model.get_input_embeddings().register_forward_pre_hook(lambda _, ids: shapes.append(tuple(ids[0].shape))),
    ):
        rows = generate_batch(model, torch, TEXTS, pad=0, max_new_tokens=12, do_sample=False, **options)
    return rows[:, max(map(len, TEXTS)) :].tolist(), shapes


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3"])
def test_the_text_is_the_same_and_less_is_read(family: str) -> None:
    model = model_of(family)
    whole, _ = written(model, shares=False)
    shared, shapes = written(model)
    assert shared == whole
    assert len({tuple(row) for row in whole}) > 1
    assert shapes[:2] == [(1, len(RULES)), (3, 7)]


def test_where_a_layer_counts_how_far_back_it_looks_each_text_is_read_whole() -> None:
    assert written(model_of("Gemma2"))[1][0] == (3, len(RULES) + 7)


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        (TEXTS, len(RULES)),
        (TEXTS[:1], 0),
        ([RULES, RULES], len(RULES) - 1),
        ([RULES[:LEAST], (*RULES[: LEAST - 1], 299)], 0),
        ([(1, *RULES), RULES], 0),
    ],
)
def test_what_texts_begin_with(texts: list[tuple[int, ...]], count: int) -> None:
    assert shared_beginning.shared_beginning(texts) == count
