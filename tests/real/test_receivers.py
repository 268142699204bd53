"""Real agents, a real collector that is killed in between, real receivers: told once, and of the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from console.main import app
from console.token import write_secret
from linkgauge.model import Link
from tests.alerts.receivers.alertmanagers import PROGRAM, alertmanager
from tests.alerts.receivers.chat import SECRET, TOKEN, Chat, chatting
from tests.alerts.receivers.test_mail import Post, certificate, serving
from tests.alerts.server import Received, receiving
from tests.real.rig import Rig

LINK = Link("jinan-1", "guiyang-1", "backbone")
__all__ = ["certificate"]  # a fixture
ID = f"link-loss/{LINK}/forward"


def of_loss(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["status"] for body in bodies if body["id"] == ID]


def mails_of_loss(post: Post) -> list[EmailMessage]:
    return [mail for mail in post.mails if str(LINK) in mail["Subject"] and "Packet loss" in mail["Subject"]]


def all_taken(rig: Rig) -> bool:
    """Whether the collector knows that every receiver has taken what there was for it."""
    standing = {
        each["name"]: (each["waiting"], each["trouble"]) for each in rig.get("/v1/status")["receivers"]
    }
    assert set(standing) == {"demo", "ding", "mail", "noc"}
    return set(standing.values()) == {(0, None)}


class Told:
    """Four receivers, and what they heard of the loss."""

    def __init__(
        self, rig: Rig, hook: Received, chat: Chat, post: Post, others: list[dict[str, Any]]
    ) -> None:
        self.rig, self.hook, self.chat, self.post = rig, hook, chat, post
        write_secret(rig.folder / "ding-token", TOKEN)
        write_secret(rig.folder / "ding-secret", SECRET)
        ding = {"name": "ding", "kind": "dingtalk", "url": chat.url + "/robot/send", "max_per_minute": 20}
        ding |= {"token_file": "ding-token", "secret_file": "ding-secret"}
        config = rig.folder / "collector.yaml"
        told = yaml.safe_load(config.read_text())
        told["receivers"] = [ding, *others]
        config.write_text(yaml.safe_dump(told))

    def by_all(self, words: str) -> bool:
        chats = json.dumps(self.chat.taken)
        return (
            words in of_loss(self.hook.bodies)
            and f"PAGE {words}: Packet loss" in chats
            and len(mails_of_loss(self.post)) >= (1 if words == "firing" else 2)
        )


@pytest.mark.skipif(PROGRAM is None, reason="needs prometheus-alertmanager (deploy/prepare.sh)")
def test_a_loss_is_told_once_to_everybody_though_the_collector_is_killed(
    tmp_path: Path, certificate: Path
) -> None:
    post = Post()
    with (
        receiving() as hook, receiving() as pager, chatting(SECRET) as chat,
        serving(certificate, post, "none") as port, alertmanager(tmp_path / "am", pager.url) as there,
        Rig(tmp_path, webhook=hook.url) as rig,
    ):  # fmt: skip
        mail = {"name": "mail", "kind": "email", "host": "localhost", "port": port, "security": "none"}
        mail |= {"sender": "linkgauge@dc.example", "to": ["noc@dc.example"]}
        noc = {"name": "noc", "kind": "alertmanager", "urls": [there.url], "resend_s": 2}
        told = Told(rig, hook, chat, post, [mail, noc])
        rig.start_all()
        rig.wait(lambda: rig.accepted() == 12, "all links to be measured")
        began = datetime.now(UTC) - timedelta(minutes=1)
        rig.lose(LINK, 0.5)
        rig.wait(lambda: told.by_all("firing"), "the loss to be told")
        rig.wait(lambda: str(LINK) in there.alerts(), "Alertmanager to know")
        # what a receiver has and the collector does not know of yet is told again
        rig.wait(lambda: all_taken(rig), "the collector to know that all was taken")
        assert rig.collector is not None
        rig.kill(rig.collector)
        rig.start_collector()
        listed = CliRunner().invoke(app, ["alerts", "list", "--collector", rig.api, "--json"])
        assert listed.exit_code == 1
        assert ID in [alert["id"] for alert in json.loads(listed.stdout)]
        rig.mend()
        rig.wait(lambda: told.by_all("resolved"), "the end to be told")
        rig.wait(lambda: all_taken(rig), "no receiver to be in trouble")
        rig.wait(lambda: str(LINK) not in there.alerts(), "Alertmanager to end it")
        log = rig.log("collector")
        archive = rig.folder / "collector" / "archive"
        words = [
            "alerts",
            "backtest",
            "link-loss",
            "--from",
            f"{began:%Y-%m-%dT%H:%M}",
            "--archive",
            str(archive),
        ]
        tried = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert of_loss(hook.bodies) == ["firing", "resolved"]
    first, last = mails_of_loss(post)
    assert last["References"] == first["Message-ID"]
    assert (TOKEN in log, SECRET in log) == (False, False)
    fired = [(each["about"], each["direction"]) for each in tried["trials"][0]["firings"]]
    assert (str(LINK), "forward") in fired
