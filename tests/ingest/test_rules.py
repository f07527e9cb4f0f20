"""No file is open because a rule spells its name in another way, and what a rule removes is gone whatever follows."""

import json
import unicodedata
from pathlib import Path

import pytest

from groundtune import Project, build
from groundtune.config import load_config
from groundtune.errors import ConfigError, IndexMismatchError, MissingError, ProviderError, UsageError
from groundtune.ingest.rules import DocumentRules
from groundtune.types import SourceItem
from tests.conftest import MakeProject
from tests.ingest.test_sources import Site, rows, site
from tests.ingest.test_sync import Refusing, Words, _in_process, changes, run, sources_with

__all__ = ["_in_process", "site"]
in_process = pytest.mark.usefixtures("_in_process")

NFC, NFD = (unicodedata.normalize(form, "Gehälter") for form in ("NFC", "NFD"))
MIXED = f"{NFD}/{NFC}/ü{unicodedata.normalize('NFD', 'ü')}.md"
PARSERS = '[[documents.parsers]]\ninclude = ["*.pdf", "old/**"]\nparser = "markitdown"\n'
ACCESS = '[[documents.access]]\ninclude = [{}]\ngroups = ["hr"]\n'


def access(*patterns: str) -> str:
    return ACCESS.format(", ".join(json.dumps(pattern) for pattern in patterns))


def set_rules(folder: Path, toml: str) -> None:
    (folder / "groundtune.toml").write_text(f'name = "test"\n{toml}', encoding="utf-8")


def rules(tmp_path: Path, toml: str) -> DocumentRules:
    set_rules(tmp_path, toml)
    return DocumentRules(load_config(tmp_path / "groundtune.toml"), tmp_path)


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        (f"{NFC}/**", f"{NFD}/pay.md"),
        (f"{NFD}/**", f"{NFC}/pay.md"),
        (f"**/{NFC}/*.md", f"a/{NFD}/pay.md"),
        (unicodedata.normalize("NFC", MIXED), MIXED),
        (f"{{x,{NFC}}}/*", f"{NFD}/pay.md"),
        ("caf[é].md", "cafe\u0301.md"),
        ("caf?.md", "cafe\u0301.md"),
        ("한국/**", unicodedata.normalize("NFD", "한국") + "/a.md"),
        (f"db:{NFC}/*", f"db:{NFD}/1"),
        ("./hr/", "hr/deep/pay.md"),
    ],
)
def test_the_unicode_form_of_a_name_does_not_count(tmp_path: Path, pattern: str, source: str) -> None:
    found = rules(tmp_path, access(pattern))
    assert found.groups_for(source) == ("hr",)
    assert found.admit(source)


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("HR/**", "hr/pay.md"),
        ("hr/**", "Hr/deep/pay.md"),
        ("**/*.pdf", "a/PAY.PDF"),
        ("{HR,Legal}/**", "legal/a.md"),
        ("hr /**", "hr/pay.md"),
        ("hr/**", "hr /pay.md"),
        ("hr/** ", "hr/pay.md"),
        ("hr/**", "h\u200br/pay.md"),
        ("hr/**", "hr\u00ad/pay.md"),
        ("\ufeffhr/**", "hr/pay.md"),
        ("hr data/**", "hr\u00a0data/pay.md"),
        ("hr/**", "hr\\pay.md"),
        ("hr/**", "ｈｒ/pay.md"),
        ("STRASSE/**", "straße/a.md"),
        ("İK/**", "ik/a.md"),
        ("ik/**", "IK/a.md"),
        ("SIK/**", "sık/a.md"),
        ("ΣΑΣ/**", "σας/a.md"),
        ("[hH]r/**", "HR/pay.md"),
        ("HR/**", f"hr/{NFD}.md"),
        ("DB:hr/*", "db:hr/1"),
        ("db:HR/*", "db:hr/1"),
    ],
)
def test_a_rule_that_misses_a_file_by_its_spelling_opens_nothing(tmp_path: Path, pattern: str, source: str) -> None:
    found = rules(tmp_path, access("unrelated/**", pattern))
    assert found.groups_for(source) == ()
    assert not found.admit(source)
    assert found.withheld(source) is not None
    (problem,) = found.refusal.problems if found.refusal else ()
    assert problem.line == 3
    assert "open to everyone" in problem.message
    assert "\u200b" not in str(problem)


