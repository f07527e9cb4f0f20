"""The disk and the index agree after every run, however the last run ended."""

import asyncio
import hashlib
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fpdf import FPDF

from groundtune import build
from groundtune.build.open_index import OpenIndex
from groundtune.config import load_config
from groundtune.config.fitted_values import Fitted
from groundtune.errors import BusyError, IndexMismatchError, MissingError, ParseError, ProviderError
from groundtune.ingest import scan, sync
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.sync import SyncReport
from groundtune.protocols import Catalog, IndexStorage
from groundtune.retrieve.stores import sqlite_catalog
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.retrieve.stores.local_index import LocalIndex
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import Document, IndexManifest, Question, Scope, Stage, Vectors
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace
from tests.conftest import MakeProject

ROOT = Path(__file__).parents[2]
STAGES: tuple[Stage | None, ...] = ("bm25", "dense", "fused", None)


class Words:
    """An embedder without weights: a vector is the sum of its words' hashed vectors. Records the texts it embeds."""

    name = "words"
    digest = "words-1"
    dimension = 16
    max_tokens = 64

    def __init__(self) -> None:
        self.texts: list[str] = []

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        return self._vectors(texts)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        rows = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
                row += np.random.default_rng(seed).normal(size=self.dimension).astype(np.float32)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


class Refusing(Words):
    """Refuses texts with the word XQZ; after `working` texts it fails altogether."""

    def __init__(self, *, working: int = 1_000_000) -> None:
        super().__init__()
        self.working = working

    async def embed_each(self, texts: Sequence[str]) -> list[Vectors | ProviderError]:
        return [self._embed_one(text) for text in texts]

    def _embed_one(self, text: str) -> Vectors | ProviderError:
        if len(self.texts) >= self.working:
            return ProviderError("the server answered 503", kind="server", retryable=True)
        if "XQZ" in text:
            return ProviderError("unsupported value: NaN", kind="refused_text")
        self.texts.append(text)
        vector: Vectors = self._vectors([text])[0]
        return vector


class Here:
    """Load files in this process, as the sandbox does in others."""

    before: Callable[[Path], None] = staticmethod(lambda path: None)

    async def load_many(
        self, paths: Sequence[Path], parsers: Sequence[str] = ()
    ) -> list[list[ParsedDocument] | ParseError]:
        return [self._load(path, parser) for path, parser in zip(paths, parsers, strict=True)]

    def _load(self, path: Path, parser: str) -> list[ParsedDocument] | ParseError:
        try:
            type(self).before(path)
            return load(path, parser=parser)
        except ParseError as error:
            return error


@asynccontextmanager
async def here(_: object) -> Any:
    yield Here()


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "sandbox", here)
    monkeypatch.setattr(scan, "RACY_SECONDS", 0.0)


in_process = pytest.mark.usefixtures("_in_process")


async def run(folder: Path, embedder: Any = None, **options: Any) -> SyncReport:
    config = load_config(folder / "groundtune.toml")
    return await ingest(Workspace(folder), config, embedder or Words(), **options)


def changes(report: SyncReport) -> dict[str, str]:
    return {file.row.source: file.change for file in report.files}


async def opened(folder: Path) -> OpenIndex:
    config = load_config(folder / "groundtune.toml")
    return await OpenIndex.open(storage(folder), config=config, embedder=Words(), fitted=Fitted())


def storage(folder: Path) -> IndexStorage:
    workspace = Workspace(folder)
    return build.local_index(workspace, workspace.index)


def all_documents(catalog: Catalog) -> list[Document]:
    assert isinstance(catalog, SqliteCatalog)
    return list(sqlite_catalog._documents(catalog._db, "1 ORDER BY source"))


async def sources_with(folder: Path, text: str, *, groups: Sequence[str] = ()) -> set[str]:
    """Return the sources of all texts with these words that any stage, a scan or the catalog can see."""
    index = await opened(folder)
    try:
        question = Question(text, scope=Scope(tuple(groups)))
        sources = set()
        for stage in STAGES:
            for hit in await index.retriever.search(question, k=500, stage=stage):
                if text in hit.passage.text:
                    sources.add(hit.passage.source)
        sources |= {p.source for p in await index.store.scan(question.scope) if text in p.text}
        allowed = {"*", *groups}
        sources |= {d.source for d in all_documents(index.catalog) if text in d.text and allowed & set(d.groups)}
        return sources
    finally:
        await index.close()


