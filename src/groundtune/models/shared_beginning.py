"""Read what several texts begin with once, such as the rules of a task. Knows tokens, no chats and no trainings."""

from collections.abc import Sequence
from typing import Any

LEAST = 32
"""Fewest tokens in common that are read apart."""


def shared_beginning(texts: Sequence[Sequence[int]]) -> int:
    """Return the number of tokens that all texts begin with, leaving one of each; 0 if that is not worth it."""
    if len(texts) < 2:
        return 0
    first, last = min(map(tuple, texts)), max(map(tuple, texts))  # what these two have in common, all have
    limit = min(map(len, texts)) - 1
    count = next((at for at in range(limit) if first[at] != last[at]), limit)
    return count if count >= LEAST else 0


def read_once(model: Any, ids: Any, *, rows: int) -> Any:
    """Return the keys and values of a beginning, for each of so many rows, as a cache to continue. ids: (1, tokens).

    The head of the model, which would compute logits that nobody reads, is given nothing.
    """

    def nothing(_: Any, hidden: tuple[Any, ...]) -> tuple[Any, ...]:
        return (hidden[0][:, :0],)

    with model.get_output_embeddings().register_forward_pre_hook(nothing):
        cache = model(input_ids=ids, use_cache=True).past_key_values
    cache.batch_repeat_interleave(rows)
    return cache


def generate_batch(
    model: Any, torch: Any, texts: Sequence[Sequence[int]], *, pad: int, shares: bool = True, **options: Any
) -> Any:
    """Return what `model.generate` gives for a batch; new tokens come after as many as the longest text has.

    shares: may read what the texts begin with once. The padding is then between the beginning and the rest, which is
    not done where a layer counts how far back it looks, or where the state is not one of keys and values.
    """
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    alike = shares and not model._is_stateful and set(kinds) <= {"full_attention"}
    shared = shared_beginning(texts) if alike else 0
    width, device = max(map(len, texts)), model.device
    ids = torch.full((len(texts), width), pad)
    mask = torch.zeros((len(texts), width), dtype=torch.long)
    for row, text in enumerate(texts):
        start = width - len(text) + shared
        ids[row, :shared] = torch.tensor(text[:shared], dtype=torch.long)
        ids[row, start:] = torch.tensor(text[shared:], dtype=torch.long)
        mask[row, :shared] = mask[row, start:] = 1
    if shared:
        options["past_key_values"] = read_once(model, ids[:1, :shared].to(device), rows=len(texts))
    return model.generate(input_ids=ids.to(device), attention_mask=mask.to(device), **options)
