"""Read public question sets into documents, questions and relevance judgements. Reads the formats as published.

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
    """The indexed text and title of a document."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A question with the gain of each relevant document."""

    id: str
    text: str
    gains: Mapping[str, int]
    part: str
    """Questions of one part (an article) stay in the same fold when a weight is fitted."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents by id, and the questions that have a relevant document among them."""

    name: str
    documents: Mapping[str, Text]
    questions: tuple[Query, ...]


def read(path: Path) -> Corpus:
    """Read any of the formats. Raises SystemExit for anything else."""
    if path.is_file() and path.suffix == ".json":
        return squad(path)
    if path.is_dir() and (path / "corpus.jsonl").exists():
        return beir(path)
    if path.is_dir() and any(path.glob("*.jsonl")):
        return clapnq(path)
    if path.is_dir() and any(path.glob("*.[Qq][Rr][Yy]")):
        return smart(path)
    raise SystemExit(f"{path} is neither a SQuAD file nor a BEIR, CLAPNQ or SMART folder")


def squad(path: Path) -> Corpus:
    """Read SQuAD: every passage is a document without a title; only questions with an answer are kept."""
    documents: dict[str, Text] = {}
    questions = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            document = f"p{len(documents):05}"
            documents[document] = Text(paragraph["context"])
            questions += [
                Query(qa["id"], qa["question"].strip(), {document: 1}, article["title"])
                for qa in paragraph["qas"]
                if not qa.get("is_impossible")
            ]
    return Corpus(f"SQuAD {path.stem}", documents, tuple(questions))


def clapnq(folder: Path) -> Corpus:
    """Read CLAPNQ: passages with titles; the relevant passage of a question is its own, answerable or not."""
    documents: dict[tuple[str, str], str] = {}
    questions = []
    for file in sorted(folder.glob("*.jsonl")):
        for row in _lines(file):
            gains = {}
            for passage in row["passages"]:
                key = passage["title"], passage["text"]
                gains[documents.setdefault(key, f"p{len(documents):05}")] = 1
            questions.append(Query(row["id"], row["input"], gains, row["passages"][0]["title"]))
    texts = {name: Text(text, title) for (title, text), name in documents.items()}
    return Corpus("CLAPNQ", texts, tuple(questions))


def beir(folder: Path) -> Corpus:
    """Read BEIR: questions of the test split that have a relevant document."""
    documents = {row["_id"]: Text(row["text"], row.get("title", "")) for row in _lines(folder / "corpus.jsonl")}
    gains: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0 and row["corpus-id"] in documents:
                gains.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    texts = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    questions = tuple(
        Query(name, texts[name], document_gains, name) for name, document_gains in gains.items() if name in texts
    )
    return Corpus(folder.name, documents, questions)


def smart(folder: Path) -> Corpus:
    """Read SMART: Cranfield's judgements number questions by order, those of other collections by id."""
    (questions_file,) = folder.glob("*.[Qq][Rr][Yy]")
    (judgements,) = [file for file in folder.iterdir() if file.suffix.lower() == ".rel" or file.name == "cranqrel"]
    (documents_file,) = [file for file in folder.iterdir() if file.suffix.lower() in (".all", ".1400")]
    documents = {
        name: Text(fields.get("W", ""), fields.get("T", "")) for name, fields in _records(documents_file.read_text())
    }
    queries = list(_records(questions_file.read_text(errors="replace")))
    by_order = documents_file.stem.lower().startswith("cran")
    texts = {
        str(number) if by_order else name: fields.get("W", "") for number, (name, fields) in enumerate(queries, start=1)
    }
    gains: dict[str, dict[str, int]] = {}
    for line in judgements.read_text().splitlines():
        numbers = line.split()
        if len(numbers) < 2:
            continue
        question, document = str(int(numbers[0])), str(int(numbers[2 if is_trec(numbers) else 1]))
        relevant = not judgements.name.lower().startswith("cran") or numbers[-1] not in ("-1", "5")
        if relevant and document in documents:
            gains.setdefault(question, {})[document] = 1
    questions = tuple(
        Query(name, texts[name], document_gains, name) for name, document_gains in gains.items() if name in texts
    )
    return Corpus(folder.name, documents, questions)


def is_trec(numbers: list[str]) -> bool:
    """Whether a line is `question 0 document relevance`, as in MED; other collections have the document second."""
    return len(numbers) == 4 and numbers[1] == "0" and numbers[3] == "1"


def _records(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield id and fields (`T` title, `W` text, …) of each record of a SMART file."""
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
