"""The HTML pages, in one frame, and what they ask for under `/api`. Their files are in `files/`."""
