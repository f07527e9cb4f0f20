"""Run approaches on examples, and score the results.

The matrix holds all results; a cell of it is the result of one approach on one example.
"""
