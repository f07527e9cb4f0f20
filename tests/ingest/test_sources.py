"""Sources outside the project folder: what they report is indexed, updated and removed, however a run ends."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import load_config
from groundtune.errors import GroundtuneError, UsageError
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import EVERYONE, Document, FileRow, SourceChanges, SourceItem
from tests.conftest import MakeProject
from tests.ingest.extension_package import installed
from tests.ingest.test_sync import Words, _in_process, all_documents, changes, opened, run, sources_with, state

__all__ = ["_in_process"]
pytestmark = pytest.mark.usefixtures("_in_process")

PACKAGE = """
CALLS, REPLIES = [], {}

class Fake:
    def __init__(self, folder, *, name, query=""):
        self.name = name
        if name == "unmade":
            raise OSError("no route to host")

    async def changes(self, cursor):
        CALLS.append((self.name, cursor))
        reply = REPLIES[self.name]
        return reply(cursor) if callable(reply) else reply

def register(extensions):
    extensions.source("fake", Fake)
    extensions.source("wrong", lambda folder: object())
"""
TABLE = '[sources.db]\nkind = "fake"\noptions = {{ name = "db", query = "{query}" }}\n'
TOML = TABLE.format(query="")


class Site:
    """The installed package: what its sources answer, and the cursors that they were asked with."""

    def __init__(self, module: Any) -> None:
        self.replies: dict[str, Any] = module.REPLIES
        self.calls: list[tuple[str, str | None]] = module.CALLS

    def reply(self, *items: SourceItem, name: str = "db", **options: Any) -> None:
        self.replies[name] = SourceChanges(items, **options)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with installed(tmp_path / "site", PACKAGE, name="acme_sources"):
        load_config(tmp_path / "none.toml", text=f'name = "load"\n{TOML}')  # imports the package
        yield Site(sys.modules["acme_sources"])


def item(key: str, text: str = "An otter.", **options: Any) -> SourceItem:
    return SourceItem(key, text, **options)


async def rows(folder: Path) -> dict[str, FileRow]:
    index = await opened(folder)
    try:
        return await index.catalog.files()
    finally:
        await index.close()


async def documents(folder: Path) -> dict[str, Document]:
    index = await opened(folder)
    try:
        return {document.source: document for document in all_documents(index.catalog)}
    finally:
        await index.close()


def rewrite(folder: Path, toml: str) -> None:
    (folder / "groundtune.toml").write_text(f'name = "test"\n{toml}', encoding="utf-8")


# -- items -------------------------------------------------------------------------------------------------------------


async def test_items_become_documents(site: Site, make_project: MakeProject, tmp_path: Path) -> None:
    folder = make_project({"a.md": "A file."}, toml=TOML)
    (tmp_path / "elsewhere.md").write_text("# Beavers\n\nA beaver builds.")
    site.reply(
        item("1", "First paragraph.\n\nSecond paragraph.", title="Row 1", metadata={"year": "2024"}, groups=("hr",)),
        item("page/2", "# Heading\n\nUnder the heading.", name="page.md"),
        SourceItem("3", content=b"id,text\na,An eel\nb,A newt\n", name="table.csv", metadata={"from": "crm"}),
        SourceItem("4", path=tmp_path / "elsewhere.md", title="Own title"),
    )
    report = await run(folder)
    assert changes(report) == dict.fromkeys(("a.md", "db:1", "db:3", "db:4", "db:page/2"), "added")
    assert report.failed_sources == {}
    assert report.summary == "1 file, 4 items: 5 added"
    found = await documents(folder)
    assert list(found) == ["a.md", "db:1", "db:3#a", "db:3#b", "db:4", "db:page/2"]
    first = found["db:1"]
    assert (first.text, first.title) == ("First paragraph.\n\nSecond paragraph.", "Row 1")
    assert (first.metadata, first.groups) == ({"year": "2024"}, ("hr",))
    assert found["db:page/2"].title == "Heading"
    assert found["db:page/2"].media_type == "text/markdown"
    assert found["db:3#a"].metadata["from"] == "crm"
    assert (found["db:4"].title, found["db:4"].groups) == ("Own title", (EVERYONE,))
    assert await sources_with(folder, "Second paragraph") == set()
    assert await sources_with(folder, "Second paragraph", groups=["hr"]) == {"db:1"}


async def test_only_what_changed_is_embedded_again(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    site.reply(item("1", "An otter."), item("2", "A beaver."), cursor="a")
    await run(folder)
    site.reply(item("1", "An otter."), item("2", "A badger."), cursor="b")
    words = Words()
    report = await run(folder, words)
    assert changes(report) == {"db:1": "unchanged", "db:2": "changed"}
    assert words.texts == ["A badger."]
    site.reply(item("1", "An otter.", title="Otters"), cursor="c")
    assert changes(await run(folder)) == {"db:1": "changed", "db:2": "unchanged"}
    assert site.calls == [("db", None), ("db", "a"), ("db", "b")]


async def test_a_file_in_place_is_read_again_when_it_changes(
    site: Site, make_project: MakeProject, tmp_path: Path
) -> None:
    folder, file = make_project(toml=TOML), tmp_path / "share.md"
    file.write_text("An otter.")
    site.reply(SourceItem("1", path=file), SourceItem("2", path=tmp_path / "absent.md"))
    assert changes(await run(folder)) == {"db:1": "added", "db:2": "added"}
    assert changes(await run(folder)) == {"db:1": "unchanged", "db:2": "unchanged"}
    file.write_text("A badger.")
    assert changes(await run(folder)) == {"db:1": "changed", "db:2": "unchanged"}
    assert (await rows(folder))["db:2"].reason == "no such file or directory"
    os.utime(file, (1, 1))
    assert changes(await run(folder))["db:1"] == "unchanged"


async def test_what_is_removed_leaves_the_index(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    site.reply(item("1"), item("2", "A beaver."), item("3", "A badger."), cursor="a")
    await run(folder)
    site.reply(removed=["2", "never there"], cursor="b")
    assert changes(await run(folder)) == {"db:1": "unchanged", "db:2": "removed", "db:3": "unchanged"}
    assert await sources_with(folder, "beaver") == set()
    site.reply(item("3", "A badger."), complete=True)
    assert changes(await run(folder)) == {"db:1": "removed", "db:3": "unchanged"}
    assert list(await rows(folder)) == ["db:3"]


async def test_a_source_is_read_page_by_page(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    pages = {
        None: SourceChanges([item("1", "Page one."), item("2", "Old.")], cursor="p1", more=True),
        "p1": SourceChanges([item("2", "New."), item("3", "Page two.")], removed=["1"], cursor="p2", more=True),
        "p2": SourceChanges([item("4", "Page three.")], cursor="end", complete=True),
        "end": SourceChanges([], cursor="end"),
    }
    site.replies["db"] = pages.__getitem__
    assert changes(await run(folder)) == {"db:2": "added", "db:3": "added", "db:4": "added"}
    assert (await documents(folder))["db:2"].text == "New."
    await run(folder)
    assert [cursor for _, cursor in site.calls] == [None, "p1", "p2", "end"]


async def test_an_item_that_changes_back_while_paging_is_as_it_was(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    site.reply(item("1", "Old."), cursor="a")
    await run(folder)
    pages = {
        "a": SourceChanges([item("1", "New.")], cursor="b", more=True),
        "b": SourceChanges([item("1", "Old.")], cursor="c"),
    }
    site.replies["db"] = pages.__getitem__
    await run(folder)
    assert (await documents(folder))["db:1"].text == "Old."
    assert await sources_with(folder, "New") == set()


# -- what cannot be indexed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "source", "reason"),
    [
        (SourceItem(7, "x"), None, "its id 7 is of type int, not text"),  # type: ignore[arg-type]
        (SourceItem(" ", "x"), None, "its id ' ' is empty"),
        (SourceItem("a\nb", "x"), None, r"its id 'a\nb' has characters that cannot be printed"),
        (SourceItem("a#b", "x"), None, "its id 'a#b' has a \"#\", which separates a file from its rows"),
        (SourceItem("x" * 501, "x"), None, "is longer than 500 characters"),
        (SourceItem("ok", "x"), "db:#ok", "the source reported this id twice; the first one is indexed"),
        (SourceItem("a"), "db:a", "needs exactly one of text, content and path"),
        (SourceItem("a", "x", b"x"), "db:a", "needs exactly one of text, content and path"),
        (SourceItem("a", content=b"x"), "db:a", "its content needs a name"),
        (SourceItem("a", content=b"x", name="x.exe"), "db:a", "not supported"),
        (SourceItem("a", 5), "db:a", "its text is of type int, not str"),  # type: ignore[arg-type]
        (SourceItem("a", "\ud800"), "db:a", "its text is not valid Unicode"),
        (SourceItem("a", "  \n"), "db:a", "contains no text"),
        (SourceItem("a", ""), "db:a", "empty file"),
        (SourceItem("a", "x" * 1_000_001), "db:a", "exceeds documents.max_mb = 1"),
        (SourceItem("a", "x", metadata={"n": 1}), "db:a", "its metadata 'n' is of type int, not text"),  # type: ignore[dict-item]
        (SourceItem("a", "x", metadata=None), "db:a", "its metadata is None"),  # type: ignore[arg-type]
        (SourceItem("a", "x", groups=()), "db:a", "it has no groups"),
        (SourceItem("a", "x", groups="hr"), "db:a", "not a tuple of names"),  # type: ignore[arg-type]
        (SourceItem("a", content=b"PK\x03\x04", name="x.docx"), "db:a", ""),
    ],
)
async def test_an_item_that_cannot_be_indexed_is_a_row(
    bad: SourceItem, source: str | None, reason: str, site: Site, make_project: MakeProject
) -> None:
    folder = make_project(toml=f"[documents]\nmax_mb = 1\n{TOML}")
    site.reply(item("ok"), bad, bad, cursor="a")
    await run(folder)
    ledger = await rows(folder)
    (failed,) = [row for row in ledger.values() if row.status != "indexed" and row.source.count("#") <= 1][:1]
    if source:
        failed = ledger[source]
    assert reason in (failed.reason or "")
    assert failed.documents == 0
    assert failed.source.startswith("db:#") or failed.source == source
    assert list(await documents(folder)) == ["db:ok"]
    site.reply(item("ok"), complete=True)
    assert list(changes(await run(folder)).items())[-1] == ("db:ok", "unchanged")
    assert list(await rows(folder)) == ["db:ok"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ([], "changes() returned list, not SourceChanges"),
        (SourceChanges([{"id": "1"}]), "changes() returned an item that is of type dict, not SourceItem"),  # type: ignore[list-item]
        (SourceChanges([], cursor=4), "the cursor is of type int, not text"),  # type: ignore[arg-type]
        (SourceChanges([], more=True), "changes() says that there is more, but returned no new cursor"),
        (lambda cursor: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda cursor: sys.exit("done"), None),
    ],
)
async def test_a_source_that_fails_keeps_its_documents(
    reply: Any, reason: str | None, site: Site, make_project: MakeProject
) -> None:
    other = TOML.replace("sources.db", "sources.other").replace('"db"', '"other"')
    folder = make_project({"a.md": "A file."}, toml=TOML + other)
    site.reply(item("1"), cursor="a")
    site.reply(item("1", "A beaver."), name="other")
    await run(folder)
    site.replies["db"] = reply
    site.reply(item("1", "A badger."), name="other")
    if reason is None:
        with pytest.raises(SystemExit):
            await run(folder)
        return
    report = await run(folder)
    assert list(report.failed_sources) == ["db"]
    assert changes(report) == {"a.md": "unchanged", "db:": "added", "db:1": "unchanged", "other:1": "changed"}
    assert report.summary == "1 file, 2 items: 1 changed, 2 unchanged"
    assert ((await rows(folder))["db:"].status, (await rows(folder))["db:"].reason) == ("failed", reason)
    assert await sources_with(folder, "otter") == {"db:1"}
    site.reply(item("2"), cursor="b")
    report = await run(folder)
    assert report.failed_sources == {}
    assert changes(report) == {"a.md": "unchanged", "db:1": "unchanged", "db:2": "added", "other:1": "unchanged"}
    assert site.calls[-2] == ("db", "a"), "the cursor is that of the last call that succeeded"


async def test_a_source_that_cannot_be_made_fails_alone(site: Site, make_project: MakeProject) -> None:
    folder = make_project({"a.md": "A file."}, toml=TOML.replace('name = "db"', 'name = "unmade"'))
    report = await run(folder)
    assert list(report.failed_sources) == ["db"]
    assert "failed: OSError: no route to host" in ((await rows(folder))["db:"].reason or "")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("options.nam = 1", r"sources\.db\.options: missing a required argument: 'name'"),
        ("options = {name = 'db', querry = 'x'}", "got an unexpected keyword argument 'querry'"),
    ],
)
async def test_wrong_options_stop_the_run(toml: str, message: str, site: Site, make_project: MakeProject) -> None:
    folder = make_project({"a.md": "A file."}, toml=f'[sources.db]\nkind = "fake"\n{toml}\n')
    with pytest.raises(UsageError, match=message) as caught:
        await run(folder)
    assert caught.value.hint == "known options: name, query"


# -- cursors and settings ----------------------------------------------------------------------------------------------


async def test_other_settings_start_over_and_drop_what_is_not_reported(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    site.reply(item("1"), item("2", "A beaver."), cursor="a")
    await run(folder)
    rewrite(folder, TABLE.format(query="only beavers"))
    site.replies["db"] = lambda cursor: 1 / 0
    await run(folder)
    site.reply(item("2", "A beaver."), cursor="b")
    assert changes(await run(folder)) == {"db:1": "removed", "db:2": "unchanged"}
    assert [cursor for _, cursor in site.calls] == [None, None, None]


async def test_a_source_that_is_no_longer_configured_is_forgotten(site: Site, make_project: MakeProject) -> None:
    folder = make_project({"a.md": "A file."}, toml=TOML)
    site.reply(item("1"), cursor="a")
    await run(folder)
    rewrite(folder, "")
    assert changes(await run(folder)) == {"a.md": "unchanged", "db:1": "removed"}
    rewrite(folder, TOML)
    assert changes(await run(folder)) == {"a.md": "unchanged", "db:1": "added"}
    assert [cursor for _, cursor in site.calls] == [None, None]


async def test_a_rebuild_starts_over(site: Site, make_project: MakeProject) -> None:
    folder = make_project(toml=TOML)
    site.reply(item("1"), cursor="a")
    await run(folder)
    await run(folder, rebuild=True)
    assert [cursor for _, cursor in site.calls] == [None, None]
    assert await sources_with(folder, "otter") == {"db:1"}


async def test_a_rebuild_loses_no_documents_of_a_source_that_fails(site: Site, make_project: MakeProject) -> None:
    folder = make_project({"a.md": "A file."}, toml=TOML)
    site.reply(item("1"), cursor="a")
    await run(folder)
    site.replies["db"] = lambda cursor: 1 / 0
    with pytest.raises(GroundtuneError, match=r"the source db could not be read .* the previous index is unchanged"):
        await run(folder, rebuild=True)
    assert await sources_with(folder, "otter") == {"db:1"}
    site.reply(item("1"), cursor="a")
    await run(folder, rebuild=True)
    rewrite(folder, TOML + TOML.replace("sources.db", "sources.new").replace('"db"', '"unmade"'))
    report = await run(folder, rebuild=True)
    assert list(report.failed_sources) == ["new"], "it had no documents that could be lost"
    assert await sources_with(folder, "otter") == {"db:1"}


async def test_a_file_named_like_an_item_is_another_document(site: Site, make_project: MakeProject) -> None:
    folder = make_project({"db:1": "", "db:1.md": "A file.", "db:/x.md": "Deeper."})
    await run(folder)
    assert set(await documents(folder)) == {"db:1.md", "db:/x.md"}
    rewrite(folder, f'[[documents.access]]\ninclude = ["db:1.md"]\ngroups = ["hr"]\n{TOML}')
    site.reply(item("1.md", "An item."))
    await run(folder)
    found = await documents(folder)
    assert {source: document.text for source, document in found.items()} == {
        "./db:/x.md": "Deeper.",
        "./db:1.md": "A file.",
        "db:1.md": "An item.",
    }
    assert found["./db:1.md"].groups == ("hr",)
    assert changes(await run(folder)) == dict.fromkeys(("./db:/x.md", "./db:1", "./db:1.md", "db:1.md"), "unchanged")
    rewrite(folder, "")
    await run(folder)
    assert set(await documents(folder)) == {"db:1.md", "db:/x.md"}
    assert (await documents(folder))["db:1.md"].text == "A file."


# -- access ------------------------------------------------------------------------------------------------------------


def rule(pattern: str, *groups: str) -> str:
    return f"[[documents.access]]\ninclude = [{json.dumps(pattern)}]\ngroups = {json.dumps(groups)}\n"


@pytest.mark.parametrize(
    ("given", "ruled", "groups"),
    [
        ((EVERYONE,), ("hr",), ("hr",)),
        (("hr",), (), ("hr",)),
        (("hr", "it"), ("it", "law"), ("it",)),
        (("hr", EVERYONE), ("it",), ("it",)),
        (("hr",), ("it",), None),
    ],
)
async def test_the_stricter_groups_win(
    given: tuple[str, ...],
    ruled: tuple[str, ...],
    groups: tuple[str, ...] | None,
    site: Site,
    make_project: MakeProject,
) -> None:
    folder = make_project(toml=TOML + (rule("db:*", *ruled) if ruled else ""))
    site.reply(item("a/1", groups=given))
    await run(folder)
    found = await documents(folder)
    if groups:
        assert found["db:a/1"].groups == groups
        return
    assert found == {}
    assert "no group may read it" in ((await rows(folder))["db:a/1"].reason or "")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("**/*", ["a/1", "b", "https://c"]),
        ("db:*", ["a/1", "b", "https://c"]),
        ("db:**", ["a/1", "b", "https://c"]),
        ("db:a", ["a/1"]),
        ("db:a/*", ["a/1"]),
        ("{db,crm}:a/**", ["a/1"]),
        ("db:https:/**", ["https://c"]),
        ("*", ["b"]),
        ("crm:*", []),
        ("a/*", []),
    ],
)
async def test_patterns_match_items(
    pattern: str, matches: Sequence[str], site: Site, make_project: MakeProject
) -> None:
    folder = make_project(toml=TOML + rule(pattern, "hr"))
    site.reply(item("a/1"), item("b"), item("https://c"))
    await run(folder)
    restricted = [source for source, document in (await documents(folder)).items() if document.groups == ("hr",)]
    assert restricted == [f"db:{match}" for match in matches]


@pytest.mark.parametrize("outcome", ["reported", "not reported", "fails"])
async def test_a_new_access_rule_applies_to_items_that_do_not_change(
    outcome: str, site: Site, make_project: MakeProject
) -> None:
    folder = make_project(toml=TOML)
    everything = SourceChanges([item("1", "A secret."), item("2", "A beaver.")], cursor="a")
    replies: dict[str, Callable[[str | None], Any]] = {
        "reported": lambda cursor: SourceChanges([], cursor="a") if cursor else everything,
        "not reported": lambda cursor: SourceChanges([item("2", "A beaver.")], cursor="a"),
        "fails": lambda cursor: 1 / 0,
    }
    site.replies["db"] = everything
    await run(folder)
    rewrite(folder, TOML + rule("db:1", "hr"))
    site.replies["db"] = replies[outcome]
    await run(folder)
    assert await sources_with(folder, "secret") == set()
    assert await sources_with(folder, "secret", groups=["hr"]) == ({"db:1"} if outcome == "reported" else set())
    assert await sources_with(folder, "beaver") == {"db:2"}
    site.replies["db"] = replies["reported"]
    await run(folder)
    assert site.calls[-1][1] == ("a" if outcome != "fails" else None)


# -- kills -------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stops a run anywhere, as a kill would."""


