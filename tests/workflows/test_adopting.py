"""Adopt a tuned retriever, with a real rebuild of the index alongside the current one, and undo it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.config.fitted_values import Fitted, FittedThreshold, read_fitted, write_fitted
from groundtune.errors import BusyError, GroundtuneError, MissingError, UsageError
from groundtune.ingest.sync import SyncProgress
from groundtune.project import Project
from groundtune.tune.artifacts import file_digests, write_artifact
from groundtune.types import Artifact
from tests.tune.encoders import tiny_encoder

pytestmark = pytest.mark.slow

TOML = """# what we know
name = "shop"  # ours
[documents]
include = ["docs/**"]
"""
DOCS = {"a.md": "# Refunds\n\nMoney back on a refund.\n", "b.md": "# Parcels\n\nThe courier shipped the parcel.\n"}

THRESHOLD = FittedThreshold(0.4, 30, "at most 10% of answers wrong", 0.8, 0.1)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ingested project with a usable tuned embedder, search-1, and an unusable one, search-2."""
    import torch
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("made") / "shop"
    (folder / "docs").mkdir(parents=True)
    (folder / "groundtune.toml").write_text(TOML)
    for name, text in DOCS.items():
        (folder / "docs" / name).write_text(text)
    with Project.open(folder) as project:
        project.ingest()
    models = folder / ".groundtune/models"
    threads = torch.get_num_threads()
    SentenceTransformer(str(tiny_encoder(tmp_path_factory.mktemp("base")))).save(str(models / "search-1/model"))
    torch.set_num_threads(threads)
    put(models, "search-1", details={"part": "embedder", "dense_weight": 0.8, "dense_weight_fitted": True})
    put(models, "search-2", unusable="no measurable gain on the validation split: +0.003 [−0.004, +0.010], n = 400")
    put(models, "order-1", details={"part": "reranker"})
    put(models, "labels-1", kind="classifier")
    return folder


def put(models: Path, name: str, **values: Any) -> None:
    folder = models / name
    (folder / "model").mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {
        "id": name,
        "name": name.partition("-")[0] if name != "search-2" else "worse",
        "kind": "retriever",
        "base": "bundled",
        "base_digest": "b",
        "dataset_digest": "d",
        "recipe": {},
        "metrics": {"ndcg@10": 0.9},
        "files": file_digests(folder, ["model"]),
        "versions": {},
        "made": "2026-01-01T00:00:00+00:00",
        "seconds": 3.0,
        "usd": 0.0,
        "details": {"part": "embedder"},
    }
    given["details"] = {"questions": 400, **given["details"], **values.pop("details", {})}
    write_artifact(folder, Artifact(**{**given, **values}))


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Iterator[Project]:
    folder = shutil.copytree(template, tmp_path / "shop")
    with Project.open(folder) as project:
        yield project


def toml(project: Project) -> str:
    return (project.root / "groundtune.toml").read_text()


def manifest(project: Project) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((project.root / ".groundtune/index/manifest.json").read_bytes())
    return manifest


