"""People decide about served answers: on the page, by keyboard, and before an answer is sent."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from groundtune.dataset.examples import read_examples
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.testing.scripted_server import Reply
from groundtune.workspace import Workspace
from tests.report.conftest import browser  # noqa: F401 (a fixture)
from tests.serve.conftest import ANSWER, FIRST, HTTP, QUESTION, Running, Serve, running, script, write_project
from tests.serve.test_ask_page import CONTRAST, OVERFLOW, Visit, ask, finished, visit  # noqa: F401 (a fixture)

ALL = "[review]\nsample = 1.0\n"


def answer_of(server: Running, question: str = QUESTION, key: str = "any", **more: Any) -> dict[str, Any]:
    return server.client(key).responses.create(model="acme", input=question, **more).groundtune  # type: ignore[attr-defined,no-any-return]


def post(server: Running, path: str, body: dict[str, Any], key: str | None = None, **headers: str) -> Any:
    told = headers | ({"Authorization": f"Bearer {key}"} if key else {})
    return HTTP.post(f"{server.url}{path}", json=body, headers=told)


@pytest.mark.slow
def test_a_thumbs_down_travels_through_the_browser_into_a_train_row(visit: Visit, serve: Serve) -> None:  # noqa: F811
    tune = '[tune.t]\nkind = "lora"\nbase = "smollm2-135m"\nmode = "dpo"\n'
    server = serve(f'[review]\nsample = 0.0\n[examples]\nfiles = ["*.jsonl"]\n{tune}', reply=script)
    page = visit(server)
    ask(page)
    finished(page)
    page.get_by_role("button", name="Not helpful").click()
    expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")
    page.goto(f"{server.url}/review")
    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)
    expect(page.locator("#why")).to_contain_text("not helpful")
    page.keyboard.press("e")
    page.get_by_label("A better answer").fill("A refund is paid within 30 days.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you.")
    page.keyboard.press("p")
    expect(page.get_by_role("status")).to_contain_text("1 train example added to reviewed.jsonl")
    (row,) = read_examples(server.project.root / "reviewed.jsonl")
    assert (row.input, row.output, row.split, row.origin) == (
        QUESTION,
        "A refund is paid within 30 days.",
        "train",
        "review",
    )
    assert row.rejected == ANSWER.replace(" [1]", "")
    assert row.review is not None
    assert (row.review.state, row.review.by) == ("edited", "anonymous")
    assert [proof.source for proof in row.evidence] == ["docs/refunds.md"] * 2
    trained = server.project.loop.run(rows_to_train_on(server))
    assert [(each.id, each.input) for each in trained] == [(row.id, QUESTION)]
    assert (trained[0].output, trained[0].rejected) == (row.output, row.rejected)


async def rows_to_train_on(server: Running) -> Any:
    async with server.project._prepared("t", None) as prepared:
        return prepared.train


@pytest.mark.slow
def test_one_key_decides_and_another_takes_it_back(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve(ALL, reply=script)
    questions = ["Do you deliver to Iceland?", QUESTION, "When is a refund paid, please?"]
    ids = [answer_of(server, question)["id"] for question in questions]
    page = visit(server, "/review")
    heading, said = page.get_by_role("heading", level=1), page.get_by_role("status")
    expect(heading).to_be_focused()
    expect(page.locator("#why")).to_contain_text("abstention · sample · 3 waiting")
    expect(page.get_by_role("heading", name="Not in your documents.")).to_be_visible()
    shown = []
    for key, state in (("a", "accepted"), ("r", "rejected")):
        shown.append(heading.inner_text())
        page.keyboard.press(key)
        expect(said).to_have_text(f"The answer is {state}.")
        expect(heading).not_to_have_text(shown[-1])
    page.keyboard.press("u")
    expect(said).to_have_text("The decision is taken back.")
    expect(heading).to_have_text(shown[-1])
    page.keyboard.press("d")
    expect(said).to_have_text("The answer is declined.")
    expect(heading).to_have_text(questions[2])
    page.keyboard.press("s")
    expect(heading).to_have_text("Only what you skipped is left.")
    page.keyboard.press("n")
    expect(heading).to_have_text(questions[2])
    states = {item.answer: item.state for item in server.project.reviews().items}
    assert states == dict(zip(ids, ("accepted", "declined", "pending"), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_the_page_is_readable_everywhere(visit: Visit, reviewed: Running, width: int, scheme: str) -> None:  # noqa: F811
    page = visit(reviewed, "/review", width=width, color_scheme=scheme)
    for key in ("", "e", "Escape", "s"):
        if key:
            page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(OVERFLOW) == 0


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server without a model, with keys for reviewers, some answers in its queue, and a restricted one among them."""
    folder = write_project(tmp_path_factory.mktemp("reviewed"), '[review]\nsample = 1.0\ngroups = ["reviewers"]\n')
    with running(folder, embedder) as server:
        answer_of(server)
        yield server


@pytest.mark.slow
def test_an_item_is_given_to_one_person_on_the_page(visit: Visit, serve: Serve) -> None:  # noqa: F811
    server = serve(ALL)
    answer = answer_of(server)["id"]
    page = visit(server, "/review")
    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)
    page.keyboard.press("g")
    field = page.get_by_label("Whose item it is")
    expect(field).to_be_focused()
    assert page.evaluate(CONTRAST) == []
    field.fill("ann")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The item is for ann.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you.")
    assert server.project.review_item(answer).item.assignee == "ann"
    post(server, "/api/review/assign", {"answer": answer, "to": None}).raise_for_status()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text(QUESTION)


