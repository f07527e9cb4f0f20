"""The letters example is consistent: ideal replies keep the house style and state the facts that the documents hold."""

import json
import shutil
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from groundtune import Project
from groundtune.config import Config, load_config
from groundtune.dataset.examples import read_examples
from groundtune.measure.output_checks import make_checks
from groundtune.measure.retrieval_quality import locate
from groundtune.measure.written_facts import fact_score
from groundtune.project.validation import check_project
from groundtune.types import Example
from tests.test_triage import grams

LETTERS = Path(__file__).parent.parent / "examples/letters"


@pytest.fixture(scope="module")
def letters() -> list[Example]:
    return read_examples(LETTERS / "letters.jsonl")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(LETTERS / "groundtune.toml", environ={})


def test_it_is_what_the_readme_says(letters: list[Example], config: Config) -> None:
    readme = (LETTERS / "README.md").read_text(encoding="utf-8")
    documents = [path for path in (LETTERS / "docs").iterdir() if path.is_file()]
    unknown = [letter for letter in letters if "not-in-documents" in letter.tags]
    assert f"{len(documents)} short documents" in readme
    assert f"{len(letters)} letters" in readme
    assert f"{len(unknown)} of them ask for what no document says" in readme
    assert f"{len(config.checks)} checks" in readme
    assert len(letters) >= 160
    assert len(unknown) >= 0.1 * len(letters)
    split = Counter(letter.split for letter in letters)
    assert f"{split['train']} train, {split['validation']} validation and {split['test']} test" in readme
    topics = {letter.tags[0] for letter in letters}
    assert all(topic in (config.instructions or "") for topic in topics)


def test_ideal_replies_state_their_facts_and_no_other_figure(letters: list[Example]) -> None:
    assert [letter.id for letter in letters if fact_score(letter.output, letter, language="english") < 1] == []


def test_replies_to_other_letters_have_few_of_the_facts(letters: list[Example]) -> None:
    others = [*letters[1:], letters[0]]
    pairs = [(letter, other) for letter, other in zip(letters, others, strict=True) if letter.group != other.group]
    scores = [fact_score(other.output, letter, language="english") for letter, other in pairs]
    assert sum(scores) / len(scores) < 0.15
    assert max(scores) < 0.7


def test_ideal_replies_keep_the_house_style(letters: list[Example], config: Config) -> None:
    checks = make_checks(config.checks, LETTERS)
    broken = [
        (letter.id, check.name) for letter in letters for check in checks if not check.test(letter.output, letter)
    ]
    assert broken == []


def test_each_check_can_fail(letters: list[Example], config: Config) -> None:
    checks = {check.name: check.test for check in make_checks(config.checks, LETTERS)}
    wrong = {
        "greeting": ("Dear", "Hello"),
        "closing": ("Kind regards", "Best regards"),
        "one next step": ("Next step:", "Then:"),
        "who to call": ("01632 960", "0800"),
        "no exclamation mark": (".", "!"),
        "no forbidden word": (".", ", unfortunately."),
        "no short form": (".", ", and it's so."),
        "we, not I": (".", ", I think."),
        "money": (".", ", £40.00 in all."),
        "percent as a word": (".", ", 10%."),
        "dates": (".", ", on 28/11/2025."),
        "times": (".", ", until 5 pm."),
        "British spelling": (".", ", in any color."),
        "not too short": (letters[0].output, "Dear Danny,\n\nYes."),
        "not too long": (".", " and so on and so on." * 9),
        "short paragraphs": ("\n\nNext step", " So it is. So it was. So it will be.\n\nNext step"),
    }
    for name, (right, replacement) in wrong.items():
        if name in checks:
            assert checks[name](letters[0].output.replace(right, replacement), letters[0]) == 0.0, name
    assert set(checks) <= set(wrong)


def test_similar_situations_are_in_one_split(letters: list[Example]) -> None:
    splits: dict[str | None, set[str]] = defaultdict(set)
    for letter in letters:
        splits[letter.group].add(letter.split)
    assert [group for group, found in splits.items() if group is None or len(found) > 1] == []
    pairs = [(a, b) for a, b in combinations(letters, 2) if a.split != b.split]
    proofs = [(a.id, b.id) for a, b in pairs if set(a.evidence) & set(b.evidence)]
    assert proofs == []


def test_letters_and_replies_follow_no_template(letters: list[Example]) -> None:
    def body(text: str) -> str:
        return text.split("\n\n", 1)[1].split("Next step:")[0]

    for texts in ([letter.input for letter in letters], [body(letter.output) for letter in letters]):
        found = list(map(grams, texts))
        alike = [
            (letters[i].id, letters[j].id)
            for i, j in combinations(range(len(found)), 2)
            if len(found[i] & found[j]) > 0.5 * min(len(found[i]), len(found[j]))
        ]
        assert alike == []


def test_check_finds_no_problem(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    shutil.copytree(LETTERS, folder, ignore=shutil.ignore_patterns(".groundtune"))
    report = check_project(folder, environ={})
    assert (report.exit_code, report.task, report.findings) == (0, "write", ())


@pytest.mark.slow
def test_every_piece_of_evidence_is_in_a_passage(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    shutil.copytree(LETTERS, folder, ignore=shutil.ignore_patterns(".groundtune", "sources"))
    project = Project.open(folder)
    ingested = project.ingest()
    assert [file for file in ingested.files if file.row.reason] == []
    lost = []
    for letter in project.examples():
        for evidence in letter.evidence:
            document = project.document(evidence.source)
            assert document is not None, evidence.source
            hits = project.search(evidence.quote, k=100, filters={})
            passages = [hit.passage for hit in hits if hit.passage.document_id == document.id]
            if not locate(evidence, document, passages).relevant:
                lost.append((letter.id, evidence))
    assert lost == []
    project.close()


def test_the_facts_agree_with_the_handbook() -> None:
    """Prices that both example projects hold are the same."""
    handbook = (LETTERS.parent / "handbook/sources/products/sales-training.pptx.md").read_text(encoding="utf-8")
    prices = (LETTERS / "docs/prices.csv").read_text(encoding="utf-8")
    for price in ("£3,690", "£5,490", "£8,950", "£780"):
        assert price in handbook
        assert price in prices
    rows = json.dumps((LETTERS.parent / "handbook/sources/products/spec-comparison.xlsx/2-Accessories.csv").read_text())
    for article, price in (("AC-101", 219), ("AC-104", 149), ("AC-110", 175), ("AC-118", 340), ("AC-203", 125)):
        assert article in prices
        assert f",{price}," in rows
        assert f"£{price}" in prices
