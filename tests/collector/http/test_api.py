"""The HTTP interface: what it answers, refuses and tells."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from collector.http.tokens import issue
from collector.sinks.archive_reader import ArchiveReader
from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from linkgauge.inventory import Inventory, load
from linkgauge.plan import decode_plan
from tests.collector.running import LINKS, Running, now_ns, report, running
from tests.collector.world import INVENTORY, body, until, windows, write_inventory

__all__ = ["running"]


def test_a_batch_goes_all_the_way(running: Running) -> None:
    data = report(1)
    assert running.post(gzip.compress(data), **{"Content-Encoding": "gzip"}).json() == {"duplicate": False}
    assert running.post(data).json() == {"duplicate": True}
    link = running.client.get(f"/v1/links/{quote(LINKS[0], safe='')}").json()
    assert (link["link"], link["rtt_p50_us"]) == (LINKS[0], 300.0)
    links = running.client.get("/v1/links", params={"site": "guiyang", "network": "private"}).json()
    assert [found["link"] for found in links] == ["j1>g1@private", "g1>j1@private"]
    agents = {agent["agent"]: agent for agent in running.client.get("/v1/agents").json()}
    assert agents["j1"]["boot"] == "boot1"
    reader = ArchiveReader(running.settings.archive_path)
    until(lambda: len(reader.keys("window")) == 3)
    until(lambda: len(reader.keys("state")) >= 8)
    reader.close()
    assert running.client.get("/v1/links", params={"verdict": "missed"}).json() == []
    assert len(running.client.get("/v1/links", params={"verdict": "met"}).json()) == 8
    told, asked = list[str](), "/v1/links?limit=3"
    while asked:
        page = running.client.get(asked)
        told += [link["link"] for link in page.json()]
        asked = page.links.get("next", {}).get("url", "")
    assert told == [str(link) for link in running.collector.live._inventory().links]
    assert running.client.get("/v1/links?limit=0").status_code == 422


def test_status_metrics_health_alerts_and_docs(running: Running) -> None:
    running.post(report(1))
    running.post(b"garbage")
    status = running.client.get("/v1/status").json()
    assert status["counters"]["batches_refused_total:malformed"] == 1
    assert status["sinks"]["archive"]["trouble"] is None
    text = running.client.get("/metrics").text
    assert 'linkgauge_collector_batches_refused_total{reason="malformed"} 1.0' in text
    assert 'linkgauge_collector_batches_refused_total{reason="future"} 0.0' in text
    assert 'linkgauge_collector_sink_backlog_batches{sink="archive"}' in text
    assert 'linkgauge_agent_fit{agent="j1"} 1.0' in text
    assert "linkgauge_agent" not in running.client.get("/metrics", params={"agents": False}).text
    assert (running.client.get("/healthz").status_code, running.client.get("/healthz").text) == (200, "ok")
    assert running.client.get("/v1/alerts").json() == []
    page = running.client.get("/docs")
    assert page.status_code == 200
    assert "POST /v1/batches" in page.text
    assert "<script" not in page.text
    assert "/v1/batches" in running.client.get("/openapi.json").json()["paths"]


def test_refusals_over_http(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    other = issue(running.settings.tokens, "g1")
    at_ns = now_ns()
    cases = [
        (running.post(report(1), token="wrong"), 401, "token"),
        (running.client.post("/v1/batches", content=report(1)), 401, "token"),
        (running.post(report(1), token=other), 403, "wrong_agent"),
        (
            running.post(body("j1", 1, windows(["g1>j1@backbone"], at_ns), created_ns=at_ns)),
            403,
            "wrong_agent",
        ),
        (running.post(report(1)[:-1]), 400, "malformed"),
        (running.post(report(1, at_ns + 120 * NS_PER_S)), 409, "future"),
        (running.post(bytes(200_001)), 413, "too_large"),
        (running.post(gzip.compress(bytes(10**7)), **{"Content-Encoding": "gzip"}), 413, "too_large"),
        (running.post(report(1), **{"Content-Encoding": "br"}), 415, "encoding"),
    ]
    for reply, status, reason in cases:
        assert (reply.status_code, reply.json()["reason"]) == (status, reason)
        assert reply.json()["error"]
    assert cases[0][0].headers["WWW-Authenticate"] == "Bearer"
    assert running.client.get("/v1/links/nonsense").json()["reason"] == "unknown_link"
    assert running.client.get("/nowhere").json() == {"reason": "http", "error": "Not Found"}
    assert running.token not in caplog.text
    assert other not in caplog.text


def test_too_much_at_once_is_asked_to_come_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.http.allowance.AT_ONCE", 0)
    monkeypatch.setattr("collector.http.allowance.WAIT_S", 0.05)
    reply = running.post(report(1))
    assert (reply.status_code, reply.json()["reason"]) == (503, "busy")
    assert int(reply.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert running.post(report(1)).status_code == 200


def test_the_plan_has_a_tag_and_follows_the_inventory(running: Running) -> None:
    headers = {"Authorization": f"Bearer {running.token}"}
    first = running.client.get("/v1/plan", headers=headers)
    assert decode_plan(first.content).agent == "j1"
    assert "max-age" in first.headers["Cache-Control"]
    same = running.client.get("/v1/plan", headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    text = running.settings.inventory.read_text().replace("10.0.0.2", "10.0.0.22")
    running.settings.inventory.write_text(text)
    known = {**headers, "If-None-Match": first.headers["ETag"]}
    until(lambda: running.client.get("/v1/plan", headers=known).status_code == 200)
    assert running.client.get("/v1/plan").status_code == 401
    stranger = issue(running.settings.tokens, "x1")
    reply = running.client.get("/v1/plan", headers={"Authorization": f"Bearer {stranger}"})
    assert (reply.status_code, reply.json()["reason"]) == (404, "unknown_agent")


def test_nobody_waits_while_a_batch_waits_for_a_changed_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> Inventory:
        began.set()
        assert go_on.wait(120)
        return load(path)

    with Running(tmp_path, patience_s=120) as running, ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("collector.plans.plan_book.load", slow)
        write_inventory(tmp_path, INVENTORY + "\n")
        posted = pool.submit(running.post, report(1))
        assert began.wait(60)
        try:
            assert running.client.get("/healthz").text == "ok"
        finally:
            go_on.set()
        assert posted.result(60).json() == {"duplicate": False}


def test_a_full_journal_answers_507_and_recovers(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise StoreError("journal.sqlite: no room; make room on its disk")

    assert running.post(report(1)).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr("collector.journal.journal.Journal.append", full)
        reply = running.post(report(2))
        assert (reply.status_code, reply.json()["reason"]) == (507, "store")
        assert "make room" in reply.json()["error"]
        assert "Retry-After" in reply.headers

        def told() -> bool:
            """Not yet, where a report of the collector's own was under way and was written all the same."""
            assert running.post(report(2)).status_code == 507
            health = running.client.get("/healthz")
            return health.status_code == 503 and "journal.sqlite" in health.text

        until(told)
    assert running.post(report(2)).status_code == 200
    assert running.client.get("/healthz").status_code == 200


