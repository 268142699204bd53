"""What people read: one layout for all receivers that are read by a person. Pure.

    PAGE firing: Packet loss above the objective
    jinan-1>guiyang-1@backbone, forward
    20.4 % of packets lost ...                      one sentence with numbers
    Likely place: gateway gw-1 of site jinan
    Since: 2025-11-21 12:03:05 UTC
    Do first: 1. ... 2. ... 3. ...
    Runbook: https://...   Board: https://...

Several notices make a digest: how many of which kind, and one line for each, pages first; of what does not
fit the last line says how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from alerts.receivers.told import Told, readable

STEPS = 3
KEYWORD = "linkgauge"
"""Stands in every message of a robot: a group may ask for a word of its choice."""
MOST_LINES = 100
LONGEST_BYTES = 20_000
_MARGIN_MS = 1_800_000
"""Half an hour before and after, on the board that a message names."""
LINK_BOARD, FIRST_BOARD = "linkgauge-link", "linkgauge-overview"


@dataclass(frozen=True, slots=True)
class Links:
    """Where runbooks and boards are to be found from; empty: messages name none.

    runbooks: the address before `/link-loss.md`. grafana: its address.
    """

    runbooks: str = ""
    grafana: str = ""

    def runbook(self, told: Told) -> str:
        """The page of the alert's rule: an address, or without `runbooks` the page's place in the docs."""
        page = told.runbook.rpartition("/")[2]
        return f"{self.runbooks.rstrip('/')}/{page}" if self.runbooks and page else told.runbook

    def board(self, told: Told) -> str:
        """The board of the alert's link at that time, else the overview; empty without `grafana`."""
        if not self.grafana:
            return ""
        since_ms = _milliseconds(told.since)
        span = {"from": since_ms - _MARGIN_MS if since_ms else "now-1h"}
        ended_ms = _milliseconds(told.resolved_at or "")
        span["to"] = ended_ms + _MARGIN_MS if ended_ms else "now"
        link = told.labels.get("link", "")
        names = {
            f"var-{name}": told.labels[name]
            for name in ("network", "tier", "src_site", "dst_site")
            if link and name in told.labels
        }
        query = urlencode({**({"var-link": link} if link else {}), **names, **span})
        return f"{self.grafana.rstrip('/')}/d/{LINK_BOARD if link else FIRST_BOARD}?{query}"


@dataclass(frozen=True, slots=True)
class Message:
    """subject: one line without the alert's state changing it; head: the first line, with the state.

    lines: (name, text) pairs, the name empty for plain text; links: (name, address).
    """

    subject: str
    head: str
    lines: tuple[tuple[str, str], ...]
    steps: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """For a mail or a terminal."""
        lines = [self.head, *(_named(name, text) for name, text in self.lines)]
        if self.steps:
            lines += ["Do first:", *(f"  {at}. {step}" for at, step in enumerate(self.steps, 1))]
        return "\n".join([*lines, *(f"{name}: {address}" for name, address in self.links)])

    def markdown(self, longest_bytes: int = LONGEST_BYTES) -> str:
        """For robots; lines apart, because some of them join lines that follow each other."""
        parts = [f"**{self.head}**", *(_named(name, text) for name, text in self.lines)]
        if self.steps:
            parts += ["Do first:", *(f"{at}. {step}" for at, step in enumerate(self.steps, 1))]
        parts += [
            f"[{name}]({address})" if "://" in address else f"{name}: {address}"
            for name, address in self.links
        ]
        return cut("\n\n".join([KEYWORD, *parts]), longest_bytes)


def message(told: Told, links: Links) -> Message:
    """The message of one notice."""
    kind = " ".join([*(["DRILL"] if told.drill else []), *(["TEST"] if told.test else []), told.severity])
    about = ", ".join(part for part in (told.thing, told.direction) if part and part != "-")
    lines = [("", about), ("", told.summary)]
    if told.place:
        lines.append(("Likely place", told.place))
    lines.append(("Since", readable(told.since)))
    if told.resolved_at:
        lines.append(("Ended", readable(told.resolved_at)))
    found = (("Runbook", links.runbook(told)), ("Board", links.board(told)))
    title = told.title or told.rule
    return Message(
        f"[{kind}] {title}: {told.thing}",
        f"{kind.upper()} {told.status}: {title}",
        tuple(line for line in lines if line[1]),
        told.first_steps[:STEPS] if told.fires else (),
        tuple(each for each in found if each[1] and told.fires),
    )


def digest(several: Sequence[Told], links: Links, longest_bytes: int = LONGEST_BYTES) -> Message:
    """One message for several notices, its text at most longest_bytes of UTF-8."""
    counts = Counter((told.severity, told.status) for told in several)
    words = ", ".join(f"{count} {severity} {status}" for (severity, status), count in sorted(counts.items()))
    head = f"{len(several)} changes of alerts at once: {words}"
    board = f"{links.grafana.rstrip('/')}/d/{FIRST_BOARD}" if links.grafana else ""
    lines = []
    left_bytes = longest_bytes - len(head.encode()) - len(board.encode()) - 200
    fires = {told.id: told.fires for told in several}  # in the end: what is told of one alert stays in order
    ordered = sorted(several, key=lambda told: (told.severity != "page", not fires[told.id]))
    for at, told in enumerate(ordered):
        line = f"{told.severity.upper()} {told.status} {told.id}: {told.summary}"
        left_bytes -= len(line.encode()) + 2
        if left_bytes < 0 or at == MOST_LINES:
            lines.append(("", f"and {len(ordered) - at} more: see the board, or `linkgauge alerts list`"))
            break
        lines.append(("", line))
    return Message(f"[digest] {head}", head, tuple(lines), (), (("Board", board),) if board else ())


def composed(bodies: Sequence[bytes], links: Links, longest_bytes: int = LONGEST_BYTES) -> Message:
    """The message of one notice or of several. Raises ValueError for what is no notice."""
    several = [Told.read(body) for body in bodies]
    return message(several[0], links) if len(several) == 1 else digest(several, links, longest_bytes)


def cut(text: str, longest_bytes: int) -> str:
    """The text, cut at a character where it is longer than so many octets of UTF-8."""
    raw = text.encode()
    if len(raw) <= longest_bytes:
        return text
    return raw[: longest_bytes - 3].decode(errors="ignore") + "…"


def _named(name: str, text: str) -> str:
    return f"{name}: {text}" if name else text


def _milliseconds(time: str) -> int:
    """RFC 3339 as Unix milliseconds; 0 for none."""
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return 0
