import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.ingest import patterns
from groundtune.ingest.access_rules import groups_for
from groundtune.ingest.patterns import matches_pattern
from groundtune.ingest.select_files import select_files


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def chosen(root: Path, include: list[str], **options: object) -> list[str]:
    return [path.relative_to(root).as_posix() for path in select_files(root, include=include, **options)]  # type: ignore[arg-type]


FILES = ("a.md", "b.txt", "docs/a.md", "docs/b.pdf", "docs/x/c.md", "docs/x/y/d.md", "groundtune.toml", "z/docs/e.md")


@pytest.mark.parametrize(
    ("include", "selected"),
    [
        (["**/*"], ["a.md", "b.txt", "docs/a.md", "docs/b.pdf", "docs/x/c.md", "docs/x/y/d.md", "z/docs/e.md"]),
        (["*.md"], ["a.md"]),
        (["docs/*.md"], ["docs/a.md"]),
        (["docs/**/*.md"], ["docs/a.md", "docs/x/c.md", "docs/x/y/d.md"]),
        (["docs/x", "a.md"], ["a.md", "docs/x/c.md", "docs/x/y/d.md"]),
        (["docs/x/"], ["docs/x/c.md", "docs/x/y/d.md"]),
        (["docs/x/**"], ["docs/x/c.md", "docs/x/y/d.md"]),
        (["**/docs/?.{md,pdf}"], ["docs/a.md", "docs/b.pdf", "z/docs/e.md"]),
        (["./docs/[ab].*", "docs/a.md"], ["docs/a.md", "docs/b.pdf"]),
        (["**/**/d.md"], ["docs/x/y/d.md"]),
        (["DOCS/*", "nothing/**"], []),
    ],
)
def test_include(tmp_path: Path, include: list[str], selected: list[str]) -> None:
    make(tmp_path, *FILES)
    assert chosen(tmp_path, include) == selected


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["docs"], ["a.md", "b.txt"]),
        (["docs/**"], ["a.md", "b.txt", "z/docs/e.md"]),
        (["docs/x/**/*"], ["a.md", "b.txt", "docs/a.md", "docs/b.pdf", "z/docs/e.md"]),
        (["*.md"], ["b.txt", "docs/b.pdf"]),
        (["./docs/x/", "z/"], ["a.md", "b.txt", "docs/a.md", "docs/b.pdf"]),
        (["**"], []),
    ],
)
def test_exclude(tmp_path: Path, exclude: list[str], left: list[str]) -> None:
    make(tmp_path, *FILES)
    assert chosen(tmp_path, ["**/*"], exclude=exclude) == left


def test_internal_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    make(
        tmp_path, ".git/a", ".groundtune/b", ".x/c.md", ".hidden.md", "gold.jsonl", "sub/gold.jsonl", "groundtune.toml"
    )
    assert chosen(tmp_path, ["**/*"], leave_out=["gold.jsonl"]) == ["sub/gold.jsonl"]
    assert chosen(tmp_path, [".x/**", ".hidden.md", ".groundtune/**"]) == [".hidden.md", ".x/c.md"]


def test_links(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "a/b.md")
    make(outside, "c.md", "d/e.md")
    (root / "loop").symlink_to(root)
    (root / "a" / "up").symlink_to("..")
    (root / "again.md").symlink_to("a/b.md")
    (root / "out").symlink_to(outside)
    (outside / "back").symlink_to(outside)
    (root / "one.md").symlink_to(outside / "c.md")
    (root / "dead.md").symlink_to("nowhere")
    left: list[tuple[str, str]] = []
    selected = chosen(root, ["**/*"], skipped=lambda path, reason: left.append((path.name, reason)))
    assert selected == ["a/b.md"]
    assert {name for name, _ in left} == {"loop", "up", "again.md", "out", "one.md", "dead.md"}
    left.clear()
    selected = chosen(root, ["**/*"], follow_links=True, skipped=lambda path, reason: left.append((path.name, reason)))
    assert sorted(os.path.realpath(root / path) for path in selected) == sorted(
        map(str, (root / "a/b.md", outside / "c.md", outside / "d/e.md"))
    )
    assert left == [("dead.md", "broken symbolic link")]


def test_special_files_and_unusual_names(tmp_path: Path) -> None:
    make(tmp_path, "new\nline.md", "😀.md")
    odd = os.fsdecode(b"\xff\xfe.md")
    make(tmp_path, odd)
    os.mkfifo(tmp_path / "pipe.md")
    left: list[str] = []
    selected = chosen(tmp_path, ["*.md"], skipped=lambda path, reason: left.append(f"{path.name}: {reason}"))
    assert sorted(selected) == sorted(["new\nline.md", "😀.md", odd])
    assert left == ["pipe.md: not a regular file"]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/b.md", "c.md")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).rstrip("/").endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    unreadable: list[tuple[Path, str]] = []
    assert chosen(tmp_path, ["**/*"], unreadable=lambda *args: unreadable.append(args)) == ["c.md"]
    assert unreadable == [(tmp_path / "a", "permission denied; grant read access")]
    assert chosen(tmp_path, ["**/*"], exclude=["a/**"], unreadable=lambda *args: unreadable.append(args)) == ["c.md"]
    assert len(unreadable) == 1


def test_excluded_folders_are_not_walked_and_many_files_are_fast(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"d{folder}" / "node_modules").mkdir(parents=True)
        for file in range(250):
            (tmp_path / f"d{folder}" / f"{file}.md").touch()
    started = time.process_time()
    assert len(chosen(tmp_path, ["**/*.md", "x/**"], exclude=["node_modules", "*.tmp"])) == 5000
    assert time.process_time() - started < 2


def test_groups_for() -> None:
    rules = [(["docs/hr/**"], ["hr"]), (["docs/**/*.pdf", "docs/hr/pay"], ["board", "hr"])]
    assert groups_for("docs/a.md", rules) == ("*",)
    assert groups_for("docs/hr/a.md", rules) == ("hr",)
    assert groups_for("docs/hr/.a/b.md", rules) == ("hr",)
    assert groups_for("docs/hr/a.pdf", rules) == ("board", "hr")
    assert groups_for("docs/hr/pay/a.md", rules) == ("board", "hr")
    assert groups_for("docs/hrx/a.md", rules) == ("*",)
    assert matches_pattern("a/b/c", "**/c")


@given(
    st.text("aAbß .é\u0301Iı\u200b*?/[]!-{,}~", min_size=1, max_size=7), st.text("aAbß .é\u0301Iı\u200b/", min_size=1)
)
def test_the_quick_look_at_a_pattern_misses_no_match(pattern: str, path: str) -> None:
    """The quick look only saves time."""
    exactly = patterns._reaches(path, patterns.initial_states(pattern))
    assert matches_pattern(path, pattern) == exactly
    excluded = patterns._reaches(path, patterns.exclude_states(pattern), within=True)
    assert patterns.excludes(path, pattern) == excluded
