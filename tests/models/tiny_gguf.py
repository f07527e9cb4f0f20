"""Write a tiny causal model as a GGUF file, as llama.cpp's converter lays it out."""

import json
from pathlib import Path
from typing import Any

from tests.models.tiny import SPECIAL, TEMPLATE, tiny_tokenizer

HEADS, KEY_HEADS = 4, 2
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 256,
}
HEAD_SIZES = {"llama": 16, "qwen2": 16, "qwen3": 128, "gemma2": 32, "gemma3": 32}
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
PIECES = [
    "▁the",
    "▁capital",
    "▁of",
    "▁France",
    "▁days",
    "▁is",
    "▁what",
    "what",
    "an",
    "er",
    "in",
    "▁",
    *map(chr, range(33, 127)),
]
CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}


def write_tiny_gguf(
    file: Path, *, family: str = "llama", rules: str = "smollm", template: str | None = TEMPLATE
) -> Any:
    """Write a model of random weights, and return it as `transformers` has it.

    rules: name of the rules by which text is split before it is tokenised (`tokenizer.ggml.pre`).
    """
    import gguf
    import torch
    import transformers

    torch.manual_seed(0)
    kind, head = getattr(transformers, CLASSES[family]), HEAD_SIZES[family]
    words = _sentencepiece() if family.startswith("gemma") else _byte_level(template)
    tokens = words["tokens"]
    config = kind.config_class(vocab_size=len(tokens), tie_word_embeddings=True, head_dim=head, **SIZES)
    model = kind(config)
    writer = gguf.GGUFWriter(file, family)
    writer.add_name("tiny")
    writer.add_context_length(SIZES["max_position_embeddings"])
    writer.add_block_count(SIZES["num_hidden_layers"])
    writer.add_embedding_length(SIZES["hidden_size"])
    writer.add_feed_forward_length(SIZES["intermediate_size"])
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(_rope_base(config))
    writer.add_vocab_size(len(tokens))
    if family.startswith("gemma"):
        writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model(words["model"])
    writer.add_tokenizer_pre("default" if words["model"] == "llama" else rules)
    writer.add_token_list(tokens)
    writer.add_token_types(words["types"])
    if words["model"] == "llama":
        writer.add_token_scores([-float(place) for place in range(len(tokens))])
        writer.add_unk_token_id(tokens.index("<unk>"))
    else:
        writer.add_token_merges(words["merges"])
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index("</s>"))
    writer.add_pad_token_id(tokens.index("<pad>"))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    _add_tensors(writer, model, family)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model.eval()


def _add_tensors(writer: Any, model: Any, family: str) -> None:
    import gguf

    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == family)
    names = gguf.get_tensor_name_map(arch, SIZES["num_hidden_layers"])
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        value = tensor.float()
        if family == "llama" and "q_proj" in name:
            value = _interleaved(value, HEADS)
        elif family == "llama" and "k_proj" in name:
            value = _interleaved(value, KEY_HEADS)
        elif family.startswith("gemma") and "norm" in name:
            value = value + 1
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), value.numpy().copy())


def _interleaved(weights: Any, heads: int) -> Any:
    """Order the rows of a head as llama.cpp rotates them: the halves of `transformers` become pairs."""
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _byte_level(template: str | None) -> dict[str, Any]:
    tokenizer = tiny_tokenizer(["the capital of France is Paris", "a refund takes thirty days"], template=template)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    types = [CONTROL if token in SPECIAL else NORMAL for token in tokens]
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    return {"model": "gpt2", "tokens": tokens, "types": types, "merges": [" ".join(pair) for pair in merges]}


def _sentencepiece() -> dict[str, Any]:
    special, in_bytes = [*SPECIAL, "<unk>"], [f"<0x{number:02X}>" for number in range(256)]
    types = [*[CONTROL] * len(SPECIAL), UNKNOWN, *[BYTE] * 256, *[NORMAL] * len(PIECES)]
    return {"model": "llama", "tokens": [*special, *in_bytes, *PIECES], "types": types}


def _rope_base(config: Any) -> float:
    parameters = config.rope_parameters
    return float(parameters["rope_theta"] if "rope_theta" in parameters else parameters["full_attention"]["rope_theta"])