def test_other_letters_are_other_names(tmp_path: Path) -> None:
    found = rules(tmp_path, access("hr/**", "[p]ay/**"))
    for source in ("һr/pay.md", "hrx/pay.md", "Pay/a.md", "docs/hr.md"):  # a Cyrillic letter is not solved
        assert found.admit(source)
        assert found.groups_for(source) == ("*",)
    assert found.refusal is None
    assert [note.text for note in found.notes] == [
        'groundtune.toml:3: documents.access "hr/**" matches no document',
        'groundtune.toml:3: documents.access "[p]ay/**" matches no document',
    ]


def test_a_file_that_another_rule_names_is_meant_so(tmp_path: Path) -> None:
    opened = access("HR/**") + '[[documents.access]]\ninclude = ["hr/open.md"]\ngroups = ["*"]\n'
    found = rules(tmp_path, opened)
    assert found.groups_for("hr/open.md") == ("*",)
    assert found.groups_for("hr/pay.md") == ()


@in_process
async def test_ingest_refuses_before_it_reads_and_says_where(make_project: MakeProject) -> None:
    folder = make_project({"hr/pay.md": "The otter earns.", "hr/b.md": "A beaver.", "c.md": "A heron."})
    set_rules(folder, access("HR/**"))
    words = Words()
    with pytest.raises(ConfigError) as refused:
        await run(folder, words)
    assert words.texts == []
    message = 'documents.access "HR/**" would match 2 files: hr/b.md, hr/pay.md if upper and lower case did not count'
    assert f"groundtune.toml:3: {message}; as it stands, open to everyone" in str(refused.value)


@in_process
async def test_what_is_gone_or_restricted_leaves_the_index_before_a_refusal(make_project: MakeProject) -> None:
    folder = make_project({"hr/pay.md": "The otter earns.", "gone.md": "A beaver.", "law/a.md": "An owl.", "c.md": "x"})
    await run(folder)
    (folder / "gone.md").unlink()
    (folder / "new.md").write_text("A badger.")
    set_rules(folder, access("HR/**", "law/**"))
    with pytest.raises(ConfigError):
        await run(folder)
    for word in ("otter", "beaver", "owl", "badger"):
        assert await sources_with(folder, word) == set()
    assert await sources_with(folder, "x") == {"c.md"}
    set_rules(folder, access("hr/**", "law/**"))
    await run(folder)
    assert await sources_with(folder, "otter") == set()
    assert await sources_with(folder, "otter", groups=["hr"]) == {"hr/pay.md"}
    assert await sources_with(folder, "badger") == {"new.md"}


@in_process
async def test_what_is_gone_or_restricted_leaves_the_index_before_the_embedder_fails(make_project: MakeProject) -> None:
    folder = make_project({"a.md": "The otter earns.", "b.md": "A beaver."})
    await run(folder)
    (folder / "a.md").write_text("The otter earns more.")
    (folder / "b.md").unlink()
    set_rules(folder, access("a.md"))
    with pytest.raises(ProviderError):
        await run(folder, Refusing(working=0))
    for word in ("otter", "beaver"):
        assert await sources_with(folder, word) == await sources_with(folder, word, groups=["hr"]) == set()


