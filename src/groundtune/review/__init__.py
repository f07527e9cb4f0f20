"""Let people decide about served answers, and turn what they decided into examples. Serves and trains nothing."""
