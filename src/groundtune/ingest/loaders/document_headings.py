"""Add the headings of a text document, and find its title. Serves Word, OpenDocument and RTF alike."""

from groundtune.ingest.parsed import TextBuilder, clean_line


class DocumentHeadings:
    """The headings of one document. A line in the style of a title stands above all of them."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._titled = False
        """Whether a line in the style of a title was seen."""
        self.title: str | None = None
        """That line, else the first heading if it is of level 1."""

    def add(self, level: int, text: str, label: str = "") -> None:
        """Add a heading. level: 0 for a line in the style of a title. label: its automatic number."""
        if self.title is None or (level == 0 and not self._titled):
            self.title = clean_line(text) if level <= 1 else None
            self._titled = level == 0
        self._builder.heading(max(level, 1) if not self._titled or level == 0 else level + 1, label + text)
