"""`linkgauge status`: what is wrong is found, and said first; nobody there is one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from console.main import app
from console.status import find_troubles, reasons
from linkgauge.errors import LinkgaugeError


def link(name: str, verdict: str, **changed: Any) -> dict[str, Any]:
    src, dst = name.split("@")[0].split(">")
    stamp = {"sent": 100, "refused": 0}
    told = {"link": name, "verdict": verdict, "tags": {"src": src, "dst": dst}, "age_s": 3.0}
    return {**told, "probes": {"stamp": stamp}, **changed}


def told(**changed: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "links": [link("a>b@n", "met"), link("b>a@n", "unknown")],
        "agents": [{"agent": "a", "last_seen_s": 3.0}],
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
        "2 agents are silent: a, b",
        "1 nodes refuse STAMP, their agents do not run: z",
        "1 links are not measured though their agents report: d>z@n",
        "sink influxdb takes nothing, 7 batches wait: wrong password",
        "the disk is full",
    ]


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


def test_nobody_answers() -> None:
    with pytest.raises(LinkgaugeError, match=r"http://127\.0\.0\.1:9: no collector answers there"):
        CliRunner().invoke(app, ["status", "--collector", "http://127.0.0.1:9"], catch_exceptions=False)
