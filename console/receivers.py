"""Receivers of alerts, made of the collector's settings."""

from __future__ import annotations

from alerts.receivers.alertmanager import Alertmanager
from alerts.receivers.dingtalk import DingTalk
from alerts.receivers.feishu import Feishu
from alerts.receivers.mail import Mail, MailServer
from alerts.receivers.message import Links
from alerts.receivers.receiver import Policy, Receiver
from alerts.receivers.robot import Robot
from alerts.receivers.webhook import Webhook
from alerts.receivers.wecom import WeCom
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


def receivers_of(settings: Settings, clock: Clock, only: str | None = None) -> list[Receiver]:
    """All of them, or the one of that name; raises ConfigError when one has no usable address or secret."""
    links = Links(settings.runbook_url or "", settings.grafana_url or "")
    made: list[Receiver] = []
    for hook in settings.webhooks:
        if only not in (None, hook.name):
            continue
        hook.token()
        made.append(Webhook(hook.name, hook.url, hook.token))
    for each in settings.receivers:
        if only not in (None, each.name):
            continue
        for secret in each.secrets():
            secret()
        made.append(_receiver(each, clock, links))
    return made


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
