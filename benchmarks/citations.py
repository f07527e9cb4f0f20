"""Claim: the citation check accepts the sentences of a passage and catches altered ones.

    python benchmarks/citations.py dev-v2.0.json

One sentence of each SQuAD passage is cited unchanged, with about an eighth of its words left out (but for negations;
counted again without the sentences that lost a word of an amount, a bound or an exception), and falsified in five ways:
another number, another name from the same corpus, an added "not", a negation left out, a sentence of another passage of
the same article. Runs offline, without a model.
"""

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import table
from groundtune.citations.checking import check_citations
from groundtune.common.support import is_supported
from groundtune.languages.text import sentences
from groundtune.stats.intervals import bootstrap_mean
from groundtune.types import Hit, Passage

LEFT_OUT = 0.12
SUPPORTED_EXPECTED = ("unchanged", "words left out", "words left out, amounts kept")
_NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{3,}")
_VERB = re.compile(r"\b(?:is|was|are|were|has|had|can|could|will|would)\b")
_DENIAL = re.compile(r"\b(?:not|no|never|without|nor|neither|none)\b")

_AMOUNT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|[mb]illion|square|kilometres|"
    r"up|more|less|most|least|over|under|than|only|except|failed)\b"
)


def long_sentences(text: str) -> list[str]:
    """Return the sentences of at least seven words."""
    return [sentence for a, b in sentences(text) if len((sentence := text[a:b]).split()) > 6]


def variants(sentence: str, other: str | None, names: list[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    yield "unchanged", sentence
    words = sentence.split()
    kept = [word for i, word in enumerate(words) if i == 0 or rng.random() > LEFT_OUT or _DENIAL.search(word)]
    yield "words left out", " ".join(kept)
    if not any(_AMOUNT.search(word) for word in (Counter(words) - Counter(kept))):
        yield "words left out, amounts kept", " ".join(kept)
    if _DENIAL.search(sentence):
        yield "negation left out", _DENIAL.sub("", sentence, count=1)
    if numbers := list(re.finditer(r"\d+", sentence)):
        chosen = rng.choice(numbers)
        changed = str(int(chosen.group()) + rng.choice((1, 3, 10)))
        yield "another number", sentence[: chosen.start()] + changed + sentence[chosen.end() :]
    if named := list(_NAME.finditer(sentence)):
        chosen, name = rng.choice(named), rng.choice(names)
        if name != chosen.group():
            yield "another name", sentence[: chosen.start()] + name + sentence[chosen.end() :]
    if (verb := _VERB.search(sentence)) and not _DENIAL.search(sentence):
        yield '"not" added', f"{sentence[: verb.end()]} not{sentence[verb.end() :]}"
    if other:
        yield "from another passage", other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    articles = json.loads(parser.parse_args().squad.read_text(encoding="utf-8"))["data"]
    names = [m.group() for a in articles for p in a["paragraphs"] for m in _NAME.finditer(p["context"])]
    rng = random.Random(0)
    supported: dict[str, list[float]] = {}
    for article in articles:
        texts = [paragraph["context"] for paragraph in article["paragraphs"]]
        for number, text in enumerate(texts):
            if not (candidates := long_sentences(text)):
                continue
            others = long_sentences(texts[number - 1]) if len(texts) > 1 else []
            hit = Hit(Passage("p", "p", article["title"], 0, 0, len(text), text), 1.0)
            for kind, claim in variants(rng.choice(candidates), rng.choice(others) if others else None, names, rng):
                citations = check_citations(f"{claim} [1]", (hit,))[1]
                every = all(is_supported(citation.support) for citation in citations)
                supported.setdefault(kind, []).append(float(every))
    rows = [["sentence", "supported (95%)", "expected"]]
    for kind, values in supported.items():
        share = bootstrap_mean(values)
        figure = f"{share.mean:.3f} ({share.low:.3f}-{share.high:.3f}, n = {share.n})"
        rows.append([kind, figure, "1" if kind in SUPPORTED_EXPECTED else "0"])
    table(rows)


if __name__ == "__main__":
    main()
