"""Public question sets to documents, questions and what is relevant to them. Reads the published formats as they are.

A path to *.json is SQuAD 1.1 or 2.0, a folder with corpus.jsonl is BEIR, any other folder with *.jsonl is CLAPNQ, and
any other folder is SMART (Cranfield, CISI, MED …: documents `.I .T .W`, questions in *.qry, judgements in *.rel).
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """A document: what is indexed of it."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the gain of each document that is relevant to it."""

    id: str
    text: str
    gains: Mapping[str, int]
    part: str
    """Questions of one part (an article) stay together when a weight is fitted on some and reported on others."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents by id, and the questions that have a relevant document among them."""

    name: str
    documents: Mapping[str, Text]
    questions: tuple[Asked, ...]


def read(path: Path) -> Corpus:
    """Raises SystemExit when it is none of the formats."""
    if path.is_file() and path.suffix == ".json":
        return squad(path)
    if path.is_dir() and (path / "corpus.jsonl").exists():
        return beir(path)
    if path.is_dir() and any(path.glob("*.jsonl")):
        return clapnq(path)
    if path.is_dir() and any(path.glob("*.[Qq][Rr][Yy]")):
        return smart(path)
    raise SystemExit(f"{path} is no SQuAD file and no BEIR, CLAPNQ or SMART folder")


def squad(path: Path) -> Corpus:
    """Every passage is a document without a title; the questions are those that have an answer."""
    documents: dict[str, Text] = {}
    questions = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            document = f"p{len(documents):05}"
            documents[document] = Text(paragraph["context"])
            questions += [
                Asked(one["id"], one["question"].strip(), {document: 1}, article["title"])
                for one in paragraph["qas"]
                if not one.get("is_impossible")
            ]
    return Corpus(f"SQuAD {path.stem}", documents, tuple(questions))


def clapnq(folder: Path) -> Corpus:
    """Passages with titles; a question's relevant one is the passage it came with, answerable or not."""
    documents: dict[tuple[str, str], str] = {}
    questions = []
    for file in sorted(folder.glob("*.jsonl")):
        for row in _lines(file):
            gains = {}
            for passage in row["passages"]:
                own = passage["title"], passage["text"]
                gains[documents.setdefault(own, f"p{len(documents):05}")] = 1
            questions.append(Asked(row["id"], row["input"], gains, row["passages"][0]["title"]))
    texts = {name: Text(text, title) for (title, text), name in documents.items()}
    return Corpus("CLAPNQ", texts, tuple(questions))


def beir(folder: Path) -> Corpus:
    """Questions of the test split that have a relevant document."""
    documents = {row["_id"]: Text(row["text"], row.get("title", "")) for row in _lines(folder / "corpus.jsonl")}
    gains: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0 and row["corpus-id"] in documents:
                gains.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    asked = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    questions = tuple(Asked(name, asked[name], found, name) for name, found in gains.items() if name in asked)
    return Corpus(folder.name, documents, questions)


def smart(folder: Path) -> Corpus:
    """Cranfield's questions are numbered by their order, as its judgements count them; the others by their id."""
    (questions_file,) = folder.glob("*.[Qq][Rr][Yy]")
    (judged,) = [file for file in folder.iterdir() if file.suffix.lower() == ".rel" or file.name == "cranqrel"]
    (documents_file,) = [file for file in folder.iterdir() if file.suffix.lower() in (".all", ".1400")]
    documents = {
        name: Text(fields.get("W", ""), fields.get("T", "")) for name, fields in _records(documents_file.read_text())
    }
    asked = list(_records(questions_file.read_text(errors="replace")))
    by_order = documents_file.stem.lower().startswith("cran")
    texts = {str(number) if by_order else name: one.get("W", "") for number, (name, one) in enumerate(asked, start=1)}
    gains: dict[str, dict[str, int]] = {}
    for line in judged.read_text().splitlines():
        numbers = line.split()
        if len(numbers) < 2:
            continue
        question, document = str(int(numbers[0])), str(int(numbers[2 if by_trec(numbers) else 1]))
        relevant = not judged.name.lower().startswith("cran") or numbers[-1] not in ("-1", "5")
        if relevant and document in documents:
            gains.setdefault(question, {})[document] = 1
    questions = tuple(Asked(name, texts[name], found, name) for name, found in gains.items() if name in texts)
    return Corpus(folder.name, documents, questions)


def by_trec(numbers: list[str]) -> bool:
    """`question 0 document relevance`, as MED has it; the others have the document second."""
    return len(numbers) == 4 and numbers[1] == "0" and numbers[3] == "1"


def _records(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Id and fields (`T` title, `W` text, …) of each record of a SMART file."""
    for record in re.split(r"^\.I\s+", text, flags=re.MULTILINE)[1:]:
        head, _, body = record.partition("\n")
        parts = re.split(r"^\.([A-Z])\s*$", body, flags=re.MULTILINE)
        yield str(int(head.strip())), {key: " ".join(value.split()) for key, value in _pairs(parts)}


def _pairs(parts: list[str]) -> Iterator[tuple[str, str]]:
    return zip(parts[1::2], parts[2::2], strict=True)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
