"""Signing in with Hugging Face: Gradio's own OAuth routes, against a small OpenID provider on this machine.

All but the hub is real: Gradio's login button, its routes and its signed session, authlib, our routes behind them. The
provider does what the hub does by the standard; what the hub does beyond it is not tested here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ugsd_core.annotations.identity import add_user
from ugsd_core.annotations.store import open_store
from ugsd_core.errors import OptionError
from ui.annotation.opening import open_annotations
from ui.annotation.routes import annotation_routes

CLIENT = "the-space"
#: Each request of the test client has an event loop of its own, and authlib leaves a connection open in it.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Provider(ThreadingHTTPServer):
    """Names its keys and gives a signed token to whoever brings a code; the code is the person's name and the nonce."""

    def __init__(self) -> None:
        from joserfc.jwk import RSAKey

        super().__init__(("127.0.0.1", 0), _Answers)
        self.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = self.server.url
        if self.path.startswith("/.well-known"):
            places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            told = {name: url + path for name, path in places.items()}
            self._say({"issuer": url, "id_token_signing_alg_values_supported": ["RS256"], **told})
        else:
            self._say({"keys": [self.server.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        from joserfc import jwt

        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        name, nonce = form["code"][0].split("/")
        now = int(time.time())
        claims = {
            "iss": self.server.url, "aud": CLIENT, "sub": name, "iat": now, "exp": now + 600, "nonce": nonce,
            "preferred_username": name, "name": name.title(),
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.server.key)
        self._say({"access_token": "secret", "token_type": "bearer", "expires_in": 600, "id_token": signed})

    def _say(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Provider]:
    """What a Space with ``hf_oauth: true`` gives the page."""
    for package in ("authlib", "itsdangerous", "joserfc"):
        pytest.importorskip(package, reason="gradio[oauth] is not installed")
    import gradio.oauth

    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    given = {
        "OAUTH_CLIENT_ID": CLIENT, "OAUTH_CLIENT_SECRET": "hush", "OAUTH_SCOPES": "openid profile",
        "OPENID_PROVIDER_URL": provider.url,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(gradio.oauth, name, value)
    monkeypatch.setenv("SPACE_ID", "team/page")
    monkeypatch.setenv("SPACE_HOST", "page.example")
    monkeypatch.setattr(gradio.oauth, "get_space", lambda: "team/page")
    with open_store(tmp_path / "store.db") as store:
        add_user(store, "ann", "annotator", None)
        add_user(store, "rae", "reviewer", None)
    yield provider
    provider.shutdown()
    provider.server_close()
    asyncio.set_event_loop(None)  # Gradio makes a loop for each of its locks and leaves the last one in place
    gc.collect()  # while such warnings are off


@contextmanager
def page(folder: Path) -> Iterator[Any]:
    """The tab alone on a page, as Gradio serves it."""
    import gradio as gr
    from gradio.routes import App
    from starlette.testclient import TestClient

    from ui.annotate import build_annotate_tab

    with ExitStack() as ending:
        annotating = open_annotations(str(folder / "store.db"), "oauth", ending=ending)
        with gr.Blocks() as blocks:
            build_annotate_tab(annotating)
        app = App.create_app(blocks, app_kwargs={"routes": annotation_routes(annotating)})
        client = TestClient(
            app, base_url="https://page.example", headers={"X-UGSD-Annotate": "1"}, follow_redirects=False
        )
        yield ending.enter_context(client)


def come_in(client: Any, provider: Provider, name: str) -> None:
    """What a browser does: to the provider, and back with a code."""
    sent = urlsplit(client.get("/login/huggingface").headers["location"])
    assert f"{sent.scheme}://{sent.netloc}" == provider.url
    asked = {key: values[0] for key, values in parse_qs(sent.query).items()}
    assert asked["redirect_uri"].startswith("https://page.example/login/callback")
    query = {"code": f"{name}/{asked['nonce']}", "state": asked["state"], "_target_url": "/"}
    back = client.get("/login/callback", params=query)
    assert back.is_redirect and back.headers["location"] == "/", back.text


def test_whom_the_hub_signs_in_is_let_in_with_the_role_of_the_table(space: Provider, tmp_path: Path) -> None:
    with page(tmp_path) as client:
        told = client.get("/annotate/session").json()
        assert (told["user"], told["why"], told["way"]) == (None, None, "oauth")
        assert client.get("/annotate/work?campaign=voices").status_code == 401
        come_in(client, space, "ann")
        assert client.get("/annotate/session").json()["user"] == {"name": "ann", "role": "annotator"}
        body = {"user": "rae", "events": []}
        assert client.post("/annotate/events", json=body).status_code == 401, "no name that the browser sends counts"
        assert client.get("/annotate/review?campaign=voices").status_code == 403
        client.get("/logout")
        assert client.get("/annotate/session").json()["user"] is None
        come_in(client, space, "rae")
        assert client.get("/annotate/session").json()["user"]["role"] == "reviewer"
        password = client.post("/annotate/sign-in", json={"name": "rae", "password": "guess"})
        assert password.status_code == 403, "there is one way in"


def test_a_stranger_is_told_why_and_a_session_ends(
    space: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with page(tmp_path) as client:
        come_in(client, space, "mallory")
        told = client.get("/annotate/session", headers={"Accept-Language": "zh"}).json()
        assert told["user"] is None and told["why"]["message"].startswith("mallory 已用 Hugging Face 登录")
        come_in(client, space, "ann")
        now = time.time()
        monkeypatch.setattr("ui.annotation.routes.time.time", lambda: now + 700)
        assert client.get("/annotate/session").json()["user"] is None


def test_a_session_that_somebody_made_up_is_worth_nothing(space: Provider, tmp_path: Path) -> None:
    with page(tmp_path) as client:
        come_in(client, space, "ann")
        body, rest = client.cookies["session"].split(".", 1)
        client.cookies.clear()
        client.cookies.set("session", body[:-4] + "AAAA." + rest)
        assert client.get("/annotate/session").json()["user"] is None


def test_elsewhere_than_on_a_space_it_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SPACE_ID", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as ending, pytest.raises(OptionError, match="on a Hugging Face Space"):
        open_annotations(str(tmp_path / "s.db"), "oauth", ending=ending)
    monkeypatch.setenv("SPACE_ID", "team/page")
    with ExitStack() as ending, pytest.raises(OptionError, match="hf_oauth: true"):
        open_annotations(str(tmp_path / "s.db"), "oauth", ending=ending)
    assert not (tmp_path / "s.db").exists()