async def state(folder: Path) -> dict[str, Any]:
    """Return everything an index holds, except what depends on when it was built."""
    index = await opened(folder)
    try:
        store: Any = index.store
        rows = (await store._table.query().to_arrow()).to_pylist()
        return {
            "files": {
                s: (r.status, r.reason, r.documents, r.passages, r.digest)
                for s, r in (await index.catalog.files()).items()
            },
            "documents": all_documents(index.catalog),
            "rows": sorted(rows, key=lambda row: str(row["id"])),
            "unfinished": await index.catalog.unfinished(),
            "hits": [
                [(hit.passage.id, round(hit.score, 5)) for hit in await index.retriever.search(Question(text), k=8)]
                for text in ("alpha", "topic number 7", "gamma delta")
            ],
        }
    finally:
        await index.close()


FILES = {
    "a.md": "# Otters\n\nThe otter lives at the river.\n",
    "b.md": "# Badgers\n\nThe badger digs at night.\n",
    "c/rows.csv": "id,animal,food\n1,heron,fish\n2,owl,mice\n3,stoat,rabbits\n",
}


# -- what changed --------------------------------------------------------------------------------------------------


@in_process
async def test_unchanged_files_are_left_alone(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    first = await run(folder, words)
    assert changes(first) == dict.fromkeys(FILES, "added")
    assert (first.documents, first.passages, first.embedded, len(words.texts)) == (5, 5, 5, 5)
    before = await state(folder)
    second = await run(folder, words)
    assert changes(second) == dict.fromkeys(FILES, "unchanged")
    assert (second.documents, second.passages, second.embedded, len(words.texts)) == (5, 5, 0, 5)
    assert await state(folder) == before


@in_process
async def test_a_changed_file_is_replaced(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    await run(folder, words)
    (folder / "a.md").write_text("# Otters\n\nThe otter moved to the lake.\n")
    report = await run(folder, words)
    assert changes(report) == {"a.md": "changed", "b.md": "unchanged", "c/rows.csv": "unchanged"}
    assert report.embedded == 1
    assert await sources_with(folder, "river") == set()
    assert await sources_with(folder, "lake") == {"a.md"}
    assert report.passages == 5


@in_process
async def test_a_removed_file_is_gone_at_every_stage(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    await run(folder)
    assert await sources_with(folder, "river") == {"a.md"}
    assert await sources_with(folder, "owl") == {"c/rows.csv#2"}
    (folder / "a.md").unlink()
    (folder / "c/rows.csv").unlink()
    report = await run(folder)
    assert changes(report) == {"a.md": "removed", "b.md": "unchanged", "c/rows.csv": "removed"}
    assert await sources_with(folder, "river") == set()
    assert await sources_with(folder, "owl") == set()
    assert report.passages == 1
    assert changes(await run(folder)) == {"b.md": "unchanged"}


@in_process
async def test_a_renamed_file_keeps_its_vectors(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    await run(folder, words)
    (folder / "a.md").rename(folder / "z.md")
    (folder / "c").rename(folder / "d")
    report = await run(folder, words)
    assert changes(report) == {
        "a.md": "removed", "b.md": "unchanged", "c/rows.csv": "removed", "d/rows.csv": "renamed", "z.md": "renamed"
    }  # fmt: skip
    assert report.embedded == 0
    assert len(words.texts) == 5
    assert await sources_with(folder, "river") == {"z.md"}
    assert await sources_with(folder, "heron") == {"d/rows.csv#1"}


@in_process
async def test_a_touched_file_is_not_embedded_again(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    await run(folder, words)
    os.utime(folder / "a.md", (1_000_000_000, 1_000_000_000))
    report = await run(folder, words)
    assert set(changes(report).values()) == {"unchanged"}
    assert report.embedded == 0


@in_process
async def test_only_changed_rows_of_a_table_are_embedded(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    await run(folder, words)
    (folder / "c/rows.csv").write_text("id,animal,food\n1,heron,fish\n2,owl,voles\n4,mole,worms\n")
    report = await run(folder, words)
    assert changes(report)["c/rows.csv"] == "changed"
    assert sorted(words.texts[5:]) == sorted(text for text in words.texts[5:] if "voles" in text or "mole" in text)
    assert report.embedded == 2
    assert await sources_with(folder, "stoat") == set()
    assert await sources_with(folder, "mice") == set()
    assert await sources_with(folder, "voles") == {"c/rows.csv#2"}
    (row,) = [file.row for file in report.files if file.row.source == "c/rows.csv"]
    assert (row.documents, row.passages) == (3, 3)


@in_process
async def test_repeated_row_ids_hide_no_row(make_project: MakeProject) -> None:
    folder = make_project({"r.csv": "id,text\nx,first\nx,second\nx~2,third\nx,fourth\n"})
    report = await run(folder)
    assert report.documents == 4
    for word in ("first", "second", "third", "fourth"):
        assert len(await sources_with(folder, word)) == 1
    assert changes(await run(folder)) == {"r.csv": "unchanged"}


@in_process
async def test_changed_access_rules_change_groups_without_embedding(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    words = Words()
    await run(folder, words)
    toml = (folder / "groundtune.toml").read_text()
    rule = '\n[[documents.access]]\ninclude = ["a.md", "c/**"]\ngroups = ["zoo"]\n'
    (folder / "groundtune.toml").write_text(toml + rule)
    report = await run(folder, words)
    assert changes(report) == {"a.md": "changed", "b.md": "unchanged", "c/rows.csv": "changed"}
    assert (report.embedded, len(words.texts)) == (0, 5)
    for word, source in (("river", "a.md"), ("heron", "c/rows.csv#1")):
        assert await sources_with(folder, word) == set()
        assert await sources_with(folder, word, groups=["zoo"]) == {source}
    (folder / "groundtune.toml").write_text(toml)
    await run(folder, words)
    assert await sources_with(folder, "river") == {"a.md"}


@in_process
async def test_failed_files_are_retried(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_project(FILES)

    def flaky(path: Path) -> None:
        if path.name == "a.md":
            raise ParseError("took longer than 1 second")

    with monkeypatch.context() as patch:
        patch.setattr(Here, "before", staticmethod(flaky))
        report = await run(folder)
    assert (report.files[0].row.status, report.files[0].row.reason) == ("failed", "took longer than 1 second")
    assert await sources_with(folder, "river") == set()
    report = await run(folder)
    assert changes(report)["a.md"] == "changed"
    assert await sources_with(folder, "river") == {"a.md"}


@in_process
async def test_a_refused_text_is_one_failed_file(make_project: MakeProject) -> None:
    folder = make_project({**FILES, "b.md": "# Badgers\n\nThe badger XQZ digs at night.\n"})
    for _ in range(2):
        report = await run(folder, Refusing())
        assert {file.row.source: file.row.status for file in report.files} == {
            "a.md": "indexed",
            "b.md": "failed",
            "c/rows.csv": "indexed",
        }
        assert report.files[1].row.reason == "a text cannot be embedded: unsupported value: NaN"
    assert await sources_with(folder, "digs") == set()
    assert changes(await run(folder, Words()))["b.md"] == "changed"  # tried again in every run
    assert await sources_with(folder, "digs") == {"b.md"}


@in_process
async def test_two_files_with_the_same_refused_text_both_fail(make_project: MakeProject) -> None:
    same = "# Badgers\n\nThe badger XQZ digs at night.\n"
    report = await run(make_project({"a.md": FILES["a.md"], "b.md": same, "c.md": same}), Refusing())
    assert {file.row.source: file.row.status for file in report.files} == {
        "a.md": "indexed",
        "b.md": "failed",
        "c.md": "failed",
    }


@in_process
async def test_a_refused_row_does_not_lose_the_other_rows(make_project: MakeProject) -> None:
    folder = make_project({"rows.csv": "id,animal,food\n1,heron,fish\n2,owl XQZ,mice\n3,stoat,rabbits\n"})
    (file,) = (await run(folder, Refusing())).files
    assert (file.row.status, file.row.documents) == ("indexed", 2)
    assert file.row.reason == "1 of 3 documents: a text cannot be embedded: unsupported value: NaN"
    assert await sources_with(folder, "stoat") == {"rows.csv#3"}
    assert await sources_with(folder, "mice") == set()


@in_process
async def test_a_changed_file_with_a_refused_text_leaves_nothing_old(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    await run(folder, Refusing())
    (folder / "a.md").write_text("# Otters\n\nThe otter XQZ lives at the lake.\n")
    await run(folder, Refusing())
    assert await sources_with(folder, "otter") == set()


@in_process
async def test_vectors_are_kept_when_the_embedder_fails(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "EMBED_CHUNK_SIZE", 2)
    folder = make_project({f"{n}.md": f"# File {n}\n\nSentence number {n} is here.\n" for n in range(8)})
    failing = Refusing(working=5)
    with pytest.raises(ProviderError, match="503"):
        await run(folder, failing)
    again = Refusing()
    report = await run(folder, again)
    assert {file.row.status for file in report.files} == {"indexed"}
    assert sorted(failing.texts + again.texts) == sorted(set(failing.texts + again.texts))
    assert len(failing.texts) == 5


@in_process
async def test_a_file_that_becomes_unreadable_leaves_the_index(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    await run(folder)
    (folder / "a.md").write_bytes(b"")
    report = await run(folder)
    assert [file.row.status for file in report.files if file.row.source == "a.md"] == ["skipped"]
    assert await sources_with(folder, "river") == set()
    assert changes(await run(folder))["a.md"] == "unchanged"


@in_process
async def test_a_file_that_disappears_between_scan_and_reading(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project(FILES)
    monkeypatch.setattr(Here, "before", staticmethod(lambda path: path.unlink() if path.name == "a.md" else None))
    report = await run(folder)
    assert [file.row.status for file in report.files] == ["failed", "indexed", "indexed"]
    assert await sources_with(folder, "river") == set()
    assert changes(await run(folder)) == {"a.md": "removed", "b.md": "unchanged", "c/rows.csv": "unchanged"}


@in_process
async def test_a_file_that_changes_between_scan_and_reading_and_back(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text read is not the one scanned; the next run must not take the scan's digest for that of the index."""
    folder = make_project(FILES)
    original = FILES["a.md"]

    def meddle(path: Path) -> None:
        if path.name == "a.md":
            path.write_text("# Otters\n\nA passing thought.\n")

    with monkeypatch.context() as patch:
        patch.setattr(Here, "before", staticmethod(meddle))
        await run(folder)
    assert await sources_with(folder, "passing") == {"a.md"}
    (folder / "a.md").write_text(original)
    await run(folder)
    assert await sources_with(folder, "passing") == set()
    assert await sources_with(folder, "river") == {"a.md"}


@in_process
async def test_a_file_changed_within_the_same_tick_is_noticed(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "RACY_SECONDS", 2.0)
    monkeypatch.setattr(scan, "_signature", lambda info: "always the same")
    folder = make_project(FILES)
    await run(folder)
    (folder / "a.md").write_text(FILES["a.md"].replace("river", "ocean"))
    assert changes(await run(folder))["a.md"] == "changed"
    assert await sources_with(folder, "ocean") == {"a.md"}


# -- odd inputs ----------------------------------------------------------------------------------------------------


def pdf(text: str | None, password: str | None = None) -> bytes:
    document = FPDF()
    document.add_page()
    document.set_font("helvetica")
    if text:
        document.cell(text=text)
    else:
        document.rect(10, 10, 50, 50)
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
    return bytes(document.output())


ODD: Mapping[bytes, tuple[bytes, str]] = {
    b"good.md": (b"# Good\n\nA good otter.", "indexed"),
    b"encrypted.pdf": (pdf("hidden", "secret"), "failed"),
    b"scan.pdf": (pdf(None), "skipped"),
    b"really-a-pdf.docx": (pdf("text"), "failed"),
    b"empty.md": (b"", "skipped"),
    b"broken.docx": (b"PK\x03\x04 and then nothing", "failed"),
    b"latin.txt": ("Ein Otter überquert die Brücke und grüßt.".encode("latin-1"), "indexed"),
    b"wide.txt": ("An otter in sixteen bits.".encode("utf-16"), "indexed"),
    b"picture.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "failed"),
    b"big.txt": (b"otter " * 250_000, "skipped"),
    b"zwei\nzeilen.md": (b"An otter in a name of two lines.", "indexed"),
    "otter-🦦.md".encode(): (b"An otter with a picture.", "indexed"),
    b"bytes-\xff\xfe.md": (b"An otter with a bad name.", "indexed"),
    b"#hash?&%20.md": (b"An otter with signs.", "indexed"),
    b"quote'\".md": (b"An otter with quotes.", "indexed"),
    ("n" * 250 + ".md").encode(): (b"An otter with a long name.", "indexed"),
}


@pytest.fixture
def odd(make_project: MakeProject) -> Path:
    folder = make_project(toml="[documents]\nmax_mb = 1\n")
    for name, (content, _) in ODD.items():
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    (folder / "loop").mkdir()
    (folder / "loop" / "again").symlink_to(folder / "loop")
    (folder / "dangling.md").symlink_to(folder / "nothing.md")
    os.mkfifo(folder / "pipe.md")
    return folder


async def test_every_odd_file_ends_in_the_ledger(odd: Path) -> None:
    """With the real sandbox; no file is lost, none takes the run down, and a second run changes nothing."""
    report = await run(odd)
    statuses = {file.row.source: file.row.status for file in report.files}
    for name, (_, status) in ODD.items():
        source = name.decode("utf-8", "backslashreplace")
        assert (source, statuses.get(source)) == (source, status)
    assert statuses["pipe.md"] == statuses["dangling.md"] == statuses["loop/again"] == "skipped"
    assert len(statuses) == len(ODD) + 3
    assert all(file.row.reason for file in report.files if file.row.status != "indexed")
    assert "max_mb" in next(file.row.reason or "" for file in report.files if file.row.source == "big.txt")
    otters = await sources_with(odd, "otter")
    assert {"otter-🦦.md", "bytes-\\xff\\xfe.md", "zwei\nzeilen.md", "#hash?&%20.md", "quote'\".md"} <= otters
    assert await sources_with(odd, "Brücke") == {"latin.txt"}
    again = await run(odd)
    assert set(changes(again).values()) == {"unchanged"}
    assert again.embedded == 0


@in_process
async def test_names_that_look_alike_are_two_files(make_project: MakeProject) -> None:
    folder = make_project({"\\xff.md": "The otter of the backslash."})
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.md")).write_text("The badger of the byte.")
    assert (await run(folder)).documents == 2
    assert len(await sources_with(folder, "otter")) == len(await sources_with(folder, "badger")) == 1
    assert set(changes(await run(folder)).values()) == {"unchanged"}


UNPRIVILEGED = """
    import asyncio, json, os, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from tests.ingest import test_sync as t
    from groundtune import build
    build.sandbox = t.here
    folder = Path(sys.argv[1])
    asyncio.run(t.run(Path(sys.argv[3])))  # imports all it needs while it may
    os.setgid(65534); os.setuid(65534)
    first = asyncio.run(t.run(folder))
    (folder / "file.md").chmod(0)
    (folder / "closed").chmod(0)
    second = asyncio.run(t.run(folder))
    rule = '\\n[[documents.access]]\\ninclude = ["closed/secret.md"]\\ngroups = ["hr"]\\n'
    with (folder / "groundtune.toml").open("a") as toml: toml.write(rule)
    third = asyncio.run(t.run(folder))
    (folder / "closed").chmod(0o700)
    print(json.dumps([
        [{o.row.source: [o.row.status, o.row.reason, o.change] for o in r.files} for r in (first, second, third)],
        sorted(asyncio.run(t.sources_with(folder, "otter"))),
    ]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="needs to give up root")
def test_unreadable_files_are_reported(tmp_path_factory: pytest.TempPathFactory, make_project: MakeProject) -> None:
    folder = make_project(
        {
            "file.md": "An otter.",
            "closed/one.md": "A hidden otter.",
            "closed/secret.md": "A secret otter.",
            "ok.md": "x",
        }
    )
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    base = tmp_path_factory.getbasetemp()
    for parent in (folder.parent, base, *base.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    warm = make_project({"ok.md": "x"}, name="warm")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), str(folder), str(ROOT), str(warm)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (first, second, third), otters = json.loads(done.stdout)
    assert {status for status, _, _ in first.values()} == {"indexed"}
    assert second["file.md"][:2] == ["failed", "permission denied; grant read access"]
    assert second["closed"][:2] == ["failed", "permission denied; grant read access"]
    assert second["closed/one.md"][2] == second["closed/secret.md"][2] == "unchanged"  # not visible, but not lost
    assert third["closed/secret.md"][2] == "removed"  # its groups have changed and it cannot be read again
    assert otters == ["closed/one.md"]


# -- kill -9 -------------------------------------------------------------------------------------------------------

KILLS = [
    ("LanceStore.replace", "before", 2),
    ("LanceStore.replace", "after", 1),
    ("LanceStore.replace", "after", 5),
    ("LanceStore.delete", "after", 1),
    ("SqliteCatalog.mark_unfinished", "after", 3),
    ("SqliteCatalog.save", "after", 2),
    ("SqliteCatalog.remove", "before", 1),
    ("LanceStore.optimize", "before", 1),
    ("LanceStore.open", "after", 1),
]


def child(folder: str, method: str, when: str, nth: int, after_seconds: float = 0.0, rebuild: bool = False) -> None:
    """Run an ingest in small batches that kills its own process at the nth call of a method, or after some time."""
    sync.BATCH_FILES = 2
    sync.COMPACT_EVERY = 3
    build.sandbox = here  # type: ignore[assignment]
    owner = {"LanceStore": LanceStore, "SqliteCatalog": SqliteCatalog, "": None}[method.partition(".")[0]]
    if owner:
        name = method.partition(".")[2]
        real = getattr(owner, name)
        calls = iter(range(1, 10_000))

        def maybe(moment: str, number: int) -> None:
            if (moment, number) == (when, nth):
                os.kill(os.getpid(), signal.SIGKILL)

        async def slow(*arguments: Any, **options: Any) -> Any:
            number = next(calls)
            maybe("before", number)
            result = await real(*arguments, **options)
            maybe("after", number)
            return result

        def quick(*arguments: Any, **options: Any) -> Any:
            number = next(calls)
            maybe("before", number)
            result = real(*arguments, **options)
            maybe("after", number)
            return result

        setattr(owner, name, slow if asyncio.iscoroutinefunction(real) else quick)
    else:
        timer = threading.Timer(after_seconds, lambda: os.kill(os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    asyncio.run(run(Path(folder), rebuild=rebuild))


def kill(
    folder: Path, method: str = "", when: str = "", nth: int = 0, *, seconds: float = 0.0, rebuild: bool = False
) -> None:
    process = SPARE.Process(target=child, args=(str(folder), method, when, nth, seconds, rebuild))
    process.start()
    process.join(600)
    assert process.exitcode == -signal.SIGKILL or (seconds and process.exitcode == 0), process.exitcode


SPARE = multiprocessing.get_context("forkserver")
SPARE.set_forkserver_preload(["groundtune.workflows.ingesting", "groundtune.retrieve.stores.lance", __name__])
"""Children are forked from a process that has already imported everything."""


def write(folder: Path, version: int, *, seed: int) -> None:
    """Write 36 files; each version changes, adds, removes and renames some."""
    rng = random.Random(seed)
    for path in folder.glob("*.*"):
        if path.suffix in (".md", ".csv"):
            path.unlink()
    for number in range(36):
        if version and number % 9 == 4:
            continue
        edited = f" Edited to version {version}." if number % 3 == 0 else ""
        name = f"{'new-' if version and number % 12 == 7 else ''}{number:02}.md"
        words = " ".join(rng.choices(["alpha", "beta", "gamma", "delta", "epsilon"], k=20))
        (folder / name).write_text(f"# Topic {number}\n\nText on topic number {number}: {words}.{edited}\n")
    rows = "".join(f"{row},animal {row + (version if row % 4 == 0 else 0)}\n" for row in range(20 - version))
    (folder / "rows.csv").write_text(f"id,name\n{rows}")


@pytest.fixture
async def expected(make_project: MakeProject, _in_process: None) -> list[dict[str, Any]]:
    """Return the states after uninterrupted runs over both versions."""
    states = []
    for version in (0, 1):
        folder = make_project(name=f"expected-{version}")
        write(folder, version, seed=1)
        await run(folder)
        states.append(await state(folder))
    return states


@pytest.mark.slow
@pytest.mark.parametrize(("method", "when", "nth"), KILLS, ids=[f"{m}-{w}-{n}" for m, w, n in KILLS])
async def test_a_run_killed_anywhere_resumes_to_the_same_state(
    method: str, when: str, nth: int, make_project: MakeProject, expected: list[dict[str, Any]]
) -> None:
    folder = make_project()
    write(folder, 0, seed=1)
    if "delete" in method or "remove" in method:
        await run(folder)
        write(folder, 1, seed=1)
        kill(folder, method, when, nth)
    else:
        kill(folder, method, when, nth)
        write(folder, 1, seed=1)  # the files keep changing meanwhile
    await run(folder)
    assert await state(folder) == expected[1]
    write(folder, 0, seed=1)
    if "open" not in method:
        kill(folder, method, when, 1)
    write(folder, 1, seed=1)  # back to what the ledger says: the store must not keep what was written in between
    await run(folder)
    assert await state(folder) == expected[1]


@pytest.mark.slow
async def test_a_run_killed_at_any_time_resumes_to_the_same_state(
    make_project: MakeProject, expected: list[dict[str, Any]]
) -> None:
    folder = make_project()
    for turn, seconds in enumerate((0.08, 0.2, 0.35)):
        write(folder, turn % 2, seed=1)
        kill(folder, seconds=seconds)
    write(folder, 0, seed=1)
    await run(folder)
    assert await state(folder) == expected[0]


# -- several processes ---------------------------------------------------------------------------------------------


@in_process
async def test_a_second_writer_learns_who_is_writing(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    code = (
        "import sys, time; from pathlib import Path; from groundtune.workspace import Workspace\n"
        f"with Workspace(Path({str(folder)!r})).writer_lock():\n    print('held', flush=True); sys.stdin.readline()"
    )
    holder = subprocess.Popen(  # noqa: ASYNC220 (its first line is waited for)
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(BusyError, match=f"process {holder.pid}") as caught:
            await run(folder)
        assert caught.value.exit_code == 1
        started = time.monotonic()
        with pytest.raises(BusyError):
            await run(folder, wait_seconds=0.4)
        assert 0.4 <= time.monotonic() - started < 30
        waiting = asyncio.create_task(run(folder, wait_seconds=300))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert (await waiting).documents == 5
    finally:
        holder.kill()
        holder.wait()


READER = """
    import asyncio, json, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from tests.ingest import test_sync as t
    from groundtune.types import Question

    async def main():
        folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
        seen, last = [], False
        while not last:
            last = stop.exists()
            index = await t.opened(folder)
            for _ in range(5):
                hits = await index.retriever.search(Question("topic number 7"), k=3)
                for hit in hits:
                    await index.document(hit.passage.document_id)
                seen.append([len(hits), await index.store.count()])
            await index.close()
            if len(seen) == 5:
                print("ready", flush=True)
        print(json.dumps(seen))

    asyncio.run(main())
"""


@pytest.mark.slow
@in_process
async def test_a_reader_in_another_process_always_gets_results(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It searches while files are ingested and removed, and while the whole index is rebuilt and swapped."""
    monkeypatch.setattr(sync, "BATCH_FILES", 3)
    folder, stop = make_project(), tmp_path / "stop"
    write(folder, 0, seed=1)
    await run(folder)
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(READER), str(folder), str(stop), str(ROOT)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert reader.stdout
    assert await reader.stdout.readline() == b"ready\n"
    for version in (1, 0):
        write(folder, version, seed=1)
        await run(folder)
    await run(folder, rebuild=True)
    stop.touch()
    out, err = await reader.communicate()
    assert reader.returncode == 0, err.decode()[-2000:]
    seen = json.loads(out)
    assert len(seen) >= 10, "before the changes and after them, and as often as it can meanwhile"
    assert all(hits == 3 and count >= 45 for hits, count in seen)


# -- generations ---------------------------------------------------------------------------------------------------


def generations(folder: Path) -> set[str]:
    return {path.name for path in Workspace(folder).index.glob("g-*")}


@in_process
async def test_a_rebuild_goes_beside_the_index_and_swaps_at_the_end(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project(FILES)
    await run(folder)
    (old,) = generations(folder)
    answers: list[int] = []

    class Asking(Words):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            index = await opened(folder)  # in the middle of the rebuild
            assert index.manifest.generation == old
            answers.append(len(await index.retriever.search(Question("otter"), k=9)))
            await index.close()
            return await super().embed(texts)

    asking = Asking()
    report = await run(folder, asking, rebuild=True)
    assert answers == [5]
    assert report.embedded == 5
    (new,) = generations(folder) - {old}
    present = await storage(folder).current()
    assert present is not None
    assert present.generation == new
    await run(folder)
    assert generations(folder) == {new}


@in_process
async def test_changed_passage_sizes_need_a_rebuild(make_project: MakeProject) -> None:
    folder = make_project(FILES)
    await run(folder)
    with (folder / "groundtune.toml").open("a") as toml:
        toml.write("[passages]\nmax_tokens = 30\nmin_tokens = 10\n")
    with pytest.raises(IndexMismatchError, match="splitter") as caught:
        await run(folder)
    assert caught.value.hint == "groundtune ingest --rebuild"
    with pytest.raises(IndexMismatchError):
        await opened(folder)
    await run(folder, rebuild=True)
    assert await sources_with(folder, "river") == {"a.md"}
    assert changes(await run(folder)) == dict.fromkeys(FILES, "unchanged")


@pytest.mark.slow
@in_process
async def test_a_killed_rebuild_resumes(make_project: MakeProject, expected: list[dict[str, Any]]) -> None:
    folder = make_project()
    write(folder, 0, seed=1)
    await run(folder)
    (old,) = generations(folder)
    kill(folder, "SqliteCatalog.save", "after", 6, rebuild=True)
    present = await storage(folder).current()
    assert present is not None
    assert present.generation == old
    assert await state(folder) == expected[0]
    half = generations(folder) - {old}
    words = Words()
    await run(folder, words, rebuild=True)
    assert generations(folder) == {old} | half  # the same generation was resumed
    assert 0 < len(words.texts) < len(expected[0]["rows"])
    assert await state(folder) == expected[0]


@in_process
async def test_a_rebuild_killed_between_swap_and_cleanup_is_complete(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project(FILES)
    await run(folder)
    real = Path.unlink

    def interrupted(self: Path, missing_ok: bool = False) -> None:
        if self.name == "next.json":
            raise KeyboardInterrupt
        real(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt):
            await run(folder, rebuild=True)
    words = Words()
    await run(folder, words, rebuild=True)
    assert len(words.texts) == 5, "the rebuild rebuilt nothing"
    assert not (Workspace(folder).index / "next.json").exists()


@in_process
async def test_readers_never_see_a_partial_first_index(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project(FILES)
    real = LocalIndex.open

    async def asked(self: LocalIndex, manifest: IndexManifest, *, read_only: bool) -> Any:
        with pytest.raises(MissingError, match="no index") as caught:
            await opened(folder)
        assert caught.value.hint == "groundtune ingest"
        return await real(self, manifest, read_only=read_only)

    calls: Iterator[int] = iter(range(100))

    async def first(self: LocalIndex, manifest: IndexManifest, *, read_only: bool) -> Any:
        return await (asked if next(calls) == 0 else real)(self, manifest, read_only=read_only)

    monkeypatch.setattr(LocalIndex, "open", first)
    await run(folder)
    assert await sources_with(folder, "river") == {"a.md"}