READS = (
    "/v1/links",
    "/v1/links/x",
    "/v1/agents",
    "/v1/nodes",
    "/v1/alerts",
    "/v1/status",
    "/metrics",
    "/docs",
    "/openapi.json",
)


def test_reads_need_the_token_of_a_reader_where_they_are_not_open(tmp_path: Path) -> None:
    with Running(tmp_path, "read_access: token\n") as running:
        reader = {"Authorization": f"Bearer {issue(running.settings.tokens, 'wall', 'reader')}"}
        agent = {"Authorization": f"Bearer {running.token}"}
        for path in READS:
            stranger = running.client.get(path)
            assert (stranger.status_code, stranger.json()["reason"]) == (401, "token")
            assert stranger.headers["WWW-Authenticate"] == "Bearer"
            assert running.client.get(path, headers=agent).status_code == 403
            assert running.client.get(path, headers=reader).status_code == (
                404 if path.endswith("/x") else 200
            )
        assert running.client.get("/healthz").text == "ok"

        def told(headers: dict[str, str]) -> str:
            """Anew each time: what the collector reports of itself, when it is written, ends the fault."""
            running.collector.intake.fault = "the disk at /secret/place is full"
            return running.client.get("/healthz", headers=headers).text

        until(lambda: "/secret/place" in told(reader))
        until(lambda: told({}) != "ok")
        assert "/secret" not in told({})
        assert running.client.get("/v1/plan", headers=reader).status_code == 403
        assert running.post(report(1)).status_code == 200
        assert running.post(report(2), token=reader["Authorization"].split()[1]).status_code == 403


def test_a_token_is_rotated_without_a_gap_and_a_removed_node_is_told(running: Running) -> None:
    old = running.token
    new = issue(running.settings.tokens, "j1")
    assert [running.post(report(n), token=t).status_code for n, t in ((1, old), (2, new), (3, old))] == [
        200
    ] * 3
    newest = issue(running.settings.tokens, "j1", only=True)
    assert [running.post(report(4), token=t).status_code for t in (old, new, newest)] == [401, 401, 200]
    gone = issue(running.settings.tokens, "x1")
    reply = running.post(report(1), token=gone)
    assert (reply.status_code, reply.json()["reason"]) == (403, "unknown_agent")
    assert "x1 is not in the inventory" in reply.json()["error"]


def test_who_was_refused_is_told_in_the_status(running: Running) -> None:
    other = issue(running.settings.tokens, "g1")
    for _ in range(2):
        assert running.post(report(1), token=other).status_code == 403
    assert running.post(report(1), token="wrong").status_code == 401
    told = running.client.get("/v1/status").json()["refused"]
    assert [(each["who"], each["reason"], each["times"]) for each in told] == [
        ("127.0.0.1", "token", 1),
        ("agent:g1", "wrong_agent", 2),
    ]
    assert "its token is that of g1" in told[1]["sentence"]


def test_a_fault_of_ours_is_an_answer_and_counted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> tuple[int, None]:
        raise StoreError("journal.sqlite: cannot be read; look at its disk")

    with monkeypatch.context() as patch:
        patch.setattr("collector.journal.journal.Journal.backlog", unreadable)
        told = running.client.get("/v1/status")
        assert (told.status_code, told.json()["reason"]) == (503, "store")
        assert running.client.get("/metrics").status_code == 200
    monkeypatch.setattr(running.collector.live, "agents", lambda _now_ns: 1 / 0)
    reply = running.client.get("/v1/agents")
    assert (reply.status_code, reply.json()["reason"]) == (500, "fault")
    assert running.collector.metrics.values()["faults_total:api"] == 1
