"""Signed tokens: whoever holds one is let in with its groups, and nothing else that looks like one is."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from groundtune import ConfigError, Project, UsageError
from groundtune.config import load_config
from groundtune.serve.doors import tokens
from groundtune.serve.running import make_server
from tests.serve.conftest import HTTP, Running, Serve, running, write_project

ISSUER, AUDIENCE = "https://login.example.com", "groundtune"
RSA, OTHER = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
EC = ec.generate_private_key(ec.SECP256R1())
TOML = f'[serve]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nuser_claim = "email"\n'
MAPPED = '[serve.groups]\n"ann@example.com" = ["hr"]\n'


def public(key: Any, name: str) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


def token(key: Any = RSA, name: str | None = "one", algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "iat": now, "email": "bob@example.com"}
    values = {key: value for key, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(values, key, algorithm=algorithm, headers={"kid": name} if name else {})


def unsigned(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = base64.urlsafe_b64encode(sign(b".".join(parts))).rstrip(b"=")
    return b".".join([*parts, signature]).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, embedder: Any) -> Iterator[Running]:
    """A server that takes tokens of two keys from a file, and maps one user."""
    folder = write_project(tmp_path_factory.mktemp("tokens"), f'{TOML}jwks_file = "jwks.json"\n{MAPPED}')
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(b"s" * 64).decode(), "kid": "secret", "alg": "HS256"}
    keys = {"keys": [public(RSA, "one"), public(EC, "two"), secret]}
    (folder / "jwks.json").write_text(json.dumps(keys))
    with running(folder, embedder) as started:
        yield started


def found(server: Running, bearer: str | None) -> tuple[int, str]:
    """Search for a restricted document; return the status, and the sources or the message."""
    headers = {"Authorization": f"Bearer {bearer}".encode()} if bearer is not None else {}
    reply = HTTP.post(f"{server.url}/api/search", json={"query": "pay band of grade nine"}, headers=headers)
    body = reply.json()
    if reply.status_code != 200:
        return reply.status_code, body["error"]["message"]
    return 200, " ".join(hit["source"] for hit in body["hits"])


@pytest.mark.parametrize(
    ("claims", "reads_pay"),
    [
        ({}, False),
        ({"groups": ["hr", "staff"]}, True),
        ({"groups": "staff, hr"}, True),
        ({"groups": ["HR", "h", "hr "]}, False),
        ({"groups": ["*"]}, False),
        ({"email": "ann@example.com"}, True),
        ({"email": "Ann@example.com"}, False),
        ({"roles": ["hr"]}, False),
    ],
)
def test_the_groups_of_a_token_count(server: Running, claims: dict[str, Any], reads_pay: bool) -> None:
    status, sources = found(server, token(**claims))
    assert status == 200
    assert ("docs/secret/pay.md" in sources) is reads_pay
    assert found(server, token(EC, "two", "ES256", **claims)) == (status, sources)


# Each is made as its test runs, because a token of the time of collection expires before a slow machine asks with it.
REFUSED: list[tuple[Callable[[], str | None], str]] = [
    (lambda: None, "an API key is needed"),
    (lambda: "gt-nothing", "this API key is not valid"),
    (lambda: token(exp=int(time.time()) - 60), "it has expired"),
    (lambda: token(exp=None), "it lacks a claim"),
    (lambda: token(nbf=int(time.time()) + 600), "it is not valid yet"),
    (lambda: token(iss="https://login.example.org"), "another issuer"),
    (lambda: token(iss=None), "it lacks a claim"),
    (lambda: token(aud="other"), "another audience"),
    (lambda: token(aud=None), "it lacks a claim"),
    (lambda: token(email=None), "names nobody"),
    (lambda: token(email=["a"]), "names nobody"),
    (lambda: token(email_verified=False), "not verified"),
    (lambda: token(groups=[1]), "no list of texts"),
    (lambda: token(groups={"hr": True}), "no list of texts"),
    (lambda: token(OTHER), "its signature is wrong"),
    (lambda: token(OTHER, "three"), "does not publish"),
    (lambda: token(name=None), "does not publish"),
    (lambda: token(name="../../../../dev/null"), "does not publish"),
    (lambda: token(name="x" * 300), "no usable name"),
    (lambda: token(name="one", algorithm="RS512"), "its algorithm is not that of the key"),
    (lambda: token(RSA, "two"), "its algorithm is not that of the key"),
    (lambda: token(b"s" * 64, "secret", "HS256"), "does not publish"),
    (lambda: token(groups=["g" * 20_000]), "longer than"),
    (lambda: token()[:-4], "cannot be read"),
    (lambda: "eyJ.x.y", "cannot be read"),
    (lambda: token() + "\u00e9", "cannot be read"),
]


@pytest.mark.parametrize(("bearer", "why"), REFUSED)
def test_what_is_not_a_valid_token_is_refused(server: Running, bearer: Callable[[], str | None], why: str) -> None:
    status, message = found(server, bearer())
    assert status == 401
    assert why in message, message


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "hs256", "HS512"])
@pytest.mark.parametrize("name", ["one", "secret", None])
def test_nobody_signs_with_a_public_key_or_with_none(server: Running, algorithm: str, name: str | None) -> None:
    claims = jwt.decode(token(groups=["hr"]), options={"verify_signature": False})
    header = {"alg": algorithm, "typ": "JWT", **({"kid": name} if name else {})}
    formats = (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    secrets = [RSA.public_key().public_bytes(Encoding.PEM, form) for form in formats]
    secrets += [json.dumps(public(RSA, "one")).encode(), b""]
    digest = hashlib.sha512 if algorithm.endswith("512") else hashlib.sha256
    for secret in secrets:
        signed = unsigned(header, claims, lambda text, key=secret: hmac.new(key, text, digest).digest())  # type: ignore[misc]
        assert found(server, signed)[0] == 401
    assert found(server, unsigned(header, claims))[0] == 401
    embedded = {**header, "jwk": public(OTHER, "one"), "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"}
    assert found(server, unsigned(embedded, claims))[0] == 401


def test_a_token_asks_streams_and_reads_passages(server: Running) -> None:
    headers = {"Authorization": f"Bearer {token(groups=['hr'])}"}
    hits = HTTP.post(f"{server.url}/api/search", json={"query": "pay band"}, headers=headers).json()["hits"]
    secret = next(hit for hit in hits if hit["source"] == "docs/secret/pay.md")
    path = secret["url"].partition("/passages/")[2]
    assert HTTP.get(f"{server.url}/passages/{path}", headers=headers).status_code == 200
    other = {"Authorization": f"Bearer {token()}"}
    assert HTTP.get(f"{server.url}/passages/{path}", headers=other).status_code == 404
    question = {"question": "What is the pay band of grade nine?"}
    assert "91,000" in HTTP.post(f"{server.url}/api/ask", json=question, headers=headers).text
    assert "91,000" not in HTTP.post(f"{server.url}/api/ask", json=question, headers=other).text


class Issuer:
    """A server with the keys of an issuer."""

    def __init__(self) -> None:
        self.body: Any = {"keys": [public(RSA, "one")]}
        self.status = 200
        self.fetches = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(json.dumps(issuer.body).encode())

            def log_message(self, *_: Any) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/keys"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.http.shutdown()
    started.http.server_close()


def test_new_keys_are_fetched_once_and_old_ones_last_a_while(
    serve: Serve, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(f'{TOML}jwks_url = "{issuer.url}"\njwks_seconds = 60\n')
    assert issuer.fetches == 0
    for _ in range(3):
        assert found(server, token())[0] == 200
    assert issuer.fetches == 1
    for at in range(5):  # names that the issuer does not have cause no fetch so soon
        assert found(server, token(OTHER, f"none {at}"))[0] == 401
    assert issuer.fetches == 1
    issuer.body = {"keys": [public(OTHER, "new")]}
    monkeypatch.setattr(tokens, "RETRY_SECONDS", 0.0)
    assert found(server, token(OTHER, "new"))[0] == 200
    assert found(server, token())[0] == 401
    issuer.status = 500
    monkeypatch.setattr(tokens, "REFRESH_SECONDS", 0.0)
    assert found(server, token(OTHER, "new"))[0] == 200
    age = tokens._age
    monkeypatch.setattr(tokens, "_age", lambda moment: age(moment) + 61)
    status, message = found(server, token(OTHER, "new"))
    assert (status, "cannot be reached" in message) == (503, True)


@pytest.mark.parametrize("body", [{}, [], {"keys": []}, {"keys": [{"kty": "oct", "k": "x"}]}, "x" * 10_000])
def test_an_issuer_without_keys_lets_nobody_in(serve: Serve, issuer: Issuer, body: Any) -> None:
    issuer.body = body
    server = serve(f'{TOML}jwks_url = "{issuer.url}"\n')
    assert found(server, token())[0] in (401, 503)
    assert found(server, None)[0] == 401


def test_settings_that_would_let_in_too_much_are_refused(tmp_path: Path) -> None:
    def load(toml: str) -> None:
        load_config(tmp_path / "groundtune.toml", text=f'name = "x"\n[serve]\n{toml}', environ={})

    with pytest.raises(ConfigError, match="only with an audience"):
        load(f'jwks_file = "keys.json"\nissuer = "{ISSUER}"')
    with pytest.raises(ConfigError, match="only with an issuer"):
        load('jwks_url = "https://login.example.com/keys"\naudience = "x"')
    with pytest.raises(ConfigError, match="by which keys"):
        load(f'issuer = "{ISSUER}"\naudience = "x"')
    with pytest.raises(ConfigError, match="both jwks_url and jwks_file"):
        load(f'jwks_file = "k"\njwks_url = "https://a.example.com"\nissuer = "{ISSUER}"\naudience = "x"')
    folder = write_project(
        tmp_path / "local", f'{TOML}jwks_url = "https://login.example.com/keys"\n[requirements]\nresidency = "local"\n'
    )
    with Project.open(folder) as project, pytest.raises(UsageError, match="does not allow a connection to login"):
        make_server(project, on_ready=print)
