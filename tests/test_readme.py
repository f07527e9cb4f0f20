"""What the README shows, runs: commands, Python block, project file, links."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.cli import VERBS
from groundtune.cli.demo import _copy
from groundtune.config import Config, load_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_commands_exist() -> None:
    shown = set(re.findall(r"^\$ groundtune (\w+)", "\n".join(blocks("console")), re.MULTILINE))
    assert shown
    assert shown <= set(VERBS)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\$ make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_python_block_runs(tmp_path: Path) -> None:
    _copy("handbook", tmp_path / "demo-handbook")
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "docs/policies/returns" in done.stdout
    assert "answered" in done.stdout


def test_the_project_file_loads(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "groundtune.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "groundtune.toml", environ={}).name == "acme-handbook"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_key_of_the_project_file_is_documented() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for name, field in Config.model_fields.items():
        assert f"`{name}`" in page or f"[{name}" in page, name
        inner = field.annotation
        for key in getattr(inner, "model_fields", {}):
            assert f"`{key}`" in page, f"{name}.{key}"


def test_the_public_names_are_what_the_package_exports() -> None:
    import groundtune

    for name in groundtune.__all__:
        assert getattr(groundtune, name).__name__ == name
    assert groundtune.__all__ == sorted(groundtune.__all__)
