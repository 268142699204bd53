"""Notices to Prometheus Alertmanager: POST /api/v2/alerts, to every peer of its cluster.

An alert is known by its labels: those of ours and `alertname`, the rule. `startsAt` is since when, and never
later than `endsAt`, which Alertmanager refuses: a clock that is set back makes that. `endsAt`
of one that fires lies RESENDS times `resend_s` ahead and moves on each time that it is told again, whatever
resolve_timeout Alertmanager has: so it goes on while we live and ends when we do not. Of one that is over
`endsAt` is when it ended. It is told again for a quarter of an hour, because Alertmanager keeps alerts in
memory and a peer may have been away. `generatorURL` is the board. Annotations: summary, title, place, id,
runbook_url, first_steps. A team that is told later has an alert of its own; those of the others stay as they
are.

Peers do not tell each other of alerts, so each is told. It counts as told when one of them took it; who did
not is named in `trouble`, and gets it with the next round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec

from alerts.event import rfc3339
from alerts.receivers.message import Links
from alerts.receivers.post import TIMEOUT_S, Post, address
from alerts.receivers.receiver import Policy, Secret, no_secret
from alerts.receivers.told import Told
from alerts.receivers.webhook import bearer
from alerts.roll.audience import teams
from linkgauge.clock import Clock, seconds
from linkgauge.errors import SinkBusy, SinkRejected

PATH = "/api/v2/alerts"
RESENDS = 5
"""Rounds that may fail before Alertmanager ends an alert by itself."""
RESEND_S = timedelta(minutes=1).total_seconds()


@dataclass(slots=True)
class _Peer:
    """One Alertmanager of the cluster. failed: it did not take the last message."""

    url: httpx.URL
    post: Post
    failed: bool = False


class Alertmanager:
    """All peers of one Alertmanager. policy.resend_s must be set. For one thread at a time."""

    kind = "alertmanager"

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        clock: Clock,
        links: Links,
        token: Secret = no_secret,
        policy: Policy | None = None,
        timeout_s: float = TIMEOUT_S,
        ca_file: Path | None = None,
    ) -> None:
        """Raises ConfigError for what is no http(s) address."""
        who = f"alertmanager {name}"
        self.name, self._clock, self._links, self._token = name, clock, links, token
        self.policy = policy or Policy(gathers=True, resend_s=RESEND_S)
        self._lasts_ns = RESENDS * seconds(self.policy.resend_s or RESEND_S)
        self._peers = [
            _Peer(address(who, url.rstrip("/") + PATH), Post(who, timeout_s, ca_file, True)) for url in urls
        ]
        self.trouble: str | None = None
        """Of peers that did not take the last message though another did."""

    def deliver(self, bodies: Sequence[bytes]) -> str:
        """Tell every peer; raises SinkBusy or SinkRejected when none of them took it."""
        until_ns = self._clock.now().wall_ns + self._lasts_ns
        read = [Told.read(body) for body in bodies]
        told = msgspec.json.encode(
            [
                self._alert(each, labels, until_ns)
                for each in read
                for labels in _several(each, self.policy.teams)
            ]
        )
        headers = bearer(f"alertmanager {self.name}", self._token)
        faults: list[SinkBusy | SinkRejected] = []
        for peer in sorted(self._peers, key=lambda peer: peer.failed):  # who is away keeps nobody waiting
            try:
                peer.post.send(peer.url, told, headers)
                peer.failed = False
            except (SinkBusy, SinkRejected) as err:
                err.args = (f"{err} [{peer.url.host}:{peer.url.port or ''}]",)
                faults.append(err)
                peer.failed = True
        if len(faults) == len(self._peers):
            refused = [fault for fault in faults if isinstance(fault, SinkRejected)]
            raise (refused or faults)[0]
        self.trouble = "; ".join(map(str, faults)) or None
        return f"{len(self._peers) - len(faults)} of {len(self._peers)} peers took it"

    def close(self) -> None:
        for peer in self._peers:
            peer.post.close()

    def _alert(self, told: Told, labels: Mapping[str, str], until_ns: int) -> dict[str, Any]:
        notes = {
            "summary": told.summary,
            "title": told.title,
            "place": told.place or "",
            "id": told.id,
            "runbook_url": self._links.runbook(told),
            "first_steps": "\n".join(f"{at}. {step}" for at, step in enumerate(told.first_steps, 1)),
        }
        ends = (rfc3339(until_ns) if told.fires else told.resolved_at) or told.since
        made: dict[str, Any] = {
            "labels": {"alertname": told.rule, "rule": told.rule, "severity": told.severity, **labels},
            "annotations": {name: text for name, text in notes.items() if text},
            "startsAt": min(told.since, ends),  # as texts: both are of one form
            "endsAt": ends,
        }
        board = self._links.board(told) if told.fires else ""
        return {**made, "generatorURL": board} if board else made


def _several(told: Told, mine: Collection[str]) -> list[dict[str, str]]:
    """Labels of the alert, and of one more for each team that was told later: with other labels Alertmanager
    would tell the first ones anew. mine: only teams of these; empty: all. An empty label is none to
    Alertmanager."""
    about = {"about": told.thing, "direction": told.direction or ""}
    labels = {name: text for name, text in {**about, **told.labels}.items() if text}
    alone = {name: text for name, text in labels.items() if name != "teams"}
    later = [{**alone, "team": team} for team in told.teams_later if not mine or team in mine]
    if told.teams_now and not told.fires:
        return later  # the end of the alert of the others is told by who told them of it
    return [labels, *later] if not mine or not teams(labels).isdisjoint(mine) else later
