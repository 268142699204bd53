"""Contact points and notification policies for Grafana: who is told, in how many messages. Pure.

Our policies are one route, for alerts of our folder alone. Links are grouped by network and far site, nodes
and places by site, so a site or node that is down is one message of its nodes and one of its links on each
network, and not one for each link. Grafana has no inhibition: it tells of a node and of its links; an
Alertmanager behind it, with the alertmanager.yml of alerts.grafana.alertmanager, holds the links back.

Addresses and secrets never stand in a file: `$LINKGAUGE_PAGE_WEBHOOK_URL` and its like are variables of
Grafana's own environment, or of that of `linkgauge publish`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.grafana.rules import COLLECTOR_SILENT, FOLDER, LONGEST_UID
from alerts.grafana.things import AMONG, LINKS, REST, Matcher
from alerts.grafana.work import Work
from linkgauge.errors import ConfigError
from linkgauge.model import DEFAULT_TEAM

Json = dict[str, Any]

SEVERITIES = ("page", "ticket")
_ALERTMANAGER = "alertmanager"
KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    _ALERTMANAGER: ("prometheus-alertmanager", {"url": "URL"}),
    "webhook": ("webhook", {"url": "URL"}),
    "email": ("email", {"addresses": "ADDRESSES"}),
    "dingtalk": ("dingding", {"url": "URL"}),
    "wecom": ("wecom", {"url": "URL"}),
}
"""Our word for a kind of contact point: Grafana's, and its settings with the end of their variable's name."""
_EXTRA: Mapping[str, Json] = {
    "webhook": {"httpMethod": "POST"},
    "email": {"singleEmail": False},
    "dingtalk": {"msgType": "link"},
    "wecom": {"msgtype": "markdown"},
}
_AGAIN = "5m"
"""An Alertmanager ends what it does not hear of again; whether people are told again is its own matter."""
ALWAYS: Json = {
    "name": "linkgauge-told-by-the-collector",
    "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}],
}
_TIMES: Mapping[str, Mapping[str, str]] = {
    "page": {"group_wait": "10s", "group_interval": "1m", "repeat_interval": "4h"},
    "ticket": {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "1d"},
}


@dataclass(frozen=True, slots=True)
class Contacts:
    """kinds: how each severity is told, several ways at once. alertmanager: its address, no secret.
    teams: those with contact points of their own, when there are several."""

    kinds: Mapping[str, Sequence[str]]
    alertmanager: str = "http://127.0.0.1:9093"
    teams: Sequence[str] = ()
    quiet: bool = False
    """The collector tells by itself: Grafana tells of nothing but a collector that is silent."""

    def __post_init__(self) -> None:
        for kind in (kind for kinds in self.kinds.values() for kind in kinds):
            if kind not in KINDS:
                raise ConfigError(f"{kind!r} is no kind of contact point; there are {', '.join(KINDS)}")

    @property
    def audiences(self) -> list[tuple[str, str]]:
        """Severity and team of each contact point; team is empty where there is one team only."""
        teams = self.teams if len(self.teams) > 1 else ("",)
        return [(severity, team) for severity in SEVERITIES for team in teams]

    @property
    def home(self) -> str:
        """The team that hears of what no team is known of; empty where there is one team only."""
        teams = self.teams if len(self.teams) > 1 else ("",)
        return DEFAULT_TEAM if DEFAULT_TEAM in teams else teams[0]

    @property
    def points(self) -> list[Json]:
        """Contact points, in the form of Grafana's API; settings hold variables."""
        return [
            self._point(severity, team, kind)
            for severity, team in self.audiences
            for kind in self.kinds.get(severity) or (_ALERTMANAGER,)
        ]

    def times(self, severity: str) -> Mapping[str, str]:
        """How long to gather, and after how long to tell again."""
        by_alertmanager = _ALERTMANAGER in (self.kinds.get(severity) or (_ALERTMANAGER,))
        return {**_TIMES[severity], "repeat_interval": _AGAIN} if by_alertmanager else _TIMES[severity]

    @property
    def variables(self) -> list[str]:
        """The variables that must be set, in order."""
        settings = (point["settings"].values() for point in self.points)
        named = {value[1:] for values in settings for value in values if str(value).startswith("$")}
        return sorted(named)

    def _point(self, severity: str, team: str, kind: str) -> Json:
        its_name, settings = KINDS[kind]
        mine = "_".join(part for part in (severity, team.replace("-", "_"), kind) if part).upper()
        made: Json = {key: f"$LINKGAUGE_{mine}_{end}" for key, end in settings.items()}
        if kind == _ALERTMANAGER:
            made = {"url": self.alertmanager}
        return {
            "uid": _uid(f"{receiver(severity, team)}-{kind}"),
            "name": receiver(severity, team),
            "type": its_name,
            "settings": {**made, **_EXTRA.get(kind, {})},
            "disableResolveMessage": False,
        }


