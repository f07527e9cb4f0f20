"""Fine-tune the embedder or a reranker on the project's questions, and decide whether to adopt it."""
