"""What LibreOffice shows of a file: as PDF for texts and slides, as cells for sheets. Starts it once for many files."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

_SHEETS = "csv:Text - txt - csv (StarCalc):9,34,76,1,,0,false,true,false,false,false,-1"
"""Tab, quote, UTF-8, cells as displayed, every sheet in a file of its own."""
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


def sheets(paths: Sequence[Path], folder: Path) -> list[list[str]]:
    """Return the sheets of each workbook: the name, then the cells, separated by tabs."""
    results = []
    for start in range(0, len(paths), _BATCH):
        named = {path: f"{start + at:06d}" for at, path in enumerate(paths[start : start + _BATCH])}
        _run(named, _SHEETS, folder)
        results += [
            [
                f"{made.stem.partition('-')[2]}\n{made.read_text('utf-8')}"
                for made in sorted(folder.glob(f"{name}-*.csv"), key=lambda path: path.stat().st_mtime_ns)
            ]
            for name in named.values()
        ]
    return results


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
