"""What is wanted into a running Grafana: first all is read and compared, then only differences are sent.

A second time nothing differs, so nothing is sent. Only what is known by our names is changed or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from dashboards.publish import alerting
from dashboards.publish.change import Change, covers, differences
from dashboards.publish.grafana import Client, version
from dashboards.publish.wanted import Json, Wanted, is_ours
from linkgauge.errors import LinkgaugeError

_OF_GRAFANA = ("id", "version", "schemaVersion")
"""Keys of a board that Grafana sets itself."""


def changes(client: Client, wanted: Wanted, rewrite: bool = False) -> list[Change]:
    """What must be done, in order; nothing is changed yet. Raises LinkgaugeError with one sentence.

    rewrite: contact points as well that look the same.
    """
    version(client)
    found = [*_folders(client, wanted), *_data_sources(client, wanted), *_boards(client, wanted)]
    if wanted.alerting is not None:
        found += alerting.changes(client, wanted.alerting, rewrite)
    return found


def carry_out(todo: Sequence[Change]) -> None:
    """Do it all; a fault tells how far it came, and another run goes on from there."""
    for done, change in enumerate(todo):
        try:
            change.do()
        except LinkgaugeError as err:
            made = f"{done} of {len(todo)} changes were made" if done else "Nothing was changed"
            raise LinkgaugeError(f"{err}. {made}; run it again then, it goes on from there") from None


def _folders(client: Client, wanted: Wanted) -> Iterator[Change]:
    for uid, title in wanted.folders.items():
        what = f"folder {title}"
        if client.get(f"/api/folders/{uid}", what) is None:
            body = {"uid": uid, "title": title}
            yield Change("+", what, partial(client.post, "/api/folders", body, what))


def _data_sources(client: Client, wanted: Wanted) -> Iterator[Change]:
    """A data source that is there is its owner's and stays; one that is missing is made, where told how."""
    for uid, body in wanted.data_sources.items():
        what = f"data source {uid}"
        if client.get(f"/api/datasources/uid/{uid}", what) is not None:
            continue
        if body is None:
            raise LinkgaugeError(
                f"Grafana at {client.url} has no data source of uid {uid}, which boards and rules read: "
                "give --influxdb to make it here, or provision the file that `linkgauge render DIR` writes: "
                "DIR/provisioning/datasources/linkgauge.yaml"
            )
        yield Change("+", what, partial(client.post, "/api/datasources", body, what))


def _boards(client: Client, wanted: Wanted) -> Iterator[Change]:
    for board in wanted.boards.values():
        what = f"board {board['uid']}"
        found = client.get(f"/api/dashboards/uid/{board['uid']}", what)
        there = found.get("dashboard") if isinstance(found, dict) else None
        asked = {key: value for key, value in board.items() if key not in _OF_GRAFANA}
        if there is not None and covers(there, asked) and _folder(found) == wanted.board_folder:
            continue
        body = {
            "dashboard": board,
            "folderUid": wanted.board_folder,
            "overwrite": True,
            "message": "linkgauge",
        }
        yield Change(
            "+" if there is None else "~",
            what,
            partial(client.post, "/api/dashboards/db", body, what),
            () if there is None else differences(there, asked),
        )
    kept = wanted.spared.union(board["uid"] for board in wanted.boards.values())
    for uid in _found_boards(client, wanted.board_folder):
        if uid not in kept:
            what = f"board {uid}"
            path = f"/api/dashboards/uid/{quote(uid, safe='')}"
            yield Change("-", what, partial(client.delete, path, what))


def _folder(found: Any) -> str:
    meta: Json = found.get("meta", {})
    return str(meta.get("folderUid", ""))


def _found_boards(client: Client, folder: str) -> Iterator[str]:
    """Uids of our boards that stand in our folder."""
    found = client.get(
        "/api/search?type=dash-db&tag=linkgauge&limit=5000", "its list of boards", missing=False
    )
    for each in found if isinstance(found, list) else ():
        if is_ours(each.get("uid")) and each.get("folderUid") == folder:
            yield each["uid"]
