"""The demo's screen: links as they are measured, the fault, and the alerts as they reach the pager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.demo.webhook import Page
from console.reasons import SILENT_AFTER_S

VERDICT_STYLES = {"met": "green", "missed": "bold red", "unknown": "yellow"}
Row = Mapping[str, Any]


def screen(title: str, links: Sequence[Row], truth_us: Mapping[str, int], pages: Sequence[Page]) -> Group:
    """Everything at once; `links` as the collector's API tells them."""
    parts: list[RenderableType] = [Text(title), links_table(links, truth_us)]
    parts += [Text(page_line(page), style=_page_style(page)) for page in pages[-6:]]
    return Group(*parts)


def links_table(links: Sequence[Row], truth_us: Mapping[str, int] | None = None) -> Table:
    """One row a link. Delay is one way: half of the median round trip, beside the truth where it is known."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("link")
    table.add_column("tier")
    names = ("delay ms", "loss out", "loss back", "Mbit/s")
    for name in ("true ms", *names) if truth_us is not None else names:
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for link in links:
        rtt_us = link["rtt_p50_us"]
        table.add_row(
            str(link["link"]),
            str(link["tags"]["tier"]),
            *([f"{truth_us.get(str(link['link']), 0) / 1e3:.2f}"] if truth_us is not None else []),
            "-" if rtt_us is None else f"{rtt_us / 2e3:.2f}",
            *_losses(link),
            "-" if link["received_bps"] is None else f"{link['received_bps'] / 1e6:.1f}",
            _verdict(link),
        )
    return table


def _verdict(link: Row) -> Text:
    """The verdict, and how old what it stands on is where nothing new comes: then it is not green."""
    verdict, age_s = str(link["verdict"]), link.get("age_s")
    if age_s is not None and age_s > SILENT_AFTER_S:
        return Text(f"{verdict}, {age_s:.0f} s ago", style="yellow")
    return Text(verdict, style=VERDICT_STYLES.get(verdict, ""))


def _losses(link: Row) -> tuple[Text, Text]:
    """Loss out and back; where the direction is not known, all of it with a question mark."""
    forward, backward = link["loss_forward_ratio"], link["loss_backward_ratio"]
    whole = ((link.get("probes") or {}).get("stamp") or {}).get("loss_ratio")
    if forward is None and whole:
        return Text(f"{100 * whole:.1f} % ?", style="bold red"), Text("?")
    return percent(forward), percent(backward)


def percent(ratio: float | None) -> Text:
    """A loss ratio in percent; what is not known is a dash, not a zero."""
    if ratio is None:
        return Text("-")
    return Text(f"{100 * ratio:.1f} %", style="bold red" if ratio > 0.02 else "")


def page_line(page: Page) -> str:
    """One message of the pager in one line."""
    body = page.body
    who = "PAGER" if body["severity"] == "page" else "TICKET"
    direction = "" if body["direction"] == "-" else f" {body['direction']}"
    return f"{who} {body['status']}: {body['rule']} {body['about']}{direction}: {body['summary']}"


def _page_style(page: Page) -> str:
    return "bold red" if page.body["status"] == "firing" else "green"
