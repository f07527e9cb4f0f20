"""Tell whether what is served has changed, by a test for each signal, and what to do about it. Asks nothing."""
