"""The ways between the boards: links that carry the time range and the variables, in the same language.

A link at the top of a board carries every variable; a link of a cell (`drill`) carries the data sources and
the variables that it names, and sets others from the cell's row.
"""

from __future__ import annotations

from dashboards.words import LANGUAGES, Json, Text

TITLES = {
    "overview": Text("Network overview", "网络总览"),
    "link": Text("Link", "链路"),
    "private": Text("Private networks", "专用网络"),
    "evaluation": Text("Evaluation", "质量评估"),
    "system": Text("Measuring system", "测量系统"),
}
"""Every board, in the order in which they are offered."""
ROW = "${__data.fields[0]}"
"""In a matrix: what the cell's row is called."""
COLUMN = "${__field.name}"
"""In a matrix: what the cell's column is called."""
_ALWAYS = ("ds", "resolution", "hours")


def uid(board: str, language: str) -> str:
    """English boards have the plain uid, others end with their language."""
    return f"linkgauge-{board}" if language == "en" else f"linkgauge-{board}-{language}"


def cell(field: str) -> str:
    """The value of another field of the same row, for a link's address."""
    return f"${{__data.fields.{field}:percentencode}}"


def drill(board: str, *kept: str, **variables: str) -> Json:
    """A data link to `board`: variables `kept` as they are here, others as told (see `cell`)."""
    query = [
        "${__url_time_range}",
        *(f"${{{name}:queryparam}}" for name in (*_ALWAYS, *kept)),
        *(f"var-{name}={value}" for name, value in variables.items()),
    ]
    return {
        "title": Text("Open: ", "打开：") + TITLES[board],
        "url": _address(board, "?" + "&".join(query)),
        "targetBlank": False,
    }


def ways(board: str) -> list[Json]:
    """The links at the top of `board`: to every other board, and to itself in the other language."""
    others = [_way(title, _address(name)) for name, title in TITLES.items() if name != board]
    return [*others, _way(Text("中文", "English"), Text(f"/d/{uid(board, 'zh')}", f"/d/{uid(board, 'en')}"))]


def _address(board: str, rest: str = "") -> Text:
    return Text(**{language: f"/d/{uid(board, language)}{rest}" for language in LANGUAGES})


def _way(title: Text, url: Text) -> Json:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "dashboard",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
