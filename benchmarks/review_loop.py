"""Claim: feedback of a crowd on served answers, reviewed, promoted and trained on, makes the answers better.

    python -m benchmarks.review_loop [--answers 200] [--first 32] [--seeds 3] [--closed-book] [--folder FOLDER]

On the letters example a first model is trained on a few letters. Customers, whose letters nobody has answered yet, then
write to the real HTTP server, several at once. They like a reply that is a whole letter and says at least half of what
it must. A reviewer gets what they dislike, and writes the ideal reply instead; what they like is collected. Then the
same training runs again with these rows. Both models answer the test split, and their difference is printed with its
95% interval, which includes the spread between the seeds. No test row may be touched: its file, what was trained on and
what was promoted are checked. An interrupted run goes on where it was.
"""

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
from benchmarks.common import machine
from benchmarks.real_model.experiments import copy_example

from groundtune.common.files import digest_text
from groundtune.dataset.examples import read_examples, select_split
from groundtune.dataset.new_examples import KnownInputs
from groundtune.project import Project
from groundtune.serve.running import make_server
from groundtune.types import Artifact, Example

TABLE = "replies"
OPENINGS = ("", "Hello there. ", "Good morning, ")
"""Customers write about the same things in several letters."""
AT_ONCE = 16
"""Customers who wait for a reply at the same time: two batches of the model."""
SETTINGS = """
[review]
sample = 0.05
file = "reviewed.jsonl"

[models.default]
kind = "local"
model = "smollm2-135m"
max_output_tokens = {tokens}

[tune.replies]
kind = "lora"
base = "smollm2-135m"
{context}epochs = {epochs}
seeds = {seeds}
"""


def likes(reply: str, letter: Example) -> bool:
    """Whether a customer likes a reply: a whole letter with at least half of what it must say."""
    said = [any(wording.casefold() in reply.casefold() for wording in fact) for fact in letter.facts]
    return reply.startswith("Dear ") and "Kind regards" in reply and 2 * sum(said) >= len(said)


def prepare(folder: Path, options: argparse.Namespace) -> tuple[Path, list[Example]]:
    """Make the project with the first letters alone; return it with those that customers still have to write."""
    project, kept = folder / "letters", folder / "customers.jsonl"
    if not kept.exists():
        copy_example("letters", project, passages=3)
        file = project / "letters.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        train = [row for row in rows if row["split"] == "train"]
        test = [row for row in rows if row["split"] == "test"][: options.test]
        others = [row for row in rows if row["split"] == "validation"]
        _write(file, [*train[: options.first], *others, *test])
        settings = (project / "groundtune.toml").read_text(encoding="utf-8").partition("\n[models.default]")
        text = settings[0].replace('"letters.jsonl"]', '"letters.jsonl", "reviewed.jsonl", "collected.jsonl"]')
        answers = "\n[answers]" + settings[2].partition("\n[answers]")[2]
        context = "" if options.closed_book else 'context = "retrieved"\n'
        more = SETTINGS.format(tokens=options.tokens, epochs=options.epochs, seeds=options.seeds, context=context)
        (project / "groundtune.toml").write_text(f"{text}{answers}{more}", encoding="utf-8")
        _write(kept, train[options.first :])
    return project, read_examples(kept)


def test_rows(project: Path) -> str:
    """Return a digest of all rows of the test split."""
    files = [path for path in sorted(project.glob("*.jsonl")) if path.stat().st_size]
    return digest_text(repr([row for file in files for row in select_split(read_examples(file), "test")]))


def train(project: Path) -> list[Artifact]:
    """Train the table on the examples as they are; return one model a seed."""
    with Project.open(project) as opened:
        opened.ingest()
        last = opened.tune(TABLE)
        return [one for one in opened.artifacts() if one.name == TABLE and one.dataset_digest == last.dataset_digest]


@contextmanager
def served(project: Path) -> Iterator[httpx2.Client]:
    """Serve the project on a free port until the block ends."""
    opened = Project.open(project)
    serve = opened.config.serve.model_copy(update={"port": 0, "seconds": 3600})
    opened.config = opened.config.model_copy(update={"serve": serve})
    urls: list[str] = []
    ready = threading.Event()
    server, listening = make_server(opened, on_ready=lambda url: (urls.append(url), ready.set())[0])
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        with httpx2.Client(base_url=urls[0], timeout=3600) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(60)


