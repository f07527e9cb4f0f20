"""Convert a file with LibreOffice into a format that groundtune reads. Never runs a macro, never follows a link."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from groundtune.errors import MissingError, ParseError
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.parsers.find_libreoffice import find_libreoffice, libreoffice_version

CONVERTED = {
    **dict.fromkeys((".doc", ".dot", ".wps", ".wpd", ".odt", ".ott", ".rtf", ".docx"), ".docx"),
    **dict.fromkeys((".xls", ".xlt", ".xlsb", ".ods", ".ots", ".xlsx"), ".xlsx"),
    **dict.fromkeys((".ppt", ".pps", ".pot", ".odp", ".otp", ".pptx"), ".pptx"),
}
"""The format that a file is converted into, by its suffix; any other becomes a PDF."""
_FILTERS = {".docx": "docx:MS Word 2007 XML", ".xlsx": "xlsx:Calc MS Excel 2007 XML", ".pptx": "pptx", ".pdf": "pdf"}
_START_AGAIN = (79, 81)
"""Exit codes by which LibreOffice asks to be started again."""
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>1</value></prop></item>
</oor:items>
"""
"""Settings of the profile that every conversion starts with: no macros, no links, no recalculation."""


class LibreOfficeParser:
    """`Loader` that reads what LibreOffice makes of a file."""

    def __init__(self) -> None:
        program = find_libreoffice()
        if program is None:
            raise MissingError("LibreOffice is not installed", hint="install it (Debian: libreoffice-writer-nogui)")
        self._program = program
        self.version = libreoffice_version() or "unknown"

    def load(self, path: Path) -> list[ParsedDocument]:
        from groundtune.ingest.loaders import load

        with tempfile.TemporaryDirectory(prefix="groundtune-") as folder:
            return load(self._convert(path, Path(folder)))

    def _convert(self, path: Path, folder: Path) -> Path:
        """Return the converted file in `folder`, which also gets a profile: conversions run side by side."""
        suffix = CONVERTED.get(path.suffix.lower(), ".pdf")
        profile, out = folder / "profile", folder / "out"
        (profile / "user").mkdir(parents=True)
        (profile / "user/registrymodifications.xcu").write_text(_PROFILE, encoding="utf-8")
        command = [
            *(str(self._program), f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore"),
            *("--convert-to", _FILTERS[suffix], "--outdir", str(out), str(path.absolute())),
        ]
        done = _run(command, folder)
        if done.returncode in _START_AGAIN:  # the first start with a new profile only sets it up
            done = _run(command, folder)
        converted = next(out.glob(f"*{suffix}"), None) if out.is_dir() else None
        if converted is None:
            said = " ".join(done.stderr.decode(errors="replace").split())[:200]
            raise ParseError(f"LibreOffice cannot read it ({said or f'exit code {done.returncode}'}); save it again")
        return converted


def _run(command: list[str], home: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, "HOME": str(home)},
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def _die_with_parent() -> None:
    """Have Linux kill LibreOffice together with the worker that waits for it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
