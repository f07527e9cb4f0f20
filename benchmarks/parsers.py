"""Hold other parsers against groundtune's loaders, on the oracles of documents.py.

    python -m benchmarks.parsers --seeds 10000:10030 --files markitdown-fixtures examples/handbook/docs [--cache FOLDER]

Each parser gets an environment of its own outside the repository, created on the first run. Their Markdown is compared
without its markup. Cells: share of the visible tokens that is read / share of what is read that is visible. Names of
table values and places of passages are not compared, since a text alone does not have them.
"""

import argparse
import html
import json
import re
import subprocess
import tempfile
import venv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import machine, table
from benchmarks.documents import shares
from benchmarks.oracles.differential import compare_file, read
from benchmarks.oracles.exceptions import exceptions_of
from benchmarks.oracles.generated import formats, write_all
from benchmarks.oracles.structures import Document, truth
from benchmarks.oracles.tokens import Comparison, compare, tokens
from benchmarks.oracles.visible import see

from groundtune.errors import ParseError
from groundtune.ingest.parsed import ParsedDocument, TextBuilder

HERE = Path(__file__).parent / "peers"
PEERS = ("markitdown", "kreuzberg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="10000:10030")
    parser.add_argument("--files", nargs="*", type=Path, default=[])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "groundtune-benchmarks")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="groundtune-parsers-") as name:
        written = write_all(range(*map(int, options.seeds.split(":"))), Path(name), formats())
        print(f"\ngenerated, seeds {options.seeds}")
        _report(_generated(written, texts_of(list(written), options.cache, Path(name))))
        files = sorted(
            {
                file
                for path in options.files
                for file in (path.rglob("*") if path.is_dir() else [path])
                if file.is_file()
            }
        )
        if files:
            print("\nreal files against the programs that show them, after exceptions")
            _report(_real(files, texts_of(files, options.cache, Path(name))))


Texts = dict[str, dict[Path, list[ParsedDocument] | None]]
"""What each parser read of each file; None if it did not read it."""


def texts_of(files: Sequence[Path], cache: Path, folder: Path) -> Texts:
    """Read files with groundtune and with each peer."""
    ours = read(files)
    texts: Texts = {"groundtune": {file: None if isinstance(ours[file], ParseError) else ours[file] for file in files}}  # type: ignore[misc]
    (folder / "files.json").write_text(json.dumps([str(file.absolute()) for file in files]), encoding="utf-8")
    for peer in PEERS:
        command = [_python(peer, cache), HERE / "extract.py", peer, folder / "files.json", folder / "texts.json"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        found = json.loads((folder / "texts.json").read_text("utf-8"))["texts"]
        texts[peer] = {file: _document(found[str(file.absolute())]) for file in files}
    return texts


def _python(peer: str, cache: Path) -> Path:
    """Return the Python of a peer's environment, which is made if it is not there."""
    python = cache / peer / "bin" / "python"
    if not python.exists():
        venv.create(cache / peer, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / f"requirements-{peer}.txt"], check=True)
    return python


def _document(text: str | None) -> list[ParsedDocument] | None:
    """Return the text of a peer without the markup of Markdown; its table rows as rows."""
    if text is None:
        return None
    builder = TextBuilder()
    for line in _plain(text).splitlines():
        if line.lstrip().startswith("|"):
            builder.row([line.strip("| ")])
        else:
            builder.paragraph(line)
    return [builder.build()]


_MARKUP = (
    (re.compile(r"<sup>", re.IGNORECASE), "^"),
    (re.compile(r"<!--.*?-->|</?[a-z][^>]*>", re.IGNORECASE | re.DOTALL), " "),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\*\*|__|~~|`"), ""),
    (re.compile(r"\\([\\`*_{}\[\]()<>#+.!|~-])"), r"\1"),
    (re.compile(r"\|[\s|:-]*-[\s|:-]*\|"), "|"),
)


def _plain(markdown: str) -> str:
    for pattern, new in _MARKUP:
        markdown = pattern.sub(new, markdown)
    return html.unescape(markdown)


Results = dict[str, dict[str, list[Comparison | None]]]
"""By format and parser; None for a file that the parser did not read."""


def _generated(written: dict[Path, Document], texts: Texts) -> Results:
    results: Results = defaultdict(lambda: defaultdict(list))
    for file, document in written.items():
        facts = truth(document)
        wanted = [token for text in (*(piece.text for piece in facts.pieces), *facts.once) for token in tokens(text)]
        allowed = [*wanted, *(token for text in facts.perhaps for token in tokens(text)), *"123456789"]
        for parser, read_by in texts.items():
            documents = read_by[file]
            result = None
            if documents is not None:
                blocks = [
                    (block.kind, each.text[block.start : block.end]) for each in documents for block in each.blocks
                ]
                rows = [token for kind, text in blocks if kind == "row" for token in tokens(text)]
                ours = [token for each in documents for token in tokens(each.text)]
                result = compare(ours, [wanted], perhaps=[allowed], repeatable=rows)
            results[file.suffix][parser].append(result)
    return results


def _real(files: Sequence[Path], texts: Texts) -> Results:
    results: Results = defaultdict(lambda: defaultdict(list))
    shown = see(files)
    for file in files:
        exceptions = exceptions_of(file.suffix.lower())
        seen = shown[file]
        if seen is None or file.name in exceptions.files:
            continue
        for parser, read_by in texts.items():
            documents = read_by[file]
            result = None if documents is None else compare_file(documents, seen, exceptions)
            results[file.suffix.lower()][parser].append(result)
    return results


def _report(results: Results) -> None:
    """Print shares by format and parser; files that were not read count as missing."""
    rows = [["format", "files", "tokens", *("groundtune", *PEERS)]]
    for suffix, by_parser in results.items():
        ours = by_parser["groundtune"]
        most = {n: each.visible for found in by_parser.values() for n, each in enumerate(found) if each}
        row = [suffix, str(len(ours)), f"{sum(most.values()):,}"]
        for parser in ("groundtune", *PEERS):
            found = by_parser[parser]
            lost = [Comparison(most.get(n, 0), 0, 0, 0) for n, each in enumerate(found) if each is None]
            cell = " / ".join(shares([*filter(None, found), *lost]))
            row.append("not read" if len(lost) == len(found) else f"{cell}{f' ({len(lost)} not read)' if lost else ''}")
        rows.append(row)
    table(rows)


if __name__ == "__main__":
    main()