def crowd(client: httpx2.Client, letters: Sequence[Example], model: str, answers: int) -> dict[str, Example]:
    """Have customers write and say what they think; return the letters of those who disliked their reply, by answer."""

    def write(number: int) -> tuple[str, Example, bool] | None:
        letter = letters[number % len(letters)]
        opening = OPENINGS[number // len(letters) % len(OPENINGS)]
        messages = [{"role": "user", "content": f"{opening}{letter.input}"}]
        sent = client.post("/v1/chat/completions", json={"model": model, "messages": messages})
        if sent.status_code != 200:
            print(f"no reply: {sent.text}", flush=True)
            return None
        reply = sent.json()
        answer = reply["groundtune"]["id"]
        liked = likes(reply["choices"][0]["message"]["content"], letter)
        _post(client, "/v1/feedback", {"answer": answer, "rating": "up" if liked else "down"})
        return answer, letter, liked

    with ThreadPoolExecutor(AT_ONCE) as customers:
        rated = [each for each in customers.map(write, range(answers)) if each is not None]
    print(f"{len(rated)} of {answers} answered, {sum(liked for *_, liked in rated)} liked", flush=True)
    return {answer: letter for answer, letter, liked in rated if not liked}


def review(client: httpx2.Client, disliked: dict[str, Example]) -> None:
    """Decide about everything in the queue: the ideal reply instead of what was disliked; the rest is accepted."""
    decided = 0
    while (item := _post(client, "/api/review/next", {})["item"]) is not None:
        letter = disliked.get(item["answer"])
        decision: dict[str, Any] = {"state": "accepted"}
        if letter is not None:
            decision = {"state": "edited", "text": letter.output}
        _post(client, "/api/review/decide", {"answer": item["answer"], **decision})
        decided += 1
    report = _post(client, "/api/review/promote", {})
    print(
        f"{decided} reviewed, {len(report['new'])} promoted, {report['pairs']} pairs; {report['left_out']}", flush=True
    )


def check_untouched(project: Path, before: str, models: Sequence[Artifact]) -> None:
    """Raise AssertionError if a test row was changed, trained on, or is nearly among the promoted rows."""
    assert test_rows(project) == before, "a test row was changed"
    with Project.open(project) as opened:
        test = select_split(opened.examples(), "test")
    assert not {row.id for row in test} & {name for model in models for name in model.seen_examples}
    there = KnownInputs(test)
    for name in ("reviewed.jsonl", "collected.jsonl"):
        rows = read_examples(project / name) if (project / name).exists() else []
        assert all(row.split == "train" and there.why_not(row.input, row.history) is None for row in rows)
    print(f"{len(test)} test rows, none touched", flush=True)


def compare(project: Path, approach: str, before: Sequence[Artifact], after: Sequence[Artifact]) -> None:
    """Print the gain of each seed, and what each score was."""
    with Project.open(project) as opened:
        pairs = [(f"{approach}@{old.id}", f"{approach}@{new.id}") for old, new in zip(before, after, strict=True)]
        report = opened.compare(approaches=[name for pair in pairs for name in pair])
    means = {each.name: each for each in report.approaches}
    for pair in report.figures.differences:
        for old, new in pairs:
            if {pair.a, pair.b} == {old, new}:
                sign = 1 if pair.a == new else -1
                low, high = sorted((sign * pair.low, sign * pair.high))
                scores = f"{means[old].mean:.3f} to {means[new].mean:.3f}"
                gain = f"{sign * pair.difference:+.3f} [{low:+.3f}, {high:+.3f}], n = {pair.n}, p = {pair.p:.3g}"
                print(f"{report.primary} {scores}: {gain}", flush=True)
    for each in report.approaches:
        scores = (
            f"{name} {score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]" for name, score in each.metrics.items()
        )
        print(f"{each.name}: {', '.join(scores)}")
    print(report.verdict.sentence)


def loop(folder: Path, options: argparse.Namespace) -> None:
    """Go once around: train, serve, review, promote, train again, compare."""
    project, letters = prepare(folder, options)
    approach = "tuned" if options.closed_book else "hybrid"
    before_rows = test_rows(project)
    first = train(project) if not (project / "reviewed.jsonl").exists() else _first(project)
    print(f"first: {len(first)} models of {len(first[0].seen_examples)} letters", flush=True)
    if not (project / "reviewed.jsonl").exists():
        with served(project) as client:
            disliked = crowd(client, letters, f"{approach}@{first[0].id}", options.answers)
            review(client, disliked)
        with Project.open(project) as opened:
            report = opened.collect(project / "collected.jsonl")
            print(f"{len(report.new)} collected; {dict(report.left_out)}", flush=True)
    second = train(project)
    print(f"second: {len(second)} models of {len(second[0].seen_examples)} letters", flush=True)
    check_untouched(project, before_rows, [*first, *second])
    compare(project, approach, first, second)


def _first(project: Path) -> list[Artifact]:
    """Return the models that were trained before anything was reviewed."""
    with Project.open(project) as opened:
        all_models = [one for one in opened.artifacts() if one.name == TABLE]
    return [one for one in all_models if one.dataset_digest == all_models[0].dataset_digest]


def _post(client: httpx2.Client, path: str, body: dict[str, Any]) -> Any:
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--first", type=int, default=32, help="letters that the first model is trained on")
    parser.add_argument("--test", type=int, default=1000, help="test letters at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=256, help="longest reply")
    parser.add_argument("--closed-book", action="store_true", help="train and answer without passages: half the time")
    parser.add_argument("--folder", type=Path, help="where the project is kept; default: a temporary folder")
    options = parser.parse_args()
    print(f"{options.answers} answers, {options.seeds} seeds; {machine()}", flush=True)
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as folder:
        loop(Path(folder), options)


if __name__ == "__main__":
    main()
