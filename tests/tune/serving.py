"""A script for `ScriptedServer` that answers with a causal model on disk: real tokens, real logits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundtune.testing.scripted_server import Reply


def serve(folder: Path, *, template: bool = True, tells: bool = True) -> Callable[[dict[str, Any]], Reply]:
    """A script that answers chats greedily with the model of a folder.

    Without `template` the messages are only joined, as a server does that does not know it. Without `tells` it says
    neither usage nor log-probabilities.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ends = {tokenizer.eos_token_id, *tokenizer("<|end|>", add_special_tokens=False)["input_ids"]}

    def reply(body: dict[str, Any]) -> Reply:
        if template:
            prompt = tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        else:
            prompt = "\n".join(message["content"] for message in body["messages"])
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        logprobs: list[dict[str, Any]] = []
        generated: list[int] = []
        with torch.inference_mode():
            while len(generated) < body["max_tokens"]:
                odds = model(input_ids=torch.tensor([ids + generated])).logits[0, -1].log_softmax(-1)
                best = odds.topk(body.get("top_logprobs", 1))
                tops = [
                    {"token": tokenizer.decode([token]), "logprob": value, "bytes": None}
                    for value, token in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                ]
                token = int(best.indices[0])
                if token in ends:
                    break
                logprobs.append({**tops[0], "top_logprobs": tops})
                generated.append(token)
        usage = {
            "prompt_tokens": len(ids),
            "completion_tokens": len(generated),
            "total_tokens": len(ids) + len(generated),
        }
        return Reply(
            tokenizer.decode(generated, skip_special_tokens=True),
            usage=usage if tells else {},
            logprobs=logprobs if tells else None,
            finish_reason="length" if len(generated) == body["max_tokens"] else "stop",
        )

    return reply
