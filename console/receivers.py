"""Receivers of alerts, made of the collector's settings, and how they stand for /metrics and /v1/status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from alerts.book import OUTCOMES
from alerts.receivers.alertmanager import Alertmanager
from alerts.receivers.dingtalk import DingTalk
from alerts.receivers.feishu import Feishu
from alerts.receivers.mail import Mail, MailServer
from alerts.receivers.message import Links
from alerts.receivers.receiver import Policy, Receiver
from alerts.receivers.robot import Robot
from alerts.receivers.webhook import Webhook
from alerts.receivers.wecom import WeCom
from collector.health.metrics import Metrics
from collector.receiver_settings import (
    AlertmanagerReceiver,
    DingTalkReceiver,
    EmailReceiver,
    FeishuReceiver,
    ReceiverSettings,
    WebhookReceiver,
    WeComReceiver,
)
from collector.settings import Settings
from linkgauge.clock import Clock


def receivers_of(settings: Settings, clock: Clock) -> list[Receiver]:
    """All of them; raises ConfigError when one has no usable address or secret."""
    links = Links(settings.runbook_url or "", settings.grafana_url or "")
    made: list[Receiver] = []
    for hook in settings.webhooks:
        hook.token()
        made.append(Webhook(hook.name, hook.url, hook.token))
    for each in settings.receivers:
        for secret in each.secrets():
            secret()
        made.append(_receiver(each, clock, links))
    return made


def watch(metrics: Metrics, standing: Callable[[], Sequence[dict[str, Any]]]) -> None:
    """Adds what /metrics tells of each receiver: notices by outcome, and whether it is in trouble."""
    for outcome in OUTCOMES:

        def read(outcome: str = outcome) -> Iterable[tuple[str, float]]:
            return [(each["name"], float(each[outcome])) for each in standing() if each[outcome] is not None]

        ending = "" if outcome == "waiting" else "_total"
        metrics.watch(f"alerts_{outcome}{ending}", _TEXTS[outcome], "receiver", read)
    metrics.watch(
        "alerts_receiver_trouble",
        "1: the receiver did not take its last message, or part of it; /v1/status says why.",
        "receiver",
        lambda: [(each["name"], float(each["trouble"] is not None)) for each in standing()],
    )


_TEXTS = {
    "delivered": "Notices that the receiver took.",
    "waiting": "Notices that the receiver has yet to take.",
    "given_up": "Notices that the receiver refused for good.",
    "dropped": "Notices that fell to the bound on what waits.",
    "digested": "Notices delivered together with others, because of max_per_minute.",
    "passed_by": "Notices that the receiver's filters left out.",
}


def _receiver(told: ReceiverSettings, clock: Clock, links: Links) -> Receiver:
    if isinstance(told, WebhookReceiver):
        return Webhook(told.name, told.url, told.token(), _policy(told), ca_file=told.ca_file)
    if isinstance(told, AlertmanagerReceiver):
        policy = _policy(told, gathers=True, resend_s=told.resend_s)
        return Alertmanager(told.name, told.urls, clock, links, told.token(), policy, ca_file=told.ca_file)
    if isinstance(told, EmailReceiver):
        server = MailServer(told.host, told.at_port, told.security, told.user, told.ca_file)
        return Mail(told.name, server, told.sender, told.to, clock, links, told.password(), _policy(told))
    return _robot(told, clock, links)


def _robot(told: DingTalkReceiver | WeComReceiver | FeishuReceiver, clock: Clock, links: Links) -> Robot:
    policy, url, ca_file = _policy(told), told.url, told.ca_file
    if isinstance(told, WeComReceiver):
        return Robot(told.name, WeCom(), clock, links, told.token(), policy=policy, url=url, ca_file=ca_file)
    dialect = DingTalk() if isinstance(told, DingTalkReceiver) else Feishu()
    return Robot(told.name, dialect, clock, links, told.token(), told.secret(), policy, url, ca_file=ca_file)


def _policy(told: ReceiverSettings, gathers: bool = False, resend_s: float | None = None) -> Policy:
    limit = None if isinstance(told, AlertmanagerReceiver) else told.max_per_minute
    return Policy(told.severities, told.teams, told.drills, limit, gathers, resend_s)
