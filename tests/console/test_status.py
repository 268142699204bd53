"""`linkgauge status`: what is wrong is found, and said first; nobody there is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from collector.http.tokens import issue
from console.demo.view import links_table
from console.main import app
from console.pipeline import glance
from console.status import find_troubles, reasons
from console.token import write_secret
from linkgauge.errors import LinkgaugeError
from tests.collector.running import Running
from tests.probes.authority import Authority
from tests.probes.tls_server import TlsServer

LOOK = "there look at `linkgauge outbox` and at the agent's log (`journalctl -u linkgauge-agent`)"


def link(name: str, verdict: str, **changed: Any) -> dict[str, Any]:
    src, dst = name.split("@")[0].split(">")
    stamp = {"sent": 100, "refused": 0}
    told = {"link": name, "verdict": verdict, "tags": {"src": src, "dst": dst}, "age_s": 3.0}
    return {**told, "probes": {"stamp": stamp}, **changed}


def told(**changed: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "links": [link("a>b@n", "met"), link("b>a@n", "unknown")],
        "agents": [{"agent": "a", "last_seen_s": 3.0}],
        "nodes": [],
        "alerts": [],
        "status": {
            "sinks": {"archive": {"trouble": None, "backlog_batches": 1}},
            "journal": {"fault": None},
            "inventory": {"fault": None},
            "tokens": {"fault": None},
        },
    }
    return {**good, **changed}


def test_all_is_well() -> None:
    assert find_troubles(told()) == []


def test_each_trouble_is_one_sentence() -> None:
    status = {
        "sinks": {"influxdb": {"trouble": "wrong password", "backlog_batches": 7}},
        "journal": {"fault": "the disk is full"},
        "inventory": {},
        "tokens": {},
    }
    links = [link(f"{n}>z@n", "missed") for n in "abcde"]
    links[2]["probes"] = {"stamp": {"sent": 100, "refused": 100}}
    links[3]["age_s"] = 300.0
    agents = [{"agent": "a", "last_seen_s": None}, {"agent": "b", "last_seen_s": 90.0}]
    alerts = [{"rule": "link-loss", "link": "a>z@n", "summary": "20 % lost"}]
    assert find_troubles(told(status=status, links=links, agents=agents, alerts=alerts)) == [
        "link-loss on a>z@n: 20 % lost",
        "5 links miss their objectives: a>z@n, b>z@n, c>z@n and 2 more",
        f"2 agents are silent: a, b; {LOOK}",
        "1 nodes refuse STAMP, their agents do not run or cannot bind the port (see their logs): z",
        "1 links are not measured though their agents report: d>z@n",
        "sink influxdb takes nothing, 7 batches wait: wrong password",
        "the disk is full",
    ]


def test_a_verdict_of_what_is_not_measured_any_more_says_how_old_it_is() -> None:
    known: dict[str, Any] = {"tags": {"tier": "metro"}, "rtt_p50_us": None, "received_bps": None}
    known |= {"loss_forward_ratio": 0.0, "loss_backward_ratio": 0.0}
    rows = [{**link("a>b@n", "met", age_s=age_s), **known} for age_s in (3.0, 427.0, None)]
    assert list(map(str, links_table(rows).columns[-1].cells)) == ["met", "met, 427 s ago", "met"]


def test_links_of_a_drill_are_no_trouble_while_it_plays() -> None:
    links = [link("a>b@n", "missed"), link("b>a@n", "missed")]
    node = {"down_ratio": 0.0, "maintenance": 0}
    nodes = [{"node": "a", **node, "drill": 0}, {"node": "b", **node, "drill": 1}]
    assert find_troubles(told(links=links, nodes=nodes)) == ["1 links miss their objectives: b>a@n"]


def test_what_cannot_have_been_heard_of_yet_is_no_trouble() -> None:
    """A collector that has just begun knows no agent; a link of a new plan waits for its time."""
    links = [link("a>b@n", "met", age_s=75.0), link("b>a@n", "unknown", age_s=None)]
    agents: list[dict[str, Any]] = [{"agent": "a", "last_seen_s": 3.0}, {"agent": "b", "last_seen_s": None}]

    def troubles(in_s: float | None, up_s: float, seen_s: float | None, age_s: float | None) -> list[str]:
        links[0]["age_s"], agents[1]["last_seen_s"] = age_s, seen_s
        status = {**told()["status"], "up_s": up_s, "inventory": {"takes_over_in_s": in_s}}
        return find_troubles(told(links=links, agents=agents, status=status))

    silent = f"1 agents are silent: b; {LOOK}"
    assert troubles(None, 14.0, None, 75.0) == []
    assert troubles(None, 14.0, 90.0, 75.0) == [silent]
    assert troubles(None, 61.0, None, 3.0) == [silent]
    assert troubles(35.0, 7200.0, None, 3.0) == troubles(-20.0, 7200.0, 3.0, 3.0) == []
    assert troubles(-61.0, 7200.0, 3.0, 3.0) == ["1 links are not measured though their agents report: b>a@n"]


def test_unknown_verdicts_have_reasons_and_flows_are_troubles() -> None:
    links = [link("a>b@n", "met"), link("b>a@n", "unknown"), link("a>z@n", "missed")]
    links[2] |= {
        "state": {"flows": 8, "flows_bad": 1, "flows_bad_loss_ratio": 1.0},
        "divergent": ["stamp"],
    }
    found = told(links=links, agents=[{"agent": "a", "last_seen_s": 3.0}])
    assert reasons(found) == {"b>a@n": ["agent b has never reported"]}
    assert find_troubles(found) == [
        "1 links miss their objectives: a>z@n",
        "a>z@n: 1 of 8 flows lose 100 %, the others do not",
        "a>z@n: stamp sees trouble, the others see none: something treats them apart",
    ]


def test_a_sick_pipeline_is_told_in_sentences() -> None:
    status: dict[str, Any] = {
        "sinks": {
            "archive": {"trouble": None, "backlog_batches": 9, "lag_s": 300.0, "alive": True},
            "influxdb": {"trouble": "wrong password", "backlog_batches": 7, "lag_s": 900.0, "alive": True},
            "rollup": {"trouble": None, "backlog_batches": 1, "lag_s": 3.0, "alive": False},
        },
        "journal": {"octets": 3_000_000, "dropped": 8, "dropped_lately": 5, "damaged": 1, "fault": None},
        "inventory": {},
        "tokens": {"fault": "tokens.yaml: cannot be read"},
        "certificate": {"days_left": 3.2, "fault": "the new pair cannot be used"},
        "rollups": {"due": 30, "oldest_s": 7200.0, "trouble": None, "alive": True},
        "agents": {"dropped": {"b": 4}},
        "counters": {"dead_letters:kept": 2.0, "faults_total:api": 1.0, "batches_refused_total:token": 6.0},
        "archive": {"head": "ab12", "trouble": "the disk is full"},
        "on_duty": False,
    }
    healthy = {"outbox_oldest_s": 5.0, "outbox_batches": 1, "upload_deferred": 0, "plan_age_s": 12.0}
    agents = [
        {
            "agent": "a",
            "last_seen_s": 1.0,
            "health": {**healthy, "outbox_oldest_s": 90.0, "outbox_batches": 8},
        },
        {"agent": "b", "last_seen_s": 1.0, "health": {**healthy, "upload_deferred": 3}},
        {"agent": "c", "last_seen_s": 1.0, "health": {**healthy, "plan_age_s": 700.0}},
        {"agent": "d", "last_seen_s": 1.0, "health": None},
    ]
    assert find_troubles(told(status=status, agents=agents)) == [
        "sink archive is behind, 9 batches wait, the oldest for 300 s",
        "sink influxdb takes nothing, 7 batches wait: wrong password",
        "sink rollup does not run, 1 batches wait: restart the collector",
        "5 batches fell to the journal's bounds since the collector began: some store lacks them",
        "the journal was damaged and moved aside 1 times; see the collector's log",
        "tokens.yaml: cannot be read",
        "the new pair cannot be used",
        "small files of the archive stay, and old ones too: the disk is full",
        "2 dead letters are kept; look with `linkgauge dead-letters`",
        "30 roll-ups are due, the oldest for 2.0 h",
        "the collector's certificate expires in 3 days: put a new one in its place",
        "1 unexpected faults since the collector began; its log has them",
        "1 agents cannot hand over, 8 batches wait there: a",
        "1 agents hold batches until clock, name or version is mended: b",
        "1 agents lost 4 batches since the collector began: b",
        "1 agents work by a plan older than 10 min: c",
    ]
    assert glance(status) == (
        "journal 3.0 MB, 8 dropped in its life; dead letters 2; roll-ups due 30; batches 0 taken, 6 refused; "
        "standby: the peer's verdicts count; certificate 3 days; archive ab12…"
    )


def test_whom_the_collector_refused_is_told_with_the_mend() -> None:
    one = {
        "who": "192.0.2.15",
        "node": "n05",
        "times": 3,
        "age_s": 2.0,
        "sentence": "issue it",
        "reason": "token",
    }
    others = [{**one, "who": f"agent:n{at}", "node": None} for at in range(6)]
    status = {**told()["status"], "refused": [one, *others]}
    troubles = find_troubles(told(status=status))
    assert troubles[0] == "192.0.2.15 (an address of n05) was refused 3 times, 2 s ago: issue it"
    assert troubles[1].startswith("agent:n0 was refused")
    assert troubles[-1] == "2 more were refused lately; see --json"


def test_it_shows_its_token_and_says_how_to_get_one(tmp_path: Path) -> None:
    def ask(*words: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(
            app, ["status", "--collector", url, *words], catch_exceptions=False, env=env, terminal_width=160
        )

    with Running(tmp_path, "read_access: token\n") as running:
        url = str(running.client.base_url)
        reader = tmp_path / "reader"
        write_secret(reader, issue(running.settings.tokens, "wall", "reader"))
        with pytest.raises(LinkgaugeError, match="it wants a reader's token"):
            ask()
        with pytest.raises(LinkgaugeError, match="this token is not a reader's"):
            ask(env={"LINKGAUGE_READ_TOKEN": running.token})
        shown = ask("--token-file", str(reader))
        assert shown.exit_code == 0  # it has just begun: nobody need have reported
        for words in ("not yet", "archive", "journal 0.0 MB", "roll-ups due 0"):
            assert words in shown.output
        told = json.loads(ask("--json", env={"LINKGAUGE_READ_TOKEN": reader.read_text().strip()}).output)
        assert told["status"]["sinks"]["archive"]["trouble"] is None
        reader.chmod(0o644)
        with pytest.raises(LinkgaugeError, match="chmod 600"):
            ask("--token-file", str(reader))


def test_nobody_answers() -> None:
    with pytest.raises(LinkgaugeError, match=r"http://127\.0\.0\.1:9: no collector answers there"):
        CliRunner().invoke(app, ["status", "--collector", "http://127.0.0.1:9"], catch_exceptions=False)


def test_plain_http_to_a_port_with_tls_is_told_as_such(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("collector", "/CN=collector")
    with TlsServer(issued) as server, pytest.raises(LinkgaugeError, match="is it https:// there"):
        CliRunner().invoke(
            app, ["status", "--collector", f"http://127.0.0.1:{server.port}"], catch_exceptions=False
        )


def test_a_certificate_that_is_not_trusted_is_told_as_such(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("collector", "/CN=collector")
    with TlsServer(issued) as server, pytest.raises(LinkgaugeError) as caught:
        CliRunner().invoke(
            app, ["status", "--collector", f"https://127.0.0.1:{server.port}"], catch_exceptions=False
        )
    assert "its certificate is not trusted here" in str(caught.value)
    assert "--ca-file" in str(caught.value)
    assert "start it" not in str(caught.value)
