"""The embedder or a reranker trained on the project's questions, and the gate that lets it in."""
