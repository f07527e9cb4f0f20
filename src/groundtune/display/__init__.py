"""Show results in a terminal (`str(result)`) and in a notebook. Imports nothing that computes or reads a file."""

from groundtune.display.blocks import Block, Displayed, Fold, Line, Table

__all__ = ["Block", "Displayed", "Fold", "Line", "Table"]
