"""What people think of answers is kept."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from tests.serve.conftest import HTTP, QUESTION, Running


def test_feedback_is_kept_with_its_answer_and_caller(quotes: Running) -> None:
    answer = quotes.client().responses.create(model="acme", input=QUESTION).groundtune["id"]  # type: ignore[attr-defined]

    def give(number: int) -> int:
        body = {"answer": answer, "rating": "down" if number % 2 else "up", "comment": f"é {number}"}
        return HTTP.post(f"{quotes.url}/v1/feedback", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(give, range(16))) == {200}
    with closing(sqlite3.connect(quotes.project.workspace.folder / "feedback.sqlite")) as database:
        rows = database.execute("SELECT answer, rating, comment, caller FROM feedback").fetchall()
    assert len(rows) == 16
    assert {row[0] for row in rows} == {answer}
    assert ("down", "é 3", "anonymous") in [row[1:] for row in rows]


def test_what_is_no_feedback_is_refused(quotes: Running) -> None:
    for body in ({"answer": "x", "rating": "5"}, {"answer": "a b", "rating": "up"}, {"rating": "up"}):
        assert HTTP.post(f"{quotes.url}/v1/feedback", json=body).status_code == 400
