"""The support tickets example is consistent: enough tickets, no duplicates, and only known labels."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from groundtune.build.task import task_format
from groundtune.cli.demo import _copy
from groundtune.config import load_config
from groundtune.dataset.examples import read_examples
from groundtune.project.validation import check_project
from groundtune.types import Example

TRIAGE = Path(__file__).parent.parent / "examples/triage"
SPLITS = {"train", "validation", "test"}


@pytest.fixture(scope="module")
def tickets() -> list[Example]:
    return read_examples(TRIAGE / "tickets.jsonl")


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    labels: dict[str, str] = tomllib.loads((TRIAGE / "groundtune.toml").read_text(encoding="utf-8"))["labels"]
    return labels


def grams(text: str, size: int = 5) -> set[tuple[str, ...]]:
    words = "".join(sign if sign.isalnum() else " " for sign in text.casefold()).split()
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def test_there_are_enough_tickets_and_labels(tickets: list[Example], labels: dict[str, str]) -> None:
    assert len(tickets) >= 1_000
    assert len(labels) >= 12
    assert all(about.strip() for about in labels.values()), "without a model, a description is all there is to go by"


def test_every_label_is_known_and_used(tickets: list[Example], labels: dict[str, str]) -> None:
    used = Counter(ticket.output for ticket in tickets)
    assert set(used) - {None} == set(labels)
    assert used[None] >= 30, "some belong nowhere, and the right answer is to choose no queue"


def test_no_ticket_is_duplicated(tickets: list[Example]) -> None:
    assert len({ticket.id for ticket in tickets}) == len(tickets)
    plain = Counter(" ".join(ticket.input.casefold().split()) for ticket in tickets)
    assert [text for text, times in plain.items() if times > 1] == []


def test_each_label_has_enough_in_every_split(tickets: list[Example], labels: dict[str, str]) -> None:
    number = Counter((ticket.split, ticket.output) for ticket in tickets)
    assert {split for split, _ in number} == SPLITS
    for label in (*labels, None):
        assert number["train", label] >= 10, label
        assert number["test", label] >= 5, label
        assert number["validation", label] >= 1, label


def test_splits_follow_from_the_ids(tickets: list[Example]) -> None:
    rows = [json.loads(line) for line in (TRIAGE / "tickets.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not any("split" in row for row in rows)
    share = Counter(ticket.split for ticket in tickets)
    for split, wanted in (("train", 0.60), ("validation", 0.15), ("test", 0.25)):
        assert share[split] / len(tickets) == pytest.approx(wanted, abs=0.04)


def test_tickets_of_a_label_do_not_follow_a_template(tickets: list[Example]) -> None:
    by_label: dict[str | None, list[set[tuple[str, ...]]]] = defaultdict(list)
    for ticket in tickets:
        if ticket_grams := grams(ticket.input):
            by_label[ticket.output].append(ticket_grams)
    pairs = alike = 0
    for group in by_label.values():
        for first, second in combinations(group, 2):
            pairs += 1
            alike += len(first & second) > 0.5 * min(len(first), len(second))
    assert pairs > 20_000
    assert alike / pairs < 0.02, f"{alike} of {pairs} pairs"
    assert alike == 0, "the README says: none"


def test_the_readme_has_the_right_counts(tickets: list[Example], labels: dict[str, str]) -> None:
    readme = (TRIAGE / "README.md").read_text(encoding="utf-8")
    number = Counter(ticket.output for ticket in tickets)
    (each,) = {times for label, times in number.items() if label is not None}
    assert f"{len(tickets):,} tickets: {each} for each of {len(labels)} queues, and {number[None]} that" in readme
    tags = Counter(tag for ticket in tickets for tag in ticket.tags)
    assert all(tags[tag] >= 10 for tag in ("no-keyword", "two-topics", "no-queue", "short", "long", "email"))
    assert {ticket.id for ticket in tickets if "no-queue" in ticket.tags} == {
        ticket.id for ticket in tickets if ticket.output is None
    }
    assert all(f"`{tag}`" in readme for tag in tags)


def test_check_finds_no_problem(tmp_path: Path) -> None:
    folder = tmp_path / "triage"
    shutil.copytree(TRIAGE, folder, ignore=shutil.ignore_patterns(".groundtune"))
    report = check_project(folder, environ={})
    assert [finding for finding in report.findings if finding.level == "problem"] == []
    assert (report.exit_code, report.task, report.findings) == (0, "classify", ())
    (file,) = report.examples
    assert (file.source, file.examples) == ("tickets.jsonl", sum(file.splits.values()))
    done = subprocess.run(
        [sys.executable, "-m", "groundtune", "check", "-C", str(folder), "--json"],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["findings"] == []


def test_the_labels_can_be_told_apart_by_a_reply(tickets: list[Example]) -> None:
    config = load_config(TRIAGE / "groundtune.toml", environ={})
    output_format = task_format(config, TRIAGE, tickets, tickets)
    for ticket in tickets:
        assert output_format.parse(output_format.gold_reply(ticket.output)).output == ticket.output


def test_the_demo_copies_all_of_it(tmp_path: Path) -> None:
    _copy("triage", tmp_path / "demo")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in TRIAGE.iterdir() if path.is_file()}
