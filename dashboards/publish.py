"""Boards into a running Grafana over its HTTP API: the folder is made when missing, boards are replaced.

Needs the data source `linkgauge-influx` in that Grafana, or another chosen in the board's own list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from grafana_api.api import Api
from grafana_api.model import APIModel, RequestsMethods

from dashboards.panel import Json
from linkgauge.errors import LinkgaugeError

FOLDER_UID = "linkgauge"


@dataclass(frozen=True, slots=True)
class Grafana:
    """A Grafana and the token of a service account that may write dashboards and folders."""

    url: str
    token: str = field(repr=False)
    timeout_s: float = 10.0


def publish(grafana: Grafana, boards: Mapping[str, Json]) -> list[str]:
    """Put the boards into the folder linkgauge; returns the path of each in Grafana.

    Raises LinkgaugeError with one sentence when Grafana is not reached or refuses.
    """
    model = APIModel(
        host=grafana.url.rstrip("/"), token=grafana.token, timeout=grafana.timeout_s, retries=1
    )  # fmt: skip
    api = Api(model)
    _make_folder(api, grafana.url)
    return [_put(api, grafana.url, name, board) for name, board in boards.items()]


def _make_folder(api: Any, url: str) -> None:
    path = f"/api/folders/{FOLDER_UID}"
    status, answer = _call(api, url, path, None)
    if status == 404:
        status, answer = _call(api, url, "/api/folders", {"uid": FOLDER_UID, "title": "linkgauge"})
    if status != 200:
        raise _refused(url, "folder linkgauge", status, answer)


def _put(api: Any, url: str, name: str, board: Json) -> str:
    body = {"dashboard": board, "folderUid": FOLDER_UID, "overwrite": True, "message": "linkgauge"}
    status, answer = _call(api, url, "/api/dashboards/db", body)
    if status != 200:
        raise _refused(url, f"board {name}", status, answer)
    return str(answer.get("url", f"/d/{board['uid']}"))


def _call(api: Any, url: str, path: str, body: Json | None) -> tuple[int, Json]:
    """Status and answer of a GET, or of a POST when there is a body."""
    method = RequestsMethods.GET if body is None else RequestsMethods.POST
    text = None if body is None else json.dumps(body)
    try:
        answer: Any = api.call_the_api(path, method, text, response_status_code=True)
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        # the library also raises this for an invalid token, with Grafana's words
        raise LinkgaugeError(f"Grafana at {url} did not answer as it should: {err}; check it") from None
    except (LookupError, TypeError, AttributeError):  # a list or bare value: not Grafana's API
        raise LinkgaugeError(f"{url} answers, but not as Grafana does; check the address") from None
    return int(answer["status"]), answer


def _refused(url: str, what: str, status: int, answer: Json) -> LinkgaugeError:
    said = str(answer.get("message", answer.get("data", "")))[:200] or "nothing"
    mend = "check the token's rights" if status in (401, 403) else "see Grafana's log"
    return LinkgaugeError(f"Grafana at {url} refused the {what} with {status}, saying {said!r}; {mend}")
