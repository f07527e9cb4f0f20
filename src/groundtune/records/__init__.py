"""Keep what was served in `.groundtune/`: a record of each answer, and what people think of it. Serves nothing."""
