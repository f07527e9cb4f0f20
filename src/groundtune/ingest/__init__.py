"""Turn files into documents and passages, and keep an index of them up to date."""
