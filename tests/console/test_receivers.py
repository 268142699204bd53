"""Receivers made of settings: each kind, its policy, its secrets; what /metrics and status say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alerts.receivers.receiver import Policy
from collector.health.metrics import Metrics
from collector.health.receiver_metrics import watch_receivers
from collector.settings import Settings
from console.pipeline import troubles
from console.receivers import receivers_of
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError, SinkBusy
from tests.alerts.notices import body
from tests.alerts.receivers.chat import SECRET, TOKEN, chatting

LEAST = "inventory: inventory.yaml\ndata_dir: data\ntokens: tokens.yaml\n"
ALL = """
webhooks: [{name: old, url: "http://127.0.0.1:9/"}]
runbook_url: https://docs.example/runbooks/
grafana_url: https://grafana.example
receivers:
  - {name: hook, kind: webhook, url: "http://127.0.0.1:9/", max_per_minute: 30, severities: [page]}
  - {name: noc, kind: alertmanager, urls: ["http://127.0.0.1:9", "http://127.0.0.1:19"], resend_s: 30}
  - {name: mail, kind: email, host: localhost, security: none, sender: a@b.example, to: [c@d.example]}
  - {name: ding, kind: dingtalk, token_file: token, secret_file: secret, drills: true}
  - {name: work, kind: wecom, token_file: token, teams: [core]}
  - {name: fly, kind: feishu, token_file: token, max_per_minute: 60}
