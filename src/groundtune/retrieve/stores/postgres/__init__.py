"""An index in a PostgreSQL database with pgvector, which several machines read and write."""