@in_process
@pytest.mark.parametrize("rebuild", [True, False])
async def test_what_is_gone_leaves_the_index_that_is_to_be_rebuilt(make_project: MakeProject, rebuild: bool) -> None:
    folder = make_project({"a.md": "The otter earns.", "b.md": "A beaver.", "c.md": "A heron."})
    await run(folder)
    (folder / "b.md").unlink()
    set_rules(folder, access("a.md") + "[passages]\nmax_tokens = 20\nmin_tokens = 10\n")
    with pytest.raises(ProviderError if rebuild else IndexMismatchError):
        await run(folder, Refusing(working=0), rebuild=rebuild)
    set_rules(folder, access("a.md"))  # reads the index as it is
    for word in ("otter", "beaver"):
        assert await sources_with(folder, word, groups=["hr"]) == set()
    assert await sources_with(folder, "heron") == {"c.md"}


@in_process
async def test_exclude_and_examples_leave_out_what_they_nearly_match(make_project: MakeProject) -> None:
    files = {
        f"{NFD}/a.md": "The otter.",
        "Drafts/b.md": "A beaver.",
        "gold.jsonl": '{"id": "1", "input": "q", "output": "a heron"}\n',
        "c.md": "A badger.",
        "Build/d.md": "An owl.",
    }
    folder = make_project(files)
    patterns = json.dumps([f"{NFC}/**", "drafts/**", "[b]uild", "nothing"])
    set_rules(folder, f'[documents]\nexclude = {patterns}\n[examples]\nfiles = ["Gold.jsonl"]\n')
    report = await run(folder)
    assert changes(report) == {"c.md": "added", "Build/d.md": "added"}
    case = "if upper and lower case did not count; left out, to be safe"
    assert [note.text for note in report.rule_notes] == [
        f'groundtune.toml:3: documents.exclude "drafts/**" would match Drafts/b.md {case}',
        f'groundtune.toml:5: examples.files "Gold.jsonl" would match gold.jsonl {case}',
        'groundtune.toml:3: documents.exclude "[b]uild" leaves out nothing',
        'groundtune.toml:3: documents.exclude "nothing" leaves out nothing',
    ]


@in_process
async def test_include_says_what_it_misses(make_project: MakeProject) -> None:
    folder = make_project({"a.md": "The otter.", "SCAN.MD": "A beaver.", "notes.txt": "A heron."})
    set_rules(folder, '[documents]\ninclude = ["*.md", "docs/**"]\n')
    report = await run(folder)
    assert changes(report) == {"a.md": "added"}
    assert [note.message for note in report.rule_notes] == [
        'documents.include "*.md" would match SCAN.MD if upper and lower case did not count; as it stands, left out',
        'documents.include "docs/**" matches no file',
    ]


@in_process
async def test_a_link_opens_nothing_that_its_target_does_not(make_project: MakeProject, tmp_path: Path) -> None:
    folder = make_project({"hr/pay.md": "The otter earns.", "drafts/d.md": "A beaver.", "open/c.md": "A heron."})
    (folder / "gold.jsonl").write_text('{"id": "1", "input": "q", "output": "an owl"}\n')
    for name, target in (("pay.md", "../hr/pay.md"), ("d.md", "../drafts/d.md"), ("g.jsonl", "../gold.jsonl")):
        (folder / "open" / name).symlink_to(target)
    (folder / "open" / "state").symlink_to("../.groundtune")
    documents = '[documents]\ninclude = ["open/**"]\nexclude = ["drafts/**"]\nfollow_links = true\n'
    set_rules(folder, f'{documents}{access("hr/**")}[examples]\nfiles = ["gold.jsonl"]\n')
    await run(folder)
    report = await run(folder)
    assert changes(report) == {"open/c.md": "unchanged", "open/pay.md": "unchanged"}
    assert await sources_with(folder, "otter") == set()
    assert await sources_with(folder, "otter", groups=["hr"]) == {"open/pay.md"}


