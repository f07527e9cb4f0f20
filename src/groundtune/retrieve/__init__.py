"""Turn a question into passages: BM25, dense search, fusion, reranking."""
