"""What LibreOffice shows of a file: as PDF for texts and slides, as cells for sheets. Starts it once for many files."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0"
_TABLE, _TEXT, _STYLE, _OFFICE = (_OASIS.format(name) for name in ("table", "text", "style", "office"))
_UNSEEN = ("collapse", "filter")
_MOST_COLUMNS = 16_384
NOTES_PAGES = 'pdf:impress_pdf_Export:{"ExportNotesPages":{"type":"boolean","value":"true"}}'
_BATCH = 40
_TIMEOUT = 600


def missing_libreoffice() -> str | None:
    """Why LibreOffice cannot be used; None if it can."""
    if shutil.which("soffice") is None:
        return (
            "soffice is not installed: "
            "apt-get install libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui"
        )
    return None


def convert(paths: Sequence[Path], target: str, folder: Path) -> list[Path | None]:
    """Convert each file to `target` (`pdf`, `docx`, `odt`, …) in `folder`; None for those that LibreOffice refuses."""
    results: list[Path | None] = []
    for start in range(0, len(paths), _BATCH):
        named = {path: f"{start + at:06d}" for at, path in enumerate(paths[start : start + _BATCH])}
        _run(named, target, folder)
        suffix = target.partition(":")[0]
        made = [folder / f"{name}.{suffix}" for name in named.values()]
        results += [path if path.exists() else None for path in made]
    return results


def sheets(paths: Sequence[Path], folder: Path) -> list[str | None]:
    """Return the visible cells of each workbook as displayed, below the names of their sheets; None if refused."""
    flat = convert(paths, "fods", folder)
    return ["\n".join(_visible_cells(etree.parse(path).getroot())) if path else None for path in flat]


def _visible_cells(root: Any) -> Iterator[str]:
    hidden = {
        style.get(f"{{{_STYLE}}}name")
        for style in root.iter(f"{{{_STYLE}}}style")
        if style.find(f"{{{_STYLE}}}table-properties[@{{{_TABLE}}}display='false']") is not None
    }
    for sheet in root.iter(f"{{{_TABLE}}}table"):
        if sheet.get(f"{{{_TABLE}}}style-name") in hidden:
            continue
        yield sheet.get(f"{{{_TABLE}}}name")
        unseen: set[int] = set()
        at = 0
        for column in sheet.iter(f"{{{_TABLE}}}table-column"):
            count = int(column.get(f"{{{_TABLE}}}number-columns-repeated", 1))
            if column.get(f"{{{_TABLE}}}visibility") in _UNSEEN:
                unseen.update(range(at, at + min(count, _MOST_COLUMNS)))
            at += count
        for row in sheet.iter(f"{{{_TABLE}}}table-row"):
            if row.get(f"{{{_TABLE}}}visibility") not in _UNSEEN:
                yield from _row_cells(row, unseen)


def _row_cells(row: Any, unseen: set[int]) -> Iterator[str]:
    at = 0
    for cell in row:
        lines = [line for line in cell.iter(f"{{{_TEXT}}}p") if not _in_comment(line)]
        text = "\n".join("".join(line.itertext()) for line in lines)
        for _ in range(int(cell.get(f"{{{_TABLE}}}number-columns-repeated", 1)) if text else 1):
            if text and at not in unseen:
                yield text
            at += 1
        if not text:
            at += int(cell.get(f"{{{_TABLE}}}number-columns-repeated", 1)) - 1


def _in_comment(line: Any) -> bool:
    return any(each.tag == f"{{{_OFFICE}}}annotation" for each in line.iterancestors())


def _run(named: dict[Path, str], target: str, folder: Path) -> None:
    """Convert files under the names given, so that equal file names in several folders do not meet."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="groundtune-soffice-") as name:
        scratch = Path(name)
        copies = []
        for path, stem in named.items():
            copy = scratch / f"{stem}{path.suffix}"
            shutil.copyfile(path, copy)
            copies.append(str(copy))
        command = ["soffice", f"-env:UserInstallation=file://{scratch}/profile", "--headless", "--norestore"]
        command += ["--convert-to", target, "--outdir", str(folder), *copies]
        environment = {**os.environ, "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
        subprocess.run(command, env=environment, capture_output=True, timeout=_TIMEOUT, check=False)
