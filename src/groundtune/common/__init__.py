"""Small pure parts that every layer may use: text, strict JSON, files, an event loop."""