KEYS = {"ann": ["reviewers"], "hans": ["reviewers", "hr"], "guest": []}


@pytest.fixture
def keyed(serve: Serve) -> tuple[Running, dict[str, str]]:
    server = serve('[review]\nsample = 1.0\ngroups = ["reviewers"]\n')
    keys = KeyFile(Workspace(server.project.root))
    return server, {name: keys.create(name, groups=groups)[1] for name, groups in KEYS.items()}


def test_only_who_may_read_an_item_may_give_it_away(keyed: tuple[Running, dict[str, str]]) -> None:
    server, keys = keyed
    hidden = answer_of(server, "Where does the pay band of grade nine end?", keys["hans"])["id"]
    body = {"answer": hidden, "to": "guest"}
    statuses = {name: post(server, "/api/review/assign", body, key).status_code for name, key in keys.items()}
    assert statuses == {"ann": 404, "hans": 200, "guest": 403}


def test_a_reviewer_sees_only_what_he_may_read(keyed: tuple[Running, dict[str, str]]) -> None:
    server, keys = keyed
    hidden = answer_of(server, "Where does the pay band of grade nine end?", keys["hans"])
    assert "91,000" in hidden["citations"][0]["quote"]
    seen = post(server, "/api/review/next", {}, keys["ann"]).json()
    assert seen == {"item": None}
    for path, body in (("next", {"answer": hidden["id"]}), ("decide", {"answer": hidden["id"], "state": "accepted"})):
        refused = post(server, f"/api/review/{path}", body, keys["ann"])
        assert refused.status_code == 404
        assert "grade" not in refused.text
    item = post(server, "/api/review/next", {}, keys["hans"]).json()["item"]
    assert item["answer"] == hidden["id"]
    assert "91,000" in item["passages"][0]["text"]


def test_only_reviewers_review_and_no_other_site_does(keyed: tuple[Running, dict[str, str]]) -> None:
    server, keys = keyed
    answer = answer_of(server, key=keys["ann"])["id"]
    body = {"answer": answer, "state": "accepted"}
    assert post(server, "/api/review/decide", body).status_code == 401
    assert post(server, "/api/review/decide", body, keys["guest"]).status_code == 403
    for path in ("next", "promote"):
        assert post(server, f"/api/review/{path}", {}, keys["guest"]).status_code == 403
    elsewhere = post(server, "/api/review/decide", body, keys["ann"], Origin="https://evil.example")
    assert elsewhere.status_code == 403
    assert HTTP.get(f"{server.url}/review").status_code == 401
    assert post(server, "/api/review/decide", body, keys["ann"]).json() == {"answer": answer, "state": "accepted"}
    again = post(server, "/api/review/decide", {**body, "state": "rejected"}, keys["hans"])
    assert again.status_code == 400
    assert "ann decided meanwhile" in again.json()["error"]["message"]


def decide_soon(server: Running, state: str, text: str | None = None) -> threading.Thread:
    """Decide about the first answer that waits, in a thread."""

    def work() -> None:
        end = time.monotonic() + 30
        while not (waiting := server.project.reviews(["pending"]).items):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert waiting[0].reasons[0] == "held"
        server.project.review(waiting[0].answer, state, by="ann", text=text)  # type: ignore[arg-type]

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_waits_until_a_person_has_decided(serve: Serve, stream: bool) -> None:
    server = serve('[review]\nhold = ["all"]\n', reply=script)
    deciding = [
        ("accepted", None, ANSWER),
        ("edited", "Within a month.", "Within a month."),
        ("rejected", None, "not release"),
    ]
    for state, text, sent in deciding:
        thread = decide_soon(server, state, text)
        messages: Any = [{"role": "user", "content": QUESTION}]
        reply: Any = server.client().chat.completions.create(model="acme", messages=messages, stream=stream)
        if stream:
            written = "".join(chunk.choices[0].delta.content or "" for chunk in reply if chunk.choices)
        else:
            written = reply.choices[0].message.content
        thread.join()
        assert sent in written
        assert state == "accepted" or FIRST not in written


def test_an_answer_that_nobody_decides_can_be_fetched_later(serve: Serve) -> None:
    wrong = "A refund is paid within 90 days of delivery [1]."
    server = serve('[review]\nhold = ["unsupported"]\nhold_seconds = 0.5\n', reply=lambda _: Reply(wrong))
    reply: Any = server.client().responses.create(model="acme", input=QUESTION)
    field = reply.groundtune
    assert (field["held"], field["status"], field["citations"], field["passages"]) == (True, "abstained", [], [])
    assert "90 days" not in reply.output_text
    assert "waits" in reply.output_text
    url = f"{server.url}/v1/answers/{field['id']}"
    assert HTTP.get(url).json() == {"id": field["id"], "state": "pending", "text": None}
    server.project.review(field["id"], "edited", by="ann", text="Within a month.")
    assert HTTP.get(url).json() == {"id": field["id"], "state": "edited", "text": "Within a month."}
    assert HTTP.get(f"{server.url}/v1/answers/{'0' * 32}").status_code == 404


def test_what_is_not_doubtful_does_not_wait(serve: Serve) -> None:
    server = serve('[review]\nhold = ["abstained", "unsupported"]\nhold_seconds = 30\n', reply=lambda _: Reply(FIRST))
    start = time.monotonic()
    answer = answer_of(server)
    assert (answer["held"], answer["status"]) == (False, "answered")
    assert time.monotonic() - start < 20
    stream: Any = server.client().responses.create(model="acme", input=QUESTION, stream=True)
    assert FIRST in "".join(event.delta for event in stream if event.type == "response.output_text.delta")
