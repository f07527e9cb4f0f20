"""An answer from a superseded document says which one replaces it."""

import pytest

from groundtune import Done, Project
from groundtune.display.answers import citation_title

OLD = "---\nstatus: superseded\nsuperseded_by: leave.md\n---\n# Leave (2022)\n\nLeave is booked on the green form."
FILES = {
    "hr/leave-2022.md": OLD,
    "hr/leave.md": "# Leave\n\nHolidays are booked in PeopleNest.",
    "hr/law.md": "# Law\n\nSuperseded by secret-law.md. The gate is locked at nine by the guard.",
    "board/secret-law.md": "# Secret\n\nNothing is locked.",
    "c.md": "# Bikes\n\nThe red bike stands in the hall.",
}
RULE = '[[documents.access]]\ninclude = ["board/**"]\ngroups = ["board"]\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("versions")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "groundtune.toml").write_text(f'name = "test"\n{RULE}[answers]\nthreshold = 0.0\n')
    project = Project.open(folder)
    project.ingest()
    return project


def newer(project: Project, question: str, *, groups: tuple[str, ...] = ()) -> dict[str | None, str | None]:
    answer = project.ask(question, groups=groups)
    return {citation.source: citation.newer for citation in answer.citations}


def test_a_citation_of_an_older_version_names_the_newer_one(project: Project) -> None:
    answer = project.ask("On which form is leave booked, the green form?")
    (citation, *_) = answer.citations
    assert (citation.source, citation.newer) == ("hr/leave-2022.md", "hr/leave.md")
    assert citation_title(citation).endswith("; an older version, see hr/leave.md")
    (done,) = [e for e in project.stream("On which form is leave booked, the green form?") if isinstance(e, Done)]
    assert done.answer.citations[0].newer == "hr/leave.md"


def test_nothing_else_is_marked(project: Project) -> None:
    assert newer(project, "Where does the red bike stand?") == {"c.md": None}


def test_a_newer_version_that_the_user_may_not_read_is_not_named(project: Project) -> None:
    question = "When is the gate locked by the guard?"
    assert newer(project, question)["hr/law.md"] is None
    assert newer(project, question, groups=("board",))["hr/law.md"] == "board/secret-law.md"
