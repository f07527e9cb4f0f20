"""Run LlamaIndex: vector index and BM25, fused by reciprocal rank as its documentation advises, one query, no LLM.

Runs in its own environment (requirements-llamaindex.txt); started by run.py. Each passage is one node, so the splitter
takes no time. The model is loaded outside the timing, and everything stays in memory.
"""

from llama_index.core import VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from work import DEPTH, Search, Work, perform

CANDIDATES = 100
"""Candidates per retriever, the same number that groundtune fuses."""
BATCH = 32
"""Default batch size of sentence-transformers."""


def main() -> None:
    loaded: list[HuggingFaceEmbedding] = []

    def prepare(work: Work) -> None:
        loaded.append(HuggingFaceEmbedding(model_name=work.model, device="cpu", embed_batch_size=BATCH))
        loaded[0].get_query_embedding("warm up")

    def ingest(work: Work) -> Search:
        nodes = [TextNode(id_=name, text=text) for name, text in work.passages.items()]
        index = VectorStoreIndex(nodes, embed_model=loaded[0])
        retriever = QueryFusionRetriever(
            [
                index.as_retriever(similarity_top_k=CANDIDATES),
                BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=CANDIDATES),
            ],
            llm=MockLLM(),
            mode=FUSION_MODES.RECIPROCAL_RANK,
            similarity_top_k=DEPTH,
            num_queries=1,
            use_async=False,
        )
        return lambda question: [hit.node.node_id for hit in retriever.retrieve(question)]

    perform(ingest, prepare=prepare)


if __name__ == "__main__":
    main()
