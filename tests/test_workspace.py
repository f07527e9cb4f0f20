import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.common.files import digest_file, digest_text, read_json, unused_folder, write_atomic, write_json
from groundtune.errors import BusyError, MissingError
from groundtune.workspace import Workspace


def test_opening_writes_nothing_and_the_first_writer_hides_the_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with workspace.writer_lock():
        assert (tmp_path / ".groundtune" / ".gitignore").read_text() == "*\n"
    assert workspace.index == tmp_path / ".groundtune" / "index"


def test_digests(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert digest_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    assert digest_text("é") == hashlib.sha256("é".encode()).hexdigest()
    assert digest_text("\udcff") != digest_text("?")


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"b": 1, "a": "é"})
    assert read_json(path) == {"a": "é", "b": 1}
    with pytest.raises(ValueError):
        write_json(path, math.nan)

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        write_atomic(path, "other")
    assert read_json(path) == {"a": "é", "b": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_gets_the_default_mode_and_an_existing_one_keeps_its_own(tmp_path: Path) -> None:
    path, plain = tmp_path / "a", tmp_path / "b"
    write_atomic(path, b"1")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write_atomic(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_damaged_and_absent_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    for name in ("a.json", "b.json"):
        with pytest.raises(MissingError):
            read_json(tmp_path / name)


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, groundtune.workspace as w\nwith w.Workspace(pathlib.Path(sys.argv[1])).writer_lock():\n"
    )
    code += " print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(BusyError, match=rf"process {holder.pid}, since 20\d\d-.* UTC"),
        Workspace(tmp_path).writer_lock(timeout_seconds=0.1),
    ):
        pass
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with Workspace(tmp_path).writer_lock(timeout_seconds=1):  # a dead writer holds nothing
        pass


def test_runs_of_the_same_second_get_separate_folders(tmp_path: Path) -> None:
    for wanted in ("now", "now-2", "now-3"):
        folder = unused_folder(tmp_path / "now")
        assert folder == tmp_path / wanted
        folder.mkdir()
