"""Show operators what the server does: metrics, spans, logs, probes."""