@in_process
async def test_items_that_a_rule_nearly_matches_are_failed_rows(site: Site, make_project: MakeProject) -> None:
    source = '[sources.db]\nkind = "fake"\noptions = { name = "db", query = "" }\n'
    folder = make_project(toml=source)
    site.reply(SourceItem("hr/1", "The otter earns."), SourceItem("2", "A heron."), complete=True)
    await run(folder)
    assert await sources_with(folder, "otter") == {"db:hr/1"}
    set_rules(folder, source + access("db:HR/*"))
    await run(folder)
    assert await sources_with(folder, "otter") == await sources_with(folder, "otter", groups=["hr"]) == set()
    assert await sources_with(folder, "heron") == {"db:2"}
    row = (await rows(folder))["db:hr/1"]
    assert row.status == "failed"
    assert row.reason is not None
    assert row.reason.startswith('groundtune.toml:6: documents.access "db:HR/*" would match db:hr/1')


@in_process
async def test_a_rename_of_form_or_case_alone_keeps_the_vectors(make_project: MakeProject) -> None:
    folder = make_project({f"{NFD}.md": "The otter earns.", "notes.md": "A heron."})
    await run(folder)
    (folder / f"{NFD}.md").rename(folder / f"{NFC}.md")
    (folder / "notes.md").rename(folder / "Notes.md")
    words = Words()
    report = await run(folder, words)
    assert changes(report) == {
        f"{NFC}.md": "renamed",
        "Notes.md": "renamed",
        f"{NFD}.md": "removed",
        "notes.md": "removed",
    }
    assert words.texts == []
    assert await sources_with(folder, "otter") == {f"{NFC}.md"}


@in_process
async def test_what_is_gone_leaves_the_index_although_nothing_can_be_read(
    site: Site, make_project: MakeProject
) -> None:
    source = '[sources.db]\nkind = "fake"\noptions = { name = "db", query = "" }\n'
    folder = make_project({"a.md": "The otter earns.", "b.md": "A beaver.", "c.md": "A heron."}, toml=source)
    site.reply(SourceItem("1", "A secret."), SourceItem("2", "A badger."), complete=True)
    await run(folder)
    (folder / "b.md").unlink()
    set_rules(folder, source.replace("query", "quary") + access("a.md", "db:1"))
    with pytest.raises(UsageError):
        await run(folder)
    for word in ("otter", "beaver", "secret"):
        assert await sources_with(folder, word, groups=["hr"]) == set()
    assert await sources_with(folder, "heron") == {"c.md"}
    assert await sources_with(folder, "badger") == {"db:2"}


def test_what_is_gone_leaves_the_index_without_an_embedder(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_project({"a.md": "The otter earns.", "b.md": "A beaver."})
    with Project.open(folder) as project:
        project.ingest()
    (folder / "b.md").unlink()

    def missing(*_: object) -> None:
        raise MissingError("torch is not installed")

    with Project.open(folder) as project, monkeypatch.context() as patch:
        patch.setattr(build, "embedder", missing)
        with pytest.raises(MissingError):
            project.ingest()
    with Project.open(folder) as project:
        assert (project.document("a.md") is None, project.document("b.md") is None) == (False, True)


@in_process
async def test_a_folder_elsewhere_fails_if_exclude_misses_files_by_case(
    make_project: MakeProject, tmp_path: Path
) -> None:
    (tmp_path / "share" / "Drafts").mkdir(parents=True)
    (tmp_path / "share" / "Drafts" / "d.md").write_text("A draft.")
    options = f'{{ path = "{tmp_path / "share"}", exclude = ["drafts/**"] }}'
    folder = make_project({"a.md": "The otter."}, toml=f'[sources.share]\nkind = "folder"\noptions = {options}\n')
    report = await run(folder)
    assert report.failed_sources == {
        "share": 'exclude "drafts/**" would match Drafts/d.md if upper and lower case did not count'
    }
    assert await sources_with(folder, "draft") == set()


def test_a_rule_for_a_parser_says_what_it_misses(tmp_path: Path) -> None:
    found = rules(tmp_path, PARSERS)
    assert found.admit("a.pdf")
    assert found.admit("B.PDF")
    assert [note.text for note in found.notes] == [
        'groundtune.toml:3: documents.parsers "*.pdf" would match B.PDF if upper and lower case did not count; '
        "as it stands, read as any other file",
        'groundtune.toml:3: documents.parsers "old/**" matches no document',
    ]
