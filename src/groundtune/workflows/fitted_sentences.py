"""Say which thresholds and prompts a comparison used, and what they were fitted on. Fits nothing."""

from collections.abc import Mapping
from typing import Any

from groundtune.common.text import format_count
from groundtune.decide.wording import join_names


def threshold_sentence(name: str, value: float, *, n: int, rule: str, coverage: float, risk: float) -> str:
    """Describe a fitted threshold: `Abstention threshold of rag: 0.25, fitted on 100 examples (…). It …`"""
    return (
        f"Abstention threshold of {name}: {value:.2f}, fitted on {format_count(n, 'train and validation example')} "
        f"({rule}). It answers {coverage:.0%} of them; {risk:.0%} of these answers are wrong."
    )


def threshold_sentences(described: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one sentence per fitted threshold, then one for all approaches that have the same reason for theirs."""
    sentences, others = [], dict[tuple[float | None, str], list[str]]()
    for name, facts in described.items():
        if facts["n"] is None:
            others.setdefault((facts["value"], facts["rule"]), []).append(name)
        else:
            sentences.append(threshold_sentence(name, **facts))
    for (value, rule), names in others.items():
        listed = join_names(names)
        sentences.append(
            f"No abstention threshold for {listed}: {rule}."
            if value is None
            else f"Abstention threshold of {listed}: {value:.2f} ({rule})."
        )
    return sentences


def prompt_sentences(described: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one sentence per choice, then one for all approaches that have the same reason for none."""
    sentences, others = [], dict[tuple[str, str], list[str]]()
    for name, facts in described.items():
        if facts["n"] is None:
            others.setdefault((facts["prompt"], facts["reason"]), []).append(name)
            continue
        means = sorted(facts["means"].items(), key=lambda entry: (-entry[1], entry[0] != facts["prompt"]))
        figures = ", ".join(f"{wording} {mean:.3f}" for wording, mean in means)
        n = format_count(facts["n"], "validation example")
        sentences.append(f"Prompt of {name}: {facts['prompt']} ({facts['score']} on {n}: {figures}).")
    for (prompt, reason), names in others.items():
        sentences.append(f"Prompt of {join_names(names)}: {prompt} (not chosen by examples: {reason}).")
    return sentences