def test_the_old_index_serves_until_the_new_one_is_complete(
    shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, fitted = manifest(shop), shop.root / ".groundtune/fitted.json"
    write_fitted(fitted, Fitted(thresholds={"quote-hybrid": THRESHOLD}))
    questions: list[str] = []

    def meanwhile(_: SyncProgress) -> None:
        with Project.open(shop.root) as another:
            questions.append(another.search("courier", k=1)[0].passage.source)
        assert (toml(shop), manifest(shop)) == (TOML, before)

    done = shop.adopt("search", progress=meanwhile)
    assert questions
    assert set(questions) == {"docs/b.md"}
    assert toml(shop) == TOML + '\n[embedder]\nkind = "local"\nmodel = ".groundtune/models/search-1/model"\n'
    assert done.report is not None
    assert (done.report.embedded, done.forgotten) == (2, ("thresholds",))
    assert read_fitted(fitted) == Fitted(0.8, 400)
    assert manifest(shop)["parts"]["embedder"] == "search-1/model"
    assert shop.search("courier", k=1)[0].passage.source == "docs/b.md", "the same project goes on with the new index"

    monkeypatch.chdir(tmp_path)  # the model is found from wherever the command is run
    moved = tmp_path / "moved"
    shutil.copytree(shop.root, moved)
    with Project.open(moved) as elsewhere:
        assert elsewhere.search("courier", k=1)[0].passage.source == "docs/b.md"

    done = shop.adopt(None)
    assert toml(shop) == TOML
    assert "model" not in toml(shop)
    assert read_fitted(fitted).thresholds == {"quote-hybrid": THRESHOLD}
    assert manifest(shop)["parts"] == before["parts"]
    assert shop.search("courier", k=1)[0].passage.source == "docs/b.md"
    with pytest.raises(MissingError, match="there is no adoption to undo"):
        shop.adopt(None)


class StoppedError(Exception):
    pass


def test_an_interrupted_adoption_changes_nothing_and_can_be_repeated(shop: Project) -> None:
    before = manifest(shop)

    def stop(_: SyncProgress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        shop.adopt("search", progress=stop)
    assert (toml(shop), manifest(shop)) == (TOML, before)
    assert shop.search("courier", k=1)[0].passage.source == "docs/b.md"
    under_way = json.loads((shop.root / ".groundtune/index/next.json").read_bytes())["generation"]
    shop.adopt("search")
    assert manifest(shop)["generation"] == under_way
    present = toml(shop)
    again = shop.adopt("search")
    assert again.report is not None
    assert (again.report.embedded, toml(shop)) == (0, present), "nothing is left to do"
    shop.adopt(None)
    assert "model" not in toml(shop), "back is where it was before the first time"


def test_an_invalid_adoption_is_refused(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GroundtuneError, match=r"search-2 must not be used: no measurable gain .*n = 400"):
        shop.adopt("search-2")
    with pytest.raises(UsageError, match="labels-1 is a classifier"):
        shop.adopt("labels")
    with pytest.raises(MissingError, match="no model 'nope'"):
        shop.adopt("nope")
    with shop.workspace.writer_lock(), pytest.raises(BusyError):
        shop.adopt("order")
    file = shop.root / "groundtune.toml"
    check = '[[checks]]\nname = "{}"\npattern = "x"\n'.format
    file.write_text(TOML + check("first") + '[retrieval]\nreranker = "another"\n' + check("second"))
    with pytest.raises(UsageError, match=r"another table stands between two \[\[tables\]\] of one list") as refused:
        shop.adopt("order")
    assert 'reranker = ".groundtune/models/order-1/model"' in str(refused.value.hint)
    file.write_text(TOML)
    monkeypatch.setenv("GROUNDTUNE_RETRIEVAL__RERANKER", "another")
    with pytest.raises(UsageError, match="the environment sets 'another'"):
        shop.adopt("order")
    assert toml(shop) == TOML


def test_a_reranker_needs_no_new_index(shop: Project) -> None:
    before = manifest(shop)
    assert shop.adopt("order").report is None
    assert toml(shop) == TOML + '\n[retrieval]\nreranker = ".groundtune/models/order-1/model"\n'
    assert manifest(shop) == before
    shop.adopt(None)
    assert "reranker" not in toml(shop)


def test_adoption_from_the_command_line(
    shop: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["models", *arguments, "--project", str(shop.root)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, _ = run("adopt", "search")
    assert code == 0
    assert "[embedder] kind = 'local', model = '.groundtune/models/search-1/model'" in out
    assert "2 passages in the new index, 2 embedded" in out
    code, _, err = run("remove", "search-1")
    assert code == 2
    assert "search-1 is in use by [embedder] model" in err
    assert "adopt --back" in err
    code, out, _ = run("adopt", "--back", "--json")
    assert (code, json.loads(out)["index"]["passages"]) == (0, 2)
    assert run("remove", "search-1")[0] == 0
    code, _, err = run("adopt", "worse")
    assert code == 1
    assert "no measurable gain" in err
    assert run("adopt")[0] == 2
    assert run("adopt", "search", "--back")[0] == 2
