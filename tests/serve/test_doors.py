"""Keys, proxies, hosts and origins: who gets in, and what they may read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AuthenticationError, RateLimitError

from groundtune import MissingError, Project, UsageError
from groundtune.cli import main
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.keys import KeyFile
from groundtune.serve.pages.sign_in import local_path
from groundtune.serve.running import make_server
from groundtune.workspace import Workspace
from tests.serve.conftest import HTTP, QUESTION, Running, running, write_project

SECRET_QUESTION = "Where does the pay band of grade nine end?"
PROXY = '[serve]\nproxies = ["127.0.0.0/8"]\norigins = ["https://chat.example.com"]\n'


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[tuple[Running, str, str]]:
    """A server with a key of nobody's groups and a key of hr's."""
    folder = write_project(tmp_path_factory.mktemp("closed"))
    keys = KeyFile(Workspace(folder))
    _, plain = keys.create("plain")
    _, hr = keys.create("hr", groups=["hr"])
    with running(folder, embedder) as server:
        yield server, plain, hr


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server that trusts the headers of this machine."""
    with running(write_project(tmp_path_factory.mktemp("proxied"), PROXY), embedder) as server:
        yield server


def chat(server: Running, key: str, question: str = QUESTION) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return server.client(key).chat.completions.create(model="acme", messages=messages)


def search(server: Running, query: str, **headers: str) -> httpx2.Response:
    return HTTP.post(f"{server.url}/api/search", json={"query": query}, headers=headers)


def test_without_any_key_every_token_is_accepted(quotes: Running) -> None:
    assert chat(quotes, "whatever").choices[0].message.content
    assert search(quotes, "refund").status_code == 200


def test_a_wrong_key_is_refused_once_there_is_one(closed: tuple[Running, str, str]) -> None:
    server, plain, _ = closed
    assert chat(server, plain).choices[0].message.content
    with pytest.raises(AuthenticationError) as caught:
        chat(server, "gt-wrong")
    assert caught.value.code == "invalid_api_key"
    for path in ("/v1/models", "/v1/models/acme", "/passages/x"):
        assert HTTP.get(server.url + path).status_code == 401, path
    for path in ("/v1/chat/completions", "/v1/responses", "/api/ask", "/api/search"):
        body = {"model": "acme", "messages": [], "input": "x", "question": "x", "query": "x"}
        assert HTTP.post(server.url + path, json=body).status_code in (400, 401), path
    assert search(server, "refund").status_code == 401
    assert HTTP.get(f"{server.url}/healthz").status_code == 200
    assert HTTP.get(f"{server.url}/readyz").json() == {"status": "ready"}


def test_the_groups_of_a_key_decide_what_it_reads(closed: tuple[Running, str, str]) -> None:
    server, plain, hr = closed
    assert "91,000" not in chat(server, plain, SECRET_QUESTION).to_json()
    assert "91,000" in chat(server, hr, SECRET_QUESTION).to_json()
    hits = search(server, "pay band", authorization=f"Bearer {hr}").json()["hits"]
    (secret,) = [hit for hit in hits if hit["source"].startswith("docs/secret")]
    for key, status in ((plain, 404), (hr, 200)):
        page = HTTP.get(secret["url"], headers={"authorization": f"Bearer {key}"})
        assert page.status_code == status
        assert ("91,000" in page.text) is (status == 200)


def test_a_revoked_key_is_refused_at_once_and_opens_nothing(tmp_path: Path, embedder: BundledEmbedder) -> None:
    folder = write_project(tmp_path)
    with running(folder, embedder) as server:
        assert search(server, "refund").status_code == 200
        keys = KeyFile(Workspace(folder))
        key, secret = keys.create("one", per_minute=3)
        assert search(server, "refund").status_code == 401
        assert search(server, "refund", authorization=f"Bearer {secret}").status_code == 200
        keys.revoke(key.id)
        assert search(server, "refund", authorization=f"Bearer {secret}").status_code == 401
        assert search(server, "refund").status_code == 401


def test_a_key_has_its_own_limit(tmp_path: Path, embedder: BundledEmbedder) -> None:
    folder = write_project(tmp_path)
    _, secret = KeyFile(Workspace(folder)).create("slow", per_minute=2)
    with running(folder, embedder) as server:
        for _ in range(2):
            chat(server, secret)
        with pytest.raises(RateLimitError) as caught:
            chat(server, secret)
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 30


def test_a_trusted_proxy_names_the_user(proxied: Running) -> None:
    hits = search(proxied, "pay band", **{"x-groundtune-groups": "staff, hr", "x-groundtune-user": "ann"})
    assert "91,000" in hits.text
    assert "91,000" not in search(proxied, "pay band", **{"x-groundtune-groups": "staff"}).text
    assert "91,000" not in search(proxied, "pay band").text
    twice = HTTP.post(
        f"{proxied.url}/api/search",
        json={"query": "x"},
        headers=[("x-groundtune-groups", "hr"), ("x-groundtune-groups", "staff")],
    )
    assert twice.json()["error"]["code"] == "ambiguous_header"


@pytest.mark.parametrize("header", ["x-groundtune-groups", "x-groundtune-user"])
def test_the_header_of_anybody_else_is_refused(quotes: Running, header: str) -> None:
    reply = search(quotes, "pay band", **{header: "hr"})
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "untrusted_header"


