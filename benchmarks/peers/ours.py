"""Run groundtune as a user would: text files on disk, `Project.ingest`, `Project.search` with default settings.

Runs in the current environment; started by run.py. Writing the files is not timed; loading the model is, because it
happens at the first passage. The index is on disk, and searches read it there.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from work import DEPTH, Search, Work, perform

from common import project_folder, settle
from groundtune.project import Project

PASSAGES = 2 * DEPTH
"""A long text is split into several passages, so ten texts may need more passages."""


def main() -> None:
    with project_folder() as folder:

        def prepare(work: Work) -> None:
            for name, text in work.passages.items():
                (folder / "docs" / f"{name}.txt").write_text(text, encoding="utf-8")
            settle()

        with Project.open(folder) as project:

            def ingest(_: Work) -> Search:
                project.ingest()
                return search

            def search(question: str) -> list[str]:
                hits = project.search(question, k=PASSAGES)
                return list(dict.fromkeys(Path(hit.passage.source).stem for hit in hits))[:DEPTH]

            perform(ingest, prepare=prepare)


if __name__ == "__main__":
    main()
