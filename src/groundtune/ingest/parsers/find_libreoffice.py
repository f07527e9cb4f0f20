"""Find LibreOffice on this machine. Never starts it."""

import shutil
from functools import cache
from pathlib import Path

from groundtune.common.files import digest_text

_PLACES = ("/Applications/LibreOffice.app/Contents/MacOS/soffice", "C:/Program Files/LibreOffice/program/soffice.exe")


@cache
def find_libreoffice() -> Path | None:
    """Return the program of LibreOffice, without the script that starts it; None if it is not installed."""
    found = shutil.which("soffice") or shutil.which("libreoffice")
    places = [Path(found).resolve()] if found else [Path(place) for place in _PLACES]
    for place in places:
        binary = place.with_name("soffice.bin")
        if binary.is_file() or place.is_file():
            return binary if binary.is_file() else place
    return None


def libreoffice_version() -> str | None:
    """Return what tells one version of LibreOffice from another; None if it is not installed. Does not start it."""
    program = find_libreoffice()
    if program is None:
        return None
    try:
        return digest_text(program.with_name("versionrc").read_text(encoding="utf-8", errors="replace"))[:8]
    except OSError:
        return str(int(program.stat().st_mtime))
