"""docs/citations.md lists the languages as they are, and every form of a marker that it shows is read."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

from groundtune.citations.markers import find_markers
from groundtune.common import support
from groundtune.languages.language import LANGUAGES
from tests.citations.test_checking import HITS

PAGE = (Path(__file__).parents[2] / "docs/citations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_languages_and_their_data() -> None:
    rows = re.findall(r"^\| (\w+) \| (yes|no) \| [^|]*\| (.*?) \|$", section("Languages"), re.MULTILINE)
    expected = []
    for name in LANGUAGES:
        file = files("groundtune.languages") / "data" / f"{name}.toml"
        readers = tomllib.loads(file.read_text("utf-8"))["about"]["reviewed_by"] if file.is_file() else []
        expected.append((name, "yes" if file.is_file() else "no", ", ".join(readers) or "no"))
    assert rows == expected


def test_every_form_of_a_marker_is_read() -> None:
    rows = re.findall(r"^\| [a-z ]+ \| (`.*?)(?:, where .*)? \|$", section("Markers"), re.MULTILINE)
    forms = [form for row in rows for form in re.findall(r"`([^`]+)`", row)]
    assert len(forms) > 30
    for form in forms:
        gap = "\n" if form.startswith("Sources") else " "
        assert find_markers(f"Orders are sent within two working days{gap}{form}", HITS), form


def test_every_state_is_described() -> None:
    states = set(re.findall(r"^\| `(\w+)` \|", section("States"), re.MULTILINE))
    assert states == {support.EXACT, support.CLOSE, support.MISSING, support.UNCITED, support.UNCHECKED}
