"""Compute the loss of a batch from the logits of its trained positions alone. Changes no loss and no gradient.

The head of a model is as wide as its vocabulary, and most tokens of a chat are prompt, which is not trained on. The
head therefore runs only where the next token belongs to a reply. The model's own code calls it, so logits that the
model scales or caps stay so. What all rows of a batch begin with, such as the rules of a task, is read once; its keys
and values stand before each row, and carry the gradient of all. Two more things that change nothing are left out: the
mask of rows that are padded behind their end, where causal attention does not look, and a copy of the input of each
adapter in float32, which mixed precision casts back.
"""

from contextlib import nullcontext
from typing import Any

from groundtune.errors import need
from groundtune.models.shared_beginning import read_once

IGNORED = -100
"""Label of a token that is not trained on."""
TOLERANCE = 0.05
"""Largest difference between logits, in standard deviations of them: bfloat16 rounds by shape."""
PROBED = 16
"""Tokens that a model is tried with."""
SHARED = 16
"""Tokens that rows must at least have in common to be read once."""


def with_reply_loss(trainer: type, *, shares_beginnings: bool) -> type:
    """Return TRL's SFTTrainer with a loss of the trained positions; for models of which `runs_at_positions` is true.

    shares_beginnings: read what rows have in common once; for models of which `continues_alike` is true.
    """

    def compute_loss(
        self: Any, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs or self.aux_loss_enabled:  # logits of all positions, or a loss of routers beside ours
            return trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)  # type: ignore[attr-defined]
        following = inputs["labels"][:, 1:]
        trained = following != IGNORED
        inputs = {name: value for name, value in inputs.items() if name != "labels"}
        mask = inputs.get("attention_mask")
        if mask is not None and bool((mask[:, :-1] >= mask[:, 1:]).all()):  # padded behind the end, if at all
            del inputs["attention_mask"]
        head = self.model.get_output_embeddings()
        recomputed = self.args.gradient_checkpointing  # in the backward pass, which is outside of this block
        shared = 0
        if (
            shares_beginnings
            and not recomputed
            and set(inputs) == {"input_ids"}
            and self.accelerator.num_processes == 1
        ):
            shared = _beginning(inputs["input_ids"], trained)
        with _adapters_without_casts(model) if self.args.bf16 and not recomputed else nullcontext():
            if shared:
                logits = _continued_logits(model, inputs["input_ids"], trained, shared, head=head)
            else:
                logits = _logits(model, {**inputs, "use_cache": False}, trained, head=head)
        functional = need("torch.nn.functional", extra="local")
        loss = functional.cross_entropy(logits.float(), following[trained], reduction="sum")
        if num_items_in_batch is None:
            return loss / trained.sum().clamp(min=1)
        # The count is of all processes, and their gradients are averaged.
        return loss / num_items_in_batch * self.accelerator.num_processes

    return type(trainer.__name__, (trainer,), {"compute_loss": compute_loss})


def runs_at_positions(model: Any, token_ids: tuple[int, ...]) -> bool:
    """Whether the model gives the same logits if its head runs at some positions only, whatever follows them.

    token_ids: any text.
    """
    torch, head = need("torch", extra="local"), model.get_output_embeddings()
    if head is None:
        return False
    ids = torch.tensor([token_ids[:PROBED]], device=model.device)
    chosen = torch.arange(ids.shape[1] - 1, device=model.device)[None] % 3 == 0
    longer = torch.cat([ids, ids[:, :1].expand_as(ids)], dim=1)
    none_behind = torch.zeros_like(ids, dtype=torch.bool)
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits[:, :-1][chosen].float()
        chosen = torch.cat([chosen, none_behind], dim=1)
        part = _logits(model, {"input_ids": longer, "use_cache": False}, chosen, head=head).float()
    return whole.shape == part.shape and bool((whole - part).abs().max() <= TOLERANCE * whole.std())


def continues_alike(model: Any, token_ids: tuple[int, ...]) -> bool:
    """Whether the model gives the same logits if several rows continue a beginning that was read once.

    token_ids: any text of more than PROBED tokens; false for a shorter one.
    """
    torch, head = need("torch", extra="local"), model.get_output_embeddings()
    ids = torch.tensor([token_ids[: 2 * PROBED]], device=model.device)
    if head is None or ids.shape[1] <= PROBED:
        return False
    ids = torch.cat([ids, torch.cat([ids[:, :PROBED], ids[:, PROBED:].flip(1)], dim=1)])
    chosen = torch.zeros_like(ids[:, 1:], dtype=torch.bool)
    chosen[:, PROBED:] = True
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits[:, :-1][chosen].float()
        try:
            part = _continued_logits(model, ids, chosen, PROBED, head=head).float()
        except (AttributeError, NotImplementedError, TypeError, ValueError, RuntimeError):  # a cache of its own kind
            return False
    # In quadratic mean, because bfloat16 rounds differently where other lengths are multiplied.
    return whole.shape == part.shape and bool((whole - part).square().mean().sqrt() <= TOLERANCE * whole.std())


def _beginning(ids: Any, trained: Any) -> int:
    """Return the number of tokens that all rows begin with and at which none is trained; 0 if it is not worth it."""
    if len(ids) < 2:
        return 0
    differs = (ids[:, :-1] != ids[:1, :-1]) | trained
    places = differs.any(0).nonzero()
    count = int(places[0]) if len(places) else 0
    return count if count >= SHARED else 0


def _continued_logits(model: Any, ids: Any, chosen: Any, shared: int, *, head: Any) -> Any:
    """Return what `_logits` returns, with the first `shared` tokens of all rows, at which none is chosen, read once."""

    cache = read_once(model, ids[:1, :shared], rows=len(ids))
    rest = {"input_ids": ids[:, shared:], "past_key_values": cache, "use_cache": True}
    return _logits(model, rest, chosen[:, shared:], head=head)


def _logits(model: Any, inputs: dict[str, Any], chosen: Any, *, head: Any) -> Any:
    """Return the logits at the chosen positions, one row each. chosen: a mask without the last position."""

    def select(_: Any, hidden: tuple[Any, ...]) -> tuple[Any, ...]:
        return (hidden[0][:, :-1][chosen],)

    with head.register_forward_pre_hook(select):
        return model(**inputs).logits


def _adapters_without_casts(model: Any) -> Any:
    """Let adapters take their input in the precision that it has. Only inside mixed precision."""
    return need("peft.helpers", extra="local").disable_input_dtype_casting(model)
