"""Turn files into documents, passages and an index that follows them."""
