"""Contact points and notification policies for Grafana: who is told, in how many messages. Pure.

Our policies are one route, for alerts of our folder alone. Links are grouped by network and far site, nodes
and places by site, so a site or node that is down is one message of its nodes and one of its links on each
network, and not one for each link. Grafana has no inhibition: it tells of a node and of its links; an
Alertmanager behind it, with the alertmanager.yml of alerts.grafana.alertmanager, holds the links back.

Addresses and secrets never stand in a file: `$LINKGAUGE_PAGE_WEBHOOK_URL` and its like are variables of
Grafana's own environment, or of that of `linkgauge publish`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.grafana.muted import Matcher, Muted
from alerts.grafana.rules import COLLECTOR_SILENT, FOLDER
from linkgauge.errors import ConfigError

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
            "uid": f"{receiver(severity, team)}-{kind}"[:40],
            "name": receiver(severity, team),
            "type": its_name,
            "settings": {**made, **_EXTRA.get(kind, {})},
            "disableResolveMessage": False,
        }


def receiver(severity: str, team: str) -> str:
    """Name of the contact point, and of the receiver in Alertmanager's file."""
    return "-".join(part for part in ("linkgauge", severity, team) if part)


def route(contacts: Contacts, muted: Sequence[Muted] = ()) -> Json:
    """The one route of ours: what is muted first, each with the whole of the rest below it."""
    top = _node(contacts, [["grafana_folder", "=", FOLDER]], [])
    if contacts.quiet:
        silent = _node(contacts, [["rule", "=", COLLECTOR_SILENT]], [])
        told = {**silent, "receiver": receiver(*contacts.audiences[0]), **contacts.times("page")}
        return {
            **top,
            "routes": [told, _node(contacts, [["rule", "!=", COLLECTOR_SILENT]], [ALWAYS["name"]])],
        }
    soonest = sorted(muted, key=lambda each: (each.begin, each.end))
    return {**top, "routes": list(_at_work(contacts, soonest, [], _deepest(len(muted))))}


def timings(contacts: Contacts, muted: Sequence[Muted]) -> list[Json]:
    """The mute timings that the route names."""
    return [ALWAYS] if contacts.quiet else [each.timing for each in muted]


def _node(contacts: Contacts, matchers: Sequence[Matcher], names: Sequence[str]) -> Json:
    made: Json = {
        "receiver": receiver(*contacts.audiences[-1]),
        "group_by": ["grafana_folder", "rule"],
        "object_matchers": list(matchers),
    }
    return {**made, "mute_time_intervals": list(names)} if names else made


def _deepest(announced: int) -> int:
    """How many announcements of one thing are told apart: the routes must stay some hundreds."""
    return 3 if announced <= 3 else 2 if announced <= 8 else 1


def _at_work(contacts: Contacts, muted: Sequence[Muted], names: Sequence[str], depth: int) -> Iterator[Json]:
    """Routes of what is announced, and of the rest: Grafana takes the first that matches, so each holds those
    after it, for what both announce."""
    for at, each in enumerate(muted if depth else ()):
        both = [*names, each.name]
        below = list(_at_work(contacts, muted[at + 1 :], both, depth - 1))
        for matchers in each.matchers:
            yield {**_node(contacts, matchers, both), "routes": below}
    yield from _leaves(contacts, names)


def _leaves(contacts: Contacts, names: Sequence[str]) -> Iterator[Json]:
    """A route for each severity, team and kind of thing. A place of several teams goes to each of them."""
    for severity, team in contacts.audiences:
        of_team = [["team", "=", team]] if team else []
        alone = [["teams", "!~", ".+"]] if team else []
        among = [["teams", "=~", f"(.*,)?{team}(,.*)?"]] if team else []
        by_site = ["grafana_folder", "site", "collector"]
        for matchers, group_by, on in (
            ([*of_team, ["link", "=~", ".+"]], ["grafana_folder", "network", "dst_site"], False),
            *([(among, by_site, True)] if team else []),
            ([*of_team, *alone], by_site, False),
        ):
            made: Json = {
                "receiver": receiver(severity, team),
                "object_matchers": [["severity", "=", severity], *matchers],
                "group_by": group_by,
                **({"continue": True} if on else {}),
                **contacts.times(severity),
            }
            yield {**made, "mute_time_intervals": list(names)} if names else made
