"""Run txtai: a hybrid index (BM25 and vectors, default weight 0.5) over the same model.

Runs in its own environment (requirements-txtai.txt); started by run.py. The model is loaded outside the timing, and
everything stays in memory.
"""

from txtai.embeddings import Embeddings
from work import DEPTH, Search, Work, perform


def main() -> None:
    loaded: list[Embeddings] = []

    def prepare(work: Work) -> None:
        shared: dict[str, object] = {}
        options = {"path": work.model, "method": "sentence-transformers", "gpu": False}
        loaded.append(Embeddings({**options, "hybrid": True}, models=shared))
        loaded[0].transform("warm up")

    def ingest(work: Work) -> Search:
        index = loaded[0]
        index.index((name, text, None) for name, text in work.passages.items())
        return lambda question: [name for name, _ in index.search(question, DEPTH)]

    perform(ingest, prepare=prepare)


if __name__ == "__main__":
    main()