STEPS = [
    *((SqliteCatalog, name) for name in ("mark_unfinished", "save", "save_rows", "remove", "save_cursor")),
    *((LanceStore, name) for name in ("replace", "delete")),
]


def stop_at(patch: pytest.MonkeyPatch, nth: int, *, after: bool) -> None:
    """Raise Killed before or after the nth write."""
    count = 0

    def stopping(real: Callable[..., Any]) -> Callable[..., Any]:
        async def step(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == nth and not after:
                raise Killed
            result = await real(*args, **options)
            if count == nth:
                raise Killed
            return result

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, stopping(getattr(owner, name)))


LOG: list[tuple[int, str, str | None]] = [
    (1, "1", "An otter."), (1, "2", "A beaver."), (1, "3", "A newt."),
    (2, "1", "A badger."), (2, "2", None), (2, "4", "An eel."),
    (3, "1", "An otter."), (3, "2", "A beaver."), (3, "4", None),
]  # fmt: skip
"""What happened to a table: version, id and new text, or None when the row is deleted."""


def feed(version: int) -> Callable[[str | None], SourceChanges]:
    """A source with a cursor, which has reached this version."""

    def changes_since(cursor: str | None) -> SourceChanges:
        last = {key: text for number, key, text in LOG if int(cursor or 0) < number <= version}
        items = [item(key, text) for key, text in last.items() if text is not None]
        removed = [key for key, text in last.items() if text is None] if cursor else []
        return SourceChanges(items, removed=removed, cursor=str(version))

    return changes_since


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("settles", [3, 2], ids=["changes back", "stays"])
async def test_a_killed_run_repeats_and_loses_nothing(
    settles: int, after: bool, site: Site, make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make_project(toml=TOML, name="expected")
    site.replies["db"] = feed(settles)
    await run(expected)
    nth, killed = 0, True
    while killed:
        nth, killed = nth + 1, False
        folder = make_project(toml=TOML, name=f"killed-{nth}")
        site.replies["db"] = feed(1)
        await run(folder)
        site.replies["db"] = feed(2)
        with monkeypatch.context() as patch:
            stop_at(patch, nth, after=after)
            try:
                await run(folder)
            except Killed:
                killed = True
        site.replies["db"] = feed(settles)
        await run(folder)
        assert await state(folder) == await state(expected), f"killed at write {nth}"
    assert nth > 6


# -- the folder --------------------------------------------------------------------------------------------------------


FOLDER = '[sources.share]\nkind = "folder"\noptions = {path = "../share", exclude = ["*.tmp"]}\n'


async def test_a_folder_elsewhere(make_project: MakeProject, tmp_path: Path) -> None:
    share = tmp_path / "share"
    (share / "deep").mkdir(parents=True)
    for name in ("a.md", "b.tmp", "deep/c#.md", ".hidden.md"):
        (share / name).write_text(f"The file {name}.")
    folder = make_project({"a.md": "A file."}, toml=FOLDER)
    assert changes(await run(folder)) == dict.fromkeys(("a.md", "share:a.md", "share:deep/c%23.md"), "added")
    (share / "a.md").write_text("Another text.")
    (share / "deep/c#.md").unlink()
    report = await run(folder)
    assert changes(report) == {"a.md": "unchanged", "share:a.md": "changed", "share:deep/c%23.md": "removed"}
    share.rename(tmp_path / "unmounted")
    report = await run(folder)
    assert list(report.failed_sources) == ["share"]
    assert (await rows(folder))["share:"].reason == f"there is no folder {share}"
    assert await sources_with(folder, "Another text") == {"share:a.md"}