def receiver(severity: str, team: str) -> str:
    """Name of the contact point, and of the receiver in Alertmanager's file."""
    return "-".join(part for part in ("linkgauge", severity, team) if part)


def of_team(team: str, teams: Sequence[str], home: str) -> Matcher | None:
    """What alerts of a team match; those of no known team are the home team's. None: there is one team only.

    teams: all that there are."""
    if not team:
        return None
    return (
        ["team", "!~", "|".join(each for each in teams if each != home)]
        if team == home
        else ["team", "=", team]
    )


def route(contacts: Contacts, work: Work | None = None) -> Json:
    """The one route of ours. What no severity is known of is a ticket of the home team."""
    work = work or Work()
    top: Json = {
        "receiver": receiver("ticket", contacts.home),
        "group_by": ["grafana_folder", "rule"],
        "object_matchers": [["grafana_folder", "=", FOLDER]],
    }
    if contacts.quiet:
        silent = {
            "receiver": receiver("page", contacts.home),
            "object_matchers": [["rule", "=", COLLECTOR_SILENT]],
            **contacts.times("page"),
        }
        rest = {"receiver": top["receiver"], "object_matchers": [["rule", "!=", COLLECTOR_SILENT]]}
        told = [_muted(silent, work.of_silent_collector()), _muted(rest, [ALWAYS["name"]])]
        return {**top, "routes": [{**each, "group_by": top["group_by"]} for each in told]}
    return {**top, "routes": list(_leaves(contacts, work))}


def timings(contacts: Contacts, work: Work | None = None) -> list[Json]:
    """The mute timings that the route names."""
    announced = work.muted if work else ()
    if contacts.quiet:
        silent = work.of_silent_collector() if work else ()
        return [ALWAYS, *(each.timing for each in announced if each.name in silent)]
    return [each.timing for each in announced]


def _muted(made: Json, names: Sequence[str]) -> Json:
    return {**made, "mute_time_intervals": list(names)} if names else made


def _leaves(contacts: Contacts, work: Work) -> Iterator[Json]:
    """A route for each severity, team and kind of thing, and below it what is muted of these. A place of
    several teams goes to each of them."""
    by_site = ["grafana_folder", "site", "collector"]
    for severity, team in contacts.audiences:
        own = of_team(team, contacts.teams, contacts.home)
        of = [own] if own else []
        alone = [["teams", "!~", ".+"]] if team else []
        among = [["teams", "=~", f"(.*,)?{team}(,.*)?"]]
        links: Json = {"object_matchers": [*of, ["link", "=~", ".+"]]}
        links["group_by"] = ["grafana_folder", "network", "dst_site"]
        both: Json = {"object_matchers": among, "group_by": by_site, "continue": True}
        rest: Json = {"object_matchers": [*of, *alone], "group_by": by_site}
        for kind, made in ((LINKS, links), *([(AMONG, both)] if team else []), (REST, rest)):
            name = receiver(severity, team)
            matchers = [["severity", "=", severity], *made["object_matchers"]]
            below = [
                _muted({"receiver": name, "object_matchers": each}, names)
                for each, names in work.classes(kind, severity, team)
            ]
            whole = {"receiver": name, **made, "object_matchers": matchers, **contacts.times(severity)}
            yield {**whole, "routes": below} if below else whole


def _uid(name: str) -> str:
    """As long as Grafana takes it: a longer name has a number made of all of it at its end."""
    if len(name) <= LONGEST_UID:
        return name
    end = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: LONGEST_UID - len(end) - 1]}-{end}"
