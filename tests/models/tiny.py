"""Make and train a real causal model of 100,000 weights in seconds: tokenizer, chat template, Llama, saved to disk.

`tiny_model(folder, answers={"capital of France?": "Paris"})` memorizes these answers; without answers its weights are
random. Its end-of-turn token differs from the end tokens that tokenizer and model declare.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
)
SPECIAL = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
SENTENCES = ["the capital of France is Paris", "a refund takes thirty days", "what is the colour of the sky?", "yes no"]
WINDOW = 256


def tiny_model(
    folder: Path,
    *,
    answers: Mapping[str, str] | None = None,
    template: str | None = TEMPLATE,
    window: int = WINDOW,
    steps: int = 40,
    ends: bool = True,
    special: Sequence[str] = (),
) -> Path:
    """Save a model with two layers of 64 and return its folder. The same arguments give the same weights.

    Without `ends`, it never learns to end an answer. special: further tokens of its own, such as marks of thinking.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer([*SENTENCES, *(answers or {}), *(answers or {}).values()], template=template)
    tokenizer.add_tokens(list(special), special_tokens=True)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    if answers:
        _learn(model, tokenizer, answers, steps=steps, end="<|end|>" if ends else "")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(texts: list[str], *, template: str | None = TEMPLATE) -> Any:
    """Make a byte-level BPE tokenizer of up to 400 tokens; pad, end of text and end of turn are three tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left"
    )
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def _learn(model: Any, tokenizer: Any, answers: Mapping[str, str], *, steps: int, end: str) -> None:
    """Train on full batches, with loss on the answers alone, until they are memorized."""
    import torch

    rows, labels = [], []
    for question, answer in answers.items():
        turns = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        prompt_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        answer_ids = tokenizer(f"{answer}{end}", add_special_tokens=False)["input_ids"]
        rows.append(prompt_ids + answer_ids)
        labels.append([-100] * len(prompt_ids) + answer_ids)
    width = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    targets = torch.tensor([row + [-100] * (width - len(row)) for row in labels])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(steps):
        loss = model(input_ids=ids, attention_mask=mask, labels=targets).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
