"""Publishing to a Grafana: a local HTTP server answers as Grafana's API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dashboards.publish import Grafana, publish
from dashboards.render import boards
from linkgauge.errors import LinkgaugeError

TOKEN = "glsa_secret-of-the-test"


class FakeGrafana(ThreadingHTTPServer):
    """Keeps folders and boards; `refuse` is a status and body for every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders: list[str] = []
        self.boards: dict[str, object] = {}
        self.refuse: tuple[int, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeGrafana

    def do_GET(self) -> None:
        known = self.path.rpartition("/")[2] in self.server.folders
        self._answer(*((200, '{"uid":"linkgauge"}') if known else (404, '{"message":"folder not found"}')))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/folders":
            self.server.folders.append(body["uid"])
            self._answer(200, '{"id":1,"uid":"linkgauge"}')
        elif self.path == "/api/dashboards/db" and body["folderUid"] in self.server.folders:
            assert body["overwrite"] is True
            uid = body["dashboard"]["uid"]
            self.server.boards[uid] = body["dashboard"]
            self._answer(200, json.dumps({"status": "success", "uid": uid, "url": f"/d/{uid}/x"}))
        else:
            self._answer(400, '{"message":"folder not found"}')

    def _answer(self, status: int, text: str) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, text = 401, '{"message":"Unauthorized"}'
        if self.server.refuse:
            status, text = self.server.refuse
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # the test's output stays quiet
        return


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with FakeGrafana() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_makes_the_folder_and_puts_the_boards(fake: FakeGrafana) -> None:
    assert publish(Grafana(fake.url, TOKEN), boards()) == ["/d/linkgauge-overview/x"]
    assert fake.folders == ["linkgauge"]
    assert fake.boards == {"linkgauge-overview": json.loads(json.dumps(boards()["overview"]))}


def test_a_second_time_replaces(fake: FakeGrafana) -> None:
    publish(Grafana(fake.url + "/", TOKEN), boards())
    publish(Grafana(fake.url, TOKEN), {"overview": {**boards()["overview"], "title": "new"}})
    assert fake.folders == ["linkgauge"]
    board = fake.boards["linkgauge-overview"]
    assert isinstance(board, dict)
    assert board["title"] == "new"


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, '{"message":"Unauthorized"}', "401, saying 'Unauthorized'; check the token's rights"),
        (401, '{"message":"Invalid API key"}', "did not answer as it should: Invalid API key; check it"),
        (403, "no", "403, saying 'no'; check the token's rights"),
        (500, "{}", "500, saying 'nothing'; see Grafana's log"),
        (200, "[]", "answers, but not as Grafana does; check the address"),
        (200, "3", "answers, but not as Grafana does; check the address"),
    ],
)
def test_refusals_are_one_sentence(fake: FakeGrafana, status: int, body: str, sentence: str) -> None:
    fake.refuse = (status, body)
    with pytest.raises(LinkgaugeError) as caught:
        publish(Grafana(fake.url, TOKEN), boards())
    assert str(caught.value).endswith(sentence)
    assert fake.url in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_nobody_answers(fake: FakeGrafana) -> None:
    url = fake.url
    fake.server_close()
    with pytest.raises(LinkgaugeError, match=f"^Grafana at {url} did not answer as it should: "):
        publish(Grafana(url, TOKEN, timeout_s=2), boards())


def test_the_token_is_never_printed() -> None:
    assert TOKEN not in repr(Grafana("http://127.0.0.1:1", TOKEN))