"""


def load(folder: Path, text: str) -> Settings:
    for name, words in (("token", TOKEN), ("secret", SECRET)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(words)
    (folder / "collector.yaml").write_text(LEAST + text)
    return Settings.load(folder / "collector.yaml")


def test_each_kind_is_made_with_its_policy(tmp_path: Path) -> None:
    made = receivers_of(load(tmp_path, ALL), SystemClock())
    assert {each.name: (each.kind, each.policy) for each in made} == {
        "old": ("webhook", Policy()),
        "hook": ("webhook", Policy(("page",), max_per_minute=30)),
        "noc": ("alertmanager", Policy(gathers=True, resend_s=30)),
        "mail": ("email", Policy(max_per_minute=20)),
        "ding": ("dingtalk", Policy(drills=True, max_per_minute=20)),
        "work": ("wecom", Policy(teams=("core",), max_per_minute=20)),
        "fly": ("feishu", Policy(max_per_minute=60)),
    }
    for each in made:
        each.close()


def test_secrets_come_from_file_or_environment_and_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chatting(SECRET) as chat:
        where = f"url: '{chat.url}/robot/send', token_file: token"
        text = f"receivers: [{{name: my-ding, kind: dingtalk, {where}}}]\n"
        monkeypatch.setenv("LINKGAUGE_RECEIVER_MY_DING_SECRET", SECRET)
        (made,) = receivers_of(load(tmp_path, text), SystemClock())
        made.deliver([body()])
        chat.token = "another"
        with pytest.raises(SinkBusy, match="code 300005"):
            made.deliver([body()])
        (tmp_path / "token").write_text("another")
        made.deliver([body()])
        made.close()
    assert len(chat.taken) == 2


def test_a_missing_secret_is_told_at_the_start(tmp_path: Path) -> None:
    wanted = "receiver a-b: has no token; name token_file or set LINKGAUGE_RECEIVER_A_B_TOKEN"
    with pytest.raises(ConfigError, match=wanted):
        receivers_of(load(tmp_path, "receivers: [{name: a-b, kind: wecom}]\n"), SystemClock())
    settings = load(tmp_path, "receivers: [{name: a, kind: feishu, token_file: nowhere}]\n")
    with pytest.raises(ConfigError, match="nowhere: there is no such file"):
        receivers_of(settings, SystemClock())


EMAIL = "{name: a, kind: email, host: h, sender: a@b, to: [c@d]}"


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        ("{name: a, kind: sms}", "[0]: kind must be one of webhook, alertmanager, email, dingtalk, wecom"),
        ("{name: a}", "receivers[0]: kind must be one of"),
        ("{name: a, kind: webhook}", "receivers[0].url: this key is missing; add it"),
        ("{name: a, kind: alertmanager, urls: []}", "receivers[0].urls: "),
        ("{name: a, kind: alertmanager, urls: ['http://h/api/v2/alerts']}", "the address before /api/"),
        ("{name: a, kind: wecom, severities: [warn]}", "input should be 'page' or 'ticket', got 'warn'"),
        ("{name: a, kind: wecom, max_per_minute: 21}", "less than or equal to 20, got 21"),
        ("{name: a, kind: wecom, secret_file: s}", "receivers[0].secret_file: there is no such key"),
        (EMAIL.replace("c@d", "x"), "to[0]: must be one e-mail address, name@domain, got 'x'"),
        (EMAIL.replace("}", ", security: none, user: u}"), "a password goes only over TLS; set security to"),
        (EMAIL.replace("}", ", password_file: p}"), "password_file goes with user; name both or none"),
    ],
)  # fmt: skip
def test_each_fault_has_a_sentence(tmp_path: Path, receiver: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"receivers: [{receiver}]\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://oapi.dingtalk.com/robot/send?access_token=sesame",
        "https://x.example/open-apis/bot/v2/hook/sesame",
    ],
)
def test_a_token_in_an_address_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="must not hold the robot's token; put that into a file") as caught:
        load(tmp_path, f"receivers: [{{name: a, kind: feishu, url: '{url}'}}]\n")
    assert "sesame" not in str(caught.value)


def test_names_are_of_one_receiver_each(tmp_path: Path) -> None:
    text = "webhooks: [{name: a, url: 'http://x'}]\nreceivers: [{name: a, kind: wecom}]\n"
    with pytest.raises(ConfigError, match="webhooks and receivers must have different names"):
        load(tmp_path, text)


def standing(**changes: Any) -> dict[str, Any]:
    counts = {"waiting": 0, "delivered": 5, "given_up": 1, "dropped": 0, "digested": 2, "passed_by": 3}
    return {"name": "ops", "kind": "wecom", **counts, "trouble": None, "trouble_since": None, **changes}


def test_metrics_tell_each_receiver() -> None:
    metrics, unread = (
        Metrics(),
        dict.fromkeys(("waiting", "delivered", "given_up", "dropped", "digested", "passed_by")),
    )
    watch_receivers(metrics, lambda: [standing(trouble="no"), standing(name="two", **unread)])
    told = metrics.exposition().decode()
    for line in (
        'linkgauge_collector_notices_delivered_total{receiver="ops"} 5.0',
        'linkgauge_collector_notices_waiting{receiver="ops"} 0.0',
        'linkgauge_collector_notices_given_up_total{receiver="ops"} 1.0',
        'linkgauge_collector_notices_digested_total{receiver="ops"} 2.0',
        'linkgauge_collector_notices_passed_by_total{receiver="ops"} 3.0',
        'linkgauge_collector_notices_dropped_total{receiver="ops"} 0.0',
        'linkgauge_collector_receiver_troubled{receiver="ops"} 1.0',
        'linkgauge_collector_receiver_troubled{receiver="two"} 0.0',
    ):
        assert line in told
    assert 'delivered_total{receiver="two"}' not in told


def test_status_says_when_a_receiver_takes_nothing() -> None:
    since = "2025-11-21T12:03:00.000Z"
    status = {
        "receivers": [
            standing(),
            standing(waiting=7, trouble="wecom ops: no answer", trouble_since=since),
            standing(trouble="one peer is away"),
            standing(dropped=4),
        ]
    }
    assert troubles(status, []) == [
        "receiver ops takes nothing since 2025-11-21 12:03:00 UTC, "
        "7 notices of alerts wait: wecom ops: no answer",
        "receiver ops is in trouble: one peer is away",
        "receiver ops missed 4 notices that fell to the bound on what waits",
    ]