def test_pages_of_other_sites_send_nothing(proxied: Running, quotes: Running) -> None:
    assert search(quotes, "refund", origin="https://evil.example").status_code == 403
    assert search(quotes, "refund", origin="null").status_code == 403
    assert search(quotes, "refund", origin="http://[").status_code == 403
    assert search(quotes, "refund", origin=quotes.url).status_code == 200
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert search(quotes, "refund", **{"sec-fetch-site": site}).status_code == status
    other = {"origin": "https://evil.example"}
    assert HTTP.post(f"{quotes.url}/session/end", headers=other).status_code == 403
    allowed = search(proxied, "refund", origin="https://chat.example.com")
    assert allowed.headers["access-control-allow-origin"] == "https://chat.example.com"
    assert allowed.headers["access-control-expose-headers"] == "Retry-After, X-Request-ID"
    asked = {"origin": "https://chat.example.com", "access-control-request-method": "POST"}
    preflight = HTTP.options(
        f"{proxied.url}/v1/models", headers=asked | {"access-control-request-headers": "x-stainless-lang"}
    )
    assert preflight.status_code == 200, preflight.text
    assert "access-control-allow-origin" not in search(quotes, "refund", origin=quotes.url).headers


def test_every_reply_has_security_headers(quotes: Running) -> None:
    for path in ("/healthz", "/v1/models", "/nothing"):
        headers = HTTP.get(quotes.url + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_a_browser_signs_in_with_a_key(closed: tuple[Running, str, str]) -> None:
    server, _, hr = closed
    hits = search(server, "pay band", authorization=f"Bearer {hr}").json()["hits"]
    path = next(hit["url"] for hit in hits if hit["source"].startswith("docs/secret")).removeprefix(server.url)
    with httpx2.Client(base_url=server.url, timeout=60) as browser:
        form = browser.get(path)
        assert form.status_code == 401
        assert f'value="{path}"' in form.text
        assert browser.post("/session", data={"key": "gt-wrong", "next": path}).status_code == 401
        done = browser.post("/session", data={"key": hr, "next": path})
        assert (done.status_code, done.headers["location"]) == (303, path)
        cookie = done.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "91,000" in browser.get(path).text
        other = {"origin": "https://evil.example"}
        assert browser.post("/api/search", json={"query": "pay"}, headers=other).status_code == 403
        browser.post("/session/end")
        assert browser.get(path).status_code == 401


def test_a_form_of_many_fields_is_refused(quotes: Running) -> None:
    assert HTTP.post(f"{quotes.url}/session", content="a=b&" * 100).status_code == 400


def test_sign_in_leads_nowhere_else() -> None:
    assert local_path("/passages/a:1") == "/passages/a:1"
    for path in ("https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nb", ""):
        assert local_path(path) == "/"


def test_elsewhere_than_loopback_it_needs_a_key_and_a_name(tmp_path: Path) -> None:
    folder = write_project(tmp_path, '[serve]\nhost = "0.0.0.0"\nport = 0\n')
    with Project.open(folder) as project:
        with pytest.raises(UsageError, match="no API key"):
            make_server(project, on_ready=print)
        KeyFile(project.workspace).create("one")
        with pytest.raises(UsageError, match="host name"):
            make_server(project, on_ready=print)
        settings = project.config.serve.model_copy(update={"hosts": ("answers.example.com",)})
        project.config = project.config.model_copy(update={"serve": settings})
        _, listening = make_server(project, on_ready=print)
        listening.close()


def test_keys_are_kept_as_digests(tmp_path: Path) -> None:
    keys = KeyFile(Workspace(tmp_path))
    key, secret = keys.create("ann", groups=["hr"])
    file = tmp_path / ".groundtune/keys.json"
    assert secret not in file.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KeyFile(Workspace(tmp_path)).find(secret) == key
    assert keys.find(secret + "x") is None
    with pytest.raises(UsageError, match="ann"):
        keys.create("ann")
    keys.revoke("ann")
    assert keys.find(secret) is None
    with pytest.raises(MissingError, match="ann"):
        keys.revoke("ann")
    keys.create("ann")
    assert [each.name for each in keys.all()] == ["ann", "ann"]
    file.write_text("{}")
    with pytest.raises(MissingError, match="damaged"):
        keys.all()


def test_commands_create_list_and_revoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_project(tmp_path))
    assert main(["keys", "-C", folder]) == 0
    assert "no keys" in capsys.readouterr().out
    assert main(["keys", "create", "ann", "--group", "hr", "--per-minute", "30", "-C", folder]) == 0
    secret = capsys.readouterr().out.strip()
    assert secret.startswith("gt-")
    assert main(["keys", "list", "-C", folder]) == 0
    listed = capsys.readouterr().out
    assert "ann" in listed
    assert secret not in listed
    assert main(["keys", "revoke", "ann", "--json", "-C", folder]) == 0
    assert '"revoked": "' in capsys.readouterr().out
    assert main(["keys", "revoke", "ann", "-C", folder]) == 3


def test_the_key_is_found_among_cookies_of_others(closed: tuple[Running, str, str]) -> None:
    server, plain, _ = closed
    reply = search(server, "refund", cookie=f'prefs={{"a": [1, 2]}}; groundtune_key={plain}', origin=server.url)
    assert reply.status_code == 200, reply.text
