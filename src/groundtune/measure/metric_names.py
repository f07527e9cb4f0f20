"""Name the scores that have a part in the verdict. Computes none."""

ASSERTED_WRONG = "asserted_wrong"
"""Name of the score that is 1 for a wrong answer without a word of doubt; the only one where lower is better."""
USUAL_PRIMARY = ("correct", "judge", "chrf", "f1")
"""Primary scores for a bare results file, in order of preference."""
