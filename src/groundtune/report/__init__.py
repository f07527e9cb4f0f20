"""Turn the numbers of a comparison into one self-contained HTML page."""
