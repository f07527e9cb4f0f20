"""Indexes that are built in turn read each file once, ask each source once, and may get a part of the documents."""

from collections.abc import Sequence
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument, TextBuilder
from groundtune.ingest.shared_reading import SharedReading
from groundtune.ingest.source_items import ConfiguredSource
from groundtune.types import SourceChanges, SourceItem


class Counting:
    """A loader, and a source, that count how often they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def load_many(
        self, paths: Sequence[Path], parsers: Sequence[str] = ()
    ) -> list[list[ParsedDocument] | ParseError]:
        self.asked += [path.name for path in paths]
        return [self._load(path) for path in paths]

    @staticmethod
    def _load(path: Path) -> list[ParsedDocument] | ParseError:
        if path.suffix == ".bad":
            return ParseError("is damaged", hint="mend it", skip=True)
        builder = TextBuilder()
        builder.heading(1, "Title")
        builder.paragraph(path.read_text())
        return [builder.build(title="Title")]

    async def changes(self, cursor: str | None) -> SourceChanges:
        self.asked.append(f"cursor {cursor}")
        items = [SourceItem("1", text="one"), SourceItem("2", text="two")]
        return SourceChanges(items, cursor="next" if cursor is None else None, complete=True, more=cursor is None)


async def test_a_file_is_read_again_only_when_its_bytes_change(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    good, bad, gone = tmp_path / "a.md", tmp_path / "b.bad", tmp_path / "gone.bad"
    good.write_text("first")
    bad.write_text("x")
    inner = Counting()
    first = await SharedReading(kept).loader(inner).load_many([good, bad, gone])
    again = await SharedReading(kept).loader(inner).load_many([bad, good], ["", ""])
    assert inner.asked == ["a.md", "b.bad", "gone.bad"]
    assert again[1] == first[0]
    for outcome in (first[1], again[0]):
        assert isinstance(outcome, ParseError)
        assert (str(outcome), outcome.hint, outcome.skip) == ("is damaged", "mend it", True)
    good.write_text("second")
    (changed,) = await SharedReading(kept).loader(inner).load_many([good])
    assert isinstance(changed, list)
    assert changed[0].text.endswith("second")
    await SharedReading(kept).loader(inner).load_many([good], ["markitdown"])
    assert inner.asked[3:] == ["a.md", "a.md"], "another parser reads other text"


async def test_a_source_is_asked_once_and_items_can_be_left_out(tmp_path: Path) -> None:
    inner = Counting()
    source = ConfiguredSource("crm", "settings", lambda: inner)
    for keep in (lambda name: name == "crm:2", lambda name: True):
        reader = SharedReading(tmp_path, keep=keep).source(source).open()
        changes = await reader.changes(None)
        assert [item.id for item in changes.items] == [number for number in "12" if keep(f"crm:{number}")]
        assert (await reader.changes("next")).more is False
    assert inner.asked == ["cursor None", "cursor next"]
