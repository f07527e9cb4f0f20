"""Claim: a local model answers from passages in at most 0.7 times the processor time of plain greedy decoding, alike.

    python -m benchmarks.local_generation MODEL [-n 8] [--pairs 3]

Questions of examples/handbook, each with five of its paragraphs, one question at a time. Both sides are the local
generator, once without prompt lookup. Figures are user CPU seconds with one thread, and steps of the model, which do
not depend on what else runs. held: the same inputs with a JSON Schema in the decoder, seconds for each token against
free writing. MODEL: a folder, or a name that [models] knows.
"""

import argparse
import asyncio
import json
import random
import re
import resource
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import machine, table, verdict

from groundtune.approaches import prompts
from groundtune.models import local_generator
from groundtune.models.local_generator import LocalGenerator
from groundtune.types import Generation, Hit, Passage, Prompt

HANDBOOK = Path(__file__).parents[1] / "examples/handbook"
TARGET = 0.7
PASSAGES = 5
OUTPUT_TOKENS = 60
SHORTEST = 200
"""Characters of a paragraph that may be a passage."""
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 120}, "passage": {"type": "integer"}},
    "required": ["answer", "passage"],
    "additionalProperties": False,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    print(machine())
    generator = LocalGenerator(arguments.model, max_output_tokens=OUTPUT_TOKENS, batch_size=1)
    counter = _Steps(generator)
    sides: dict[str, list[tuple[float, int, list[Generation]]]] = {"plain": [], "lookup": [], "held": []}
    asked = _prompts(arguments.n)
    counter.run(asked[:1])
    for _ in range(arguments.pairs):
        for side, lookup in (("plain", None), ("lookup", 10)):
            local_generator.LOOKED_UP = lookup
            sides[side].append(counter.run(asked))
    held = [Prompt(each.question, each.messages, schema=SCHEMA) for each in asked]
    sides["held"].append(counter.run(held))
    rows = []
    for side, runs in sides.items():
        tokens = sum(each.usage.output_tokens or 0 for each in runs[0][2])
        seconds = statistics.median(run[0] for run in runs)
        per_token = f"{1000 * seconds / tokens:.0f}"
        rows.append([side, str(len(runs)), f"{seconds:.1f}", str(runs[0][1]), str(tokens), per_token])
    table([["decoding", "runs", "CPU seconds", "steps", "tokens", "ms a token, prompt included"], *rows])
    pairs = zip(sides["plain"], sides["lookup"], strict=True)
    ratio = statistics.median(lookup[0] / plain[0] for plain, lookup in pairs)
    alike = sum(a.text == b.text for a, b in zip(sides["plain"][0][2], sides["lookup"][0][2], strict=True))
    whole = [each for each in sides["held"][0][2] if each.cut is None]
    valid = sum(set(json.loads(each.text)) == set(SCHEMA["properties"]) for each in whole)
    print(f"the same text: {alike} of {len(asked)}; held to the schema: {valid} of {len(whole)} that were not cut off")
    print(f"processor time to plain: {ratio:.2f}, {verdict(ratio, TARGET, at_least=False)}")


class _Steps:
    """Answers prompts one by one, and counts the steps of the model."""

    def __init__(self, generator: LocalGenerator) -> None:
        self._generator = generator
        self._count = 0
        generator._load().model.register_forward_hook(self._step)

    def run(self, asked: Sequence[Prompt]) -> tuple[float, int, list[Generation]]:
        """Return user CPU seconds, steps and answers."""
        self._count, start = 0, resource.getrusage(resource.RUSAGE_SELF).ru_utime
        answers = asyncio.run(self._answers(asked))
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime - start, self._count, answers

    async def _answers(self, asked: Sequence[Prompt]) -> list[Generation]:
        return [await self._generator.generate(prompt) for prompt in asked]

    def _step(self, *_: Any) -> None:
        self._count += 1


def _prompts(n: int) -> list[Prompt]:
    """Return prompts of questions with an answer, each over the paragraphs that share most words with it."""
    lines = [json.loads(line) for line in (HANDBOOK / "examples.jsonl").read_text("utf-8").splitlines()]
    examples = [line for line in lines if isinstance(line["output"], str)]
    texts = [file.read_text("utf-8").split("\n\n") for file in sorted(HANDBOOK.glob("docs/**/*.md"))]
    paragraphs = [(text, _words(text)) for parts in texts for text in parts if len(text) >= SHORTEST]
    asked = []
    for example in random.Random(1).sample(examples, n):
        wanted = _words(f"{example['input']} {example['output']}")
        nearest = sorted(paragraphs, key=lambda each: -len(wanted & each[1]) / (20 + len(each[1])))[:PASSAGES]
        hits = [
            Hit(Passage(str(at), "d", "handbook.md", at, 0, len(text), text), 1.0)
            for at, (text, _) in enumerate(nearest)
        ]
        rendered = prompts.messages(rules=prompts.GROUNDED, kind="Question", text=example["input"], hits=hits)
        asked.append(Prompt(example["input"], rendered))
    return asked


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


if __name__ == "__main__":
    main()
