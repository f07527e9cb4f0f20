"""Intervals, significance tests, power, ranking quality and thresholds. Pure; reads no files."""
