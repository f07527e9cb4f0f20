"""Artifacts are written last, verified before use, and found by the documents they were trained on."""

from pathlib import Path
from typing import Any

import pytest

from groundtune.common.files import digest_bytes
from groundtune.errors import GroundtuneError, MissingError
from groundtune.tune.artifacts import (
    ARTIFACT,
    dataset_digest,
    file_digests,
    latest_artifact,
    list_artifacts,
    read_artifact,
    seen_in_training,
    verify_artifact,
    write_artifact,
)
from groundtune.types import Artifact


def write_model(models: Path, name: str = "fast-1", **values: Any) -> Artifact:
    """A complete training on disk, with a model of two files."""
    folder = models / name
    (folder / "model/encoder").mkdir(parents=True)
    (folder / "model/head").write_bytes(name.encode())
    (folder / "model/encoder/weights").write_bytes(b"0101")
    given: dict[str, Any] = {
        "id": name,
        "name": name.rpartition("-")[0],
        "kind": "classifier",
        "base": "bundled",
        "base_digest": "b",
        "dataset_digest": "d",
        "recipe": {"seed": 0},
        "metrics": {"accuracy": 0.5},
        "files": file_digests(folder, ["model"]),
        "versions": {"numpy": "2"},
        "made": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "usd": None,
    }
    artifact = Artifact(**{**given, **values})
    write_artifact(folder, artifact)
    return artifact


def test_an_artifact_is_read_as_it_was_written(tmp_path: Path) -> None:
    artifact = write_model(tmp_path, seen_examples=("a", "b"), seen_documents=("docs/a.md",), details={"labels": ["x"]})
    assert read_artifact(tmp_path / "fast-1") == artifact
    with pytest.raises(MissingError):
        read_artifact(tmp_path / "nowhere")


def test_a_folder_stands_for_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "fast-1"
    write_model(tmp_path)
    (folder / "log.txt").write_text("not part of the model")
    hashes = file_digests(folder, ["model", "log.txt"])
    assert list(hashes) == ["model/encoder/weights", "model/head", "log.txt"]
    assert hashes["model/head"] == digest_bytes(b"fast-1")
    assert list(file_digests(folder, ["model/head"])) == ["model/head"]


def test_the_digest_of_the_rows_is_that_of_both_splits(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("a")
    (tmp_path / "validation.jsonl").write_text("b")
    first = dataset_digest(tmp_path)
    assert len(first) == 64
    (tmp_path / "validation.jsonl").write_text("c")
    second = dataset_digest(tmp_path)
    assert (second[:32], second[32:] != first[32:]) == (first[:32], True)


def test_an_untouched_model_passes(tmp_path: Path) -> None:
    verify_artifact(tmp_path / "fast-1", write_model(tmp_path))


def test_a_changed_file_is_refused_by_name(tmp_path: Path) -> None:
    artifact = write_model(tmp_path)
    (tmp_path / "fast-1/model/head").write_bytes(b"fast-2")
    with pytest.raises(GroundtuneError, match="fast-1: model/head has changed since training") as caught:
        verify_artifact(tmp_path / "fast-1", artifact)
    assert caught.value.hint == "groundtune tune fast"


def test_a_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    artifact = write_model(tmp_path)
    (tmp_path / "fast-1/model/encoder/weights").unlink()
    with pytest.raises(MissingError, match="fast-1: model/encoder/weights is missing"):
        verify_artifact(tmp_path / "fast-1", artifact)


def test_an_unusable_artifact_is_refused_even_with_intact_files(tmp_path: Path) -> None:
    artifact = write_model(tmp_path, unusable="merged and adapter differ by 0.3")
    with pytest.raises(GroundtuneError, match=r"fast-1 must not be used: merged and adapter differ by 0\.3"):
        verify_artifact(tmp_path / "fast-1", artifact)


def test_the_newest_of_a_name_is_the_latest(tmp_path: Path) -> None:
    write_model(tmp_path, "fast-2", made="2026-01-01T00:00:00+00:00")
    newest = write_model(tmp_path, "fast-1", made="2026-03-01T00:00:00+00:00")
    write_model(tmp_path, "fast-slow-9", made="2026-09-01T00:00:00+00:00")
    assert latest_artifact(tmp_path, "fast") == newest
    assert latest_artifact(tmp_path, "slow") is None
    assert [trained.id for trained in list_artifacts(tmp_path)] == ["fast-2", "fast-1", "fast-slow-9"]


def test_an_incomplete_training_is_not_listed(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "fast-1" / ARTIFACT).unlink()
    assert list_artifacts(tmp_path) == []
    assert list_artifacts(tmp_path / "nowhere") == []
    assert latest_artifact(tmp_path, "fast") is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("docs/a.md", ["one-1"]),
        ("docs", ["one-1", "two-1"]),
        ("docs/", ["one-1", "two-1"]),
        ("docs/table.csv", ["two-1"]),
        ("docs/table.csv#7", ["two-1"]),
        ("docs/table.csv#8", []),
        ("q1", ["one-1"]),
        ("q", []),
        ("docs/a", []),
        ("a.md", []),
        ("doc", []),
    ],
)
def test_training_sources_are_found_by_file_row_folder_and_example(
    tmp_path: Path, source: str, expected: list[str]
) -> None:
    write_model(tmp_path, "one-1", seen_documents=("docs/a.md",), seen_examples=("q1", "q2"))
    write_model(tmp_path, "two-1", seen_documents=("docs/table.csv#7", "docs/ab.md"))
    assert [trained.id for trained in seen_in_training(tmp_path, source)] == expected


def test_a_path_may_be_written_in_another_way(tmp_path: Path) -> None:
    write_model(tmp_path, seen_documents=("docs/a.md",))
    assert [trained.id for trained in seen_in_training(tmp_path, "./docs/a.md")] == ["fast-1"]
    assert [trained.id for trained in seen_in_training(tmp_path, "docs//a.md")] == ["fast-1"]


@pytest.mark.parametrize("content", ["", '{"id": "bad', "{}", "[]", '{"id": "x", "from_a_later_version": 1}'])
def test_a_damaged_artifact_does_not_hide_the_others(tmp_path: Path, content: str) -> None:
    whole = write_model(tmp_path, "whole-1")
    write_model(tmp_path, "bad-1")
    (tmp_path / "bad-1" / ARTIFACT).write_text(content)
    assert latest_artifact(tmp_path, "whole") == whole
    assert [trained.id for trained in list_artifacts(tmp_path) if trained.id == "whole-1"] == ["whole-1"]
