"""What a Grafana remembers, and what Grafana 9.4 refuses, as far as publishing uses its API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PROVISIONING = "/api/v1/provisioning"
NEEDED = {
    "prometheus-alertmanager": "url",
    "webhook": "url",
    "email": "addresses",
    "dingding": "url",
    "wecom": "url",
}
SECRET_SETTINGS = ("password", "authorization_credentials", "basicAuthPassword")
DURATION = re.compile(r"0s|(\d+[dhms])+")

Json = dict[str, Any]
Reply = tuple[int, Any]


class State:
    """What a Grafana remembers. The root policy and its contact point are there from the start."""

    def __init__(self) -> None:
        self.version = "9.4.0"
        self.folders: dict[str, str] = {}
        self.boards: dict[str, tuple[Json, str]] = {}
        self.sources: dict[str, Json] = {}
        self.rules: dict[str, Json] = {}
        self.intervals: dict[tuple[str, str], int] = {}
        self.shows_empty_groups = False
        self.points: dict[str, Json] = {}
        self.timings: dict[str, Json] = {}
        self.policies: Json = {
            "receiver": "grafana-default-email",
            "group_by": ["grafana_folder", "alertname"],
        }

    def answer(self, method: str, path: str, body: Any) -> Reply:
        """Status and JSON of a request; None for an empty body."""
        path, _, asked = path.partition("?")
        for kind, pattern, act in ROUTES:
            found = re.fullmatch(pattern, path)
            if kind == method and found:
                reply: Reply = act(self, *found.groups(), *([body] if method in ("POST", "PUT") else []))
                return reply
        return 404, {"message": f"Not found {method} {path}?{asked}"}

    def health(self) -> Reply:
        return 200, {"commit": "x", "database": "ok", "version": self.version}

    def get_folder(self, uid: str) -> Reply:
        if uid not in self.folders:
            return 404, {"message": "folder not found", "status": "not-found"}
        return 200, {"id": 1, "uid": uid, "title": self.folders[uid]}

    def post_folder(self, body: Json) -> Reply:
        if body["uid"] in self.folders or body["title"] in self.folders.values():
            return 412, {
                "message": "a folder or dashboard in the general folder with the same name already exists"
            }
        self.folders[body["uid"]] = body["title"]
        return 200, {"id": 1, **body}

    def get_source(self, uid: str) -> Reply:
        return (
            (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
        )

    def post_source(self, body: Json) -> Reply:
        if any(each["name"] == body["name"] for each in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        self.sources[body["uid"]] = {key: value for key, value in body.items() if key != "secureJsonData"}
        return 200, {"id": 1, "message": "Datasource added"}

    def get_board(self, uid: str) -> Reply:
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        board, folder = self.boards[uid]
        return 200, {"meta": {"folderUid": folder}, "dashboard": {**board, "id": 7, "version": 3}}

    def post_board(self, body: Json) -> Reply:
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found", "status": "not-found"}
        if not body["overwrite"] or not body["dashboard"]["title"]:
            return 412, {"message": "The dashboard has been changed by someone else"}
        board = body["dashboard"]
        self.boards[board["uid"]] = (board, body["folderUid"])
        return 200, {"status": "success", "uid": board["uid"], "url": f"/d/{board['uid']}/x"}

    def delete_board(self, uid: str) -> Reply:
        return (
            (200, {"title": "x"}) if self.boards.pop(uid, None) else (404, {"message": "Dashboard not found"})
        )

    def search(self) -> Reply:
        return 200, [
            {"uid": uid, "folderUid": folder}
            for uid, (board, folder) in self.boards.items()
            if "linkgauge" in board["tags"]
        ]

    def get_rules(self) -> Reply:
        return 200, [{**rule, "id": 1, "updated": "2025-11-21T12:00:00Z"} for rule in self.rules.values()]

    def put_rule(self, uid: str, body: Json) -> Reply:
        return self._keep_rule(body, 200) if uid in self.rules else (404, None)

    def post_rule(self, body: Json) -> Reply:
        if body["uid"] in self.rules:
            return 500, {"message": "UNIQUE constraint failed: alert_rule.org_id, alert_rule.uid"}
        return self._keep_rule(body, 201)

    def _keep_rule(self, body: Json, status: int) -> Reply:
        fault = self._fault(body)
        if fault:
            return 400, {"message": f"invalid alert rule: {fault}"}
        self.rules[body["uid"]] = body
        self.intervals.setdefault((body["folderUID"], body["ruleGroup"]), 60)
        return status, body

    def _fault(self, body: Json) -> str:
        refs = [each["refId"] for each in body["data"]]
        same = [each for each in self.rules.values() if each["uid"] != body["uid"]]
        checks = {
            "folder does not exist": body["folderUID"] in self.folders,
            "title is not unique in its folder": all(each["title"] != body["title"] for each in same),
            "condition does not exist": body["condition"] in refs,
            "uid is longer than 40": len(body["uid"]) <= 40,
            "no such noDataState": body["noDataState"] in ("Alerting", "NoData", "OK"),
            "no such execErrState": body["execErrState"] in ("Alerting", "Error", "OK"),
            "not a valid duration": DURATION.fullmatch(body["for"]) is not None,
            "data source not found": all(
                each["datasourceUid"] in (*self.sources, "__expr__") for each in body["data"]
            ),
            "threshold expression requires exactly one condition": all(
                len(each["model"].get("conditions", [0])) == 1 for each in body["data"]
            ),
        }
        return "; ".join(text for text, well in checks.items() if not well)

    def delete_rule(self, uid: str) -> Reply:
        self.rules.pop(uid, None)
        return 204, None

    def _of_group(self, folder: str, group: str) -> list[Json]:
        return [r for r in self.rules.values() if (r["folderUID"], r["ruleGroup"]) == (folder, group)]

    def get_group(self, folder: str, group: str) -> Reply:
        rules = self._of_group(folder, group)
        if not rules and self.shows_empty_groups:
            return 200, {"title": group, "folderUid": folder, "interval": 0, "rules": []}
        if not rules:
            return 404, {"message": "rulegroup not found"}
        interval = self.intervals[folder, group]
        return 200, {"title": group, "folderUid": folder, "interval": interval, "rules": rules}

    def put_group(self, folder: str, group: str, body: Json) -> Reply:
        if body["interval"] % 10 or body["interval"] <= 0:
            return 400, {"message": "rule evaluation interval should be positive, a multiple of 10 seconds"}
        new = {rule["uid"]: rule for rule in body["rules"]}
        if not set(new) <= set(self.rules):
            return 500, {"message": "failed to update rule with UID because could not find alert rule"}
        for rule in self._of_group(folder, group):
            del self.rules[rule["uid"]]
        self.rules.update(new)
        self.intervals[folder, group] = body["interval"]
        return 200, body

    def get_points(self) -> Reply:
        return 200, [
            {**point, "settings": {name: _shown(name, value) for name, value in point["settings"].items()}}
            for point in self.points.values()
        ]

    def put_point(self, uid: str, body: Json) -> Reply:
        return self._keep_point(body) if uid in self.points else (404, {"message": "not found"})

    def post_point(self, body: Json) -> Reply:
        if body["uid"] in self.points:
            return 500, {"message": f"receiver configuration with UID '{body['uid']}' already exist"}
        return self._keep_point(body)

    def _keep_point(self, body: Json) -> Reply:
        if body["type"] not in NEEDED or not body["settings"].get(NEEDED[body["type"]]):
            return 400, {"message": "invalid object specification: contact point is not valid"}
        self.points[body["uid"]] = body
        return 202, {"message": "contactpoint updated"}

    def delete_point(self, uid: str) -> Reply:
        name = self.points[uid]["name"] if uid in self.points else ""
        left = [each for each in self.points.values() if each["name"] == name and each["uid"] != uid]
        if not left and any(route["receiver"] == name for route in _all(self.policies)):
            return 500, {"message": f"contact point '{name}' is currently used by a notification policy"}
        self.points.pop(uid, None)
        return 202, {"message": "contactpoint deleted"}

    def get_policies(self) -> Reply:
        return 200, {**self.policies, "provenance": "api"}

    def put_policies(self, body: Json) -> Reply:
        receivers = {"grafana-default-email", *(point["name"] for point in self.points.values())}
        for route in _all(body):
            if route.get("receiver") not in receivers:
                return 400, {"message": f"receiver {route.get('receiver')!r} does not exist"}
            if not set(route.get("mute_time_intervals", ())) <= set(self.timings):
                return 400, {"message": "invalid object specification: undefined mute time interval"}
            for _, operator, _ in route.get("object_matchers", ()):
                if operator not in ("=", "!=", "=~", "!~"):
                    return 400, {"message": "unsupported match type"}
        if body.get("object_matchers") or body.get("mute_time_intervals"):
            return 400, {"message": "root route must not have any matchers"}
        for route in _all(body):  # kept in an order of its own
            if "object_matchers" in route:
                route["object_matchers"] = sorted(route["object_matchers"])
        self.policies = {key: value for key, value in body.items() if key != "provenance"}
        return 202, {"message": "policies updated"}

    def get_timings(self) -> Reply:
        return 200, list(self.timings.values()) or None

    def put_timing(self, name: str, body: Json) -> Reply:
        return self._keep_timing(name, body, 202) if name in self.timings else (404, None)

    def post_timing(self, body: Json) -> Reply:
        return self._keep_timing(body["name"], body, 201)

    def _keep_timing(self, name: str, body: Json, status: int) -> Reply:
        for interval in body["time_intervals"]:
            for times in interval["times"]:
                if not times["start_time"] < times["end_time"] <= "24:00":
                    return 400, {"message": "start time cannot be equal or greater than end time"}
        self.timings[name] = body
        return status, body

    def delete_timing(self, name: str) -> Reply:
        if any(name in route.get("mute_time_intervals", ()) for route in _all(self.policies)):
            return 500, {"message": f"mute time '{name}' is currently used by a notification policy"}
        self.timings.pop(name, None)
        return 204, None


def _shown(name: str, value: Any) -> Any:
    return "[REDACTED]" if name in SECRET_SETTINGS else value


def _all(route: Json) -> Iterator[Json]:
    yield route
    for each in route.get("routes", ()):
        yield from _all(each)


_A, _N = PROVISIONING, "([^/]+)"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/api/health", State.health),
    ("GET", f"/api/folders/{_N}", State.get_folder),
    ("POST", "/api/folders", State.post_folder),
    ("GET", f"/api/datasources/uid/{_N}", State.get_source),
    ("POST", "/api/datasources", State.post_source),
    ("GET", f"/api/dashboards/uid/{_N}", State.get_board),
    ("POST", "/api/dashboards/db", State.post_board),
    ("DELETE", f"/api/dashboards/uid/{_N}", State.delete_board),
    ("GET", "/api/search", State.search),
    ("GET", f"{_A}/alert-rules", State.get_rules),
    ("POST", f"{_A}/alert-rules", State.post_rule),
    ("PUT", f"{_A}/alert-rules/{_N}", State.put_rule),
    ("DELETE", f"{_A}/alert-rules/{_N}", State.delete_rule),
    ("GET", f"{_A}/folder/{_N}/rule-groups/{_N}", State.get_group),
    ("PUT", f"{_A}/folder/{_N}/rule-groups/{_N}", State.put_group),
    ("GET", f"{_A}/contact-points", State.get_points),
    ("POST", f"{_A}/contact-points", State.post_point),
    ("PUT", f"{_A}/contact-points/{_N}", State.put_point),
    ("DELETE", f"{_A}/contact-points/{_N}", State.delete_point),
    ("GET", f"{_A}/policies", State.get_policies),
    ("PUT", f"{_A}/policies", State.put_policies),
    ("GET", f"{_A}/mute-timings", State.get_timings),
    ("POST", f"{_A}/mute-timings", State.post_timing),
    ("PUT", f"{_A}/mute-timings/{_N}", State.put_timing),
    ("DELETE", f"{_A}/mute-timings/{_N}", State.delete_timing),
]
