"""What guides say of a project follows from the answers that were kept and from its folder."""

import logging
from pathlib import Path

import pytest

from groundtune.project.kept_advice import KEPT, guide_opinions, keep_answers, kept_answers
from tests.conftest import MakeProject


def says(root: Path) -> dict[str, str]:
    return {opinion.guide: opinion.says for opinion in guide_opinions(root)}


def test_answers_are_kept_for_the_next_time(tmp_path: Path) -> None:
    assert kept_answers(tmp_path) == {}
    keep_answers(tmp_path, {"problem": ["facts"], "citations": True})
    assert kept_answers(tmp_path) == {"problem": ["facts"], "citations": True}
    (tmp_path / KEPT).write_text("{")
    assert kept_answers(tmp_path) == {}


def test_kept_answers_and_the_folder_decide_what_guides_say(make_project: MakeProject) -> None:
    root = make_project({"docs/a.md": "# A\n\nText."})
    before = says(root)
    keep_answers(root, {"knowledge_changes": "never", "problem": ["behaviour"], "labelled_examples": 4000})
    after = says(root)
    assert before.keys() == after.keys() == set("ABCDE")
    assert "fine-tune" in after.values()
    assert before != after


def test_a_guide_that_cannot_be_read_is_logged_and_stops_nothing(
    make_project: MakeProject, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_project({"docs/a.md": "# A\n\nText.", "guides/ours.toml": "name = 3"})
    with caplog.at_level(logging.WARNING):
        assert says(root) == {}
    assert "guides are left out of the report: " in caplog.text
    assert "ours.toml" in caplog.text
