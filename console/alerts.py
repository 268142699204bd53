"""`linkgauge alerts`: what fires, whether a receiver can be reached, what a rule would have done.

Exit codes: list: 0 nothing fires or all is held back, 1 something fires. test: 0 taken, 1 not taken.
backtest: 0 evaluated, 1 some files of the archive are damaged and were left out. All: 2 it could not run.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from alerts.event import rfc3339
from alerts.receivers.receiver import Receiver
from alerts.receivers.told import readable
from alerts.rule import Rule, load_rules
from collector.settings import Settings
from console.asking import CaFile, Certificate, CollectorUrl, Key, TokenFile, asking
from console.backtest import bound_text, run_backtest, show, told
from console.backtest_svg import svg
from console.moment import as_text, moment_ns
from console.receivers import receivers_of
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError, SinkBusy, SinkRejected

app = typer.Typer(
    name="alerts",
    help="What fires, whether receivers can be reached, what a rule would have done.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
SETTINGS = Path("/etc/linkgauge/collector.yaml")
Config = Annotated[Path, typer.Option(help="The collector's settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Bound = Annotated[float | None, typer.Option(help="Another bound to compare with.")]
SILENT = "collector-silent"
_WIDTH = 160
"""Columns where there is no terminal: nothing is cut."""


@app.command("list")
def list_(
    collector: CollectorUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    certificate: Certificate = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what fires, since when, and what is held back and why; exit 1: something that is not fires."""
    alerts: list[dict[str, Any]] = asking(collector, token_file, ca_file, certificate, key).get("/v1/alerts")
    if as_json:
        print(json.dumps(alerts, ensure_ascii=False))
    else:
        _show(_console(), alerts)
    raise typer.Exit(1 if not all(map(is_quiet, alerts)) else 0)


@app.command("test")
def try_(
    receiver: Annotated[str, typer.Argument(help="Its name in the settings.")], config: Config = SETTINGS
) -> None:
    """Send one message, marked as a test, to a receiver; print what the far end said."""
    made = _receiver(Settings.load(config), receiver, config)
    try:
        said = made.deliver([_test_notice(made)])
    except (SinkBusy, SinkRejected) as err:
        mend = "" if ";" in str(err) else f"; {_mend(err)}"
        print(f"not taken: {err}{mend}")
        raise typer.Exit(1) from None
    finally:
        made.close()
    print(f"{made.kind} {made.name} took it: {said}")
    if made.trouble:
        print(f"but: {made.trouble}")
        raise typer.Exit(1)


@app.command()
def backtest(
    rule: Annotated[str, typer.Argument(help="Name of the rule, such as link-loss.")],
    from_: Annotated[str, typer.Option("--from", help="2026-11-21T10:00 (UTC), or 24h ago.")],
    to: Annotated[str, typer.Option(help="The same, or now.")] = "now",
    archive: Annotated[Path | None, typer.Option(help="The archive's folder; else that of --config.")] = None,
    config: Config = SETTINGS,
    above: Bound = None,
    below: Bound = None,
    as_json: AsJson = False,
    plot: Annotated[Path | None, typer.Option(help="Write a picture (SVG) here.")] = None,
) -> None:
    """When a rule would have fired on what the archive has, also with another bound."""
    versions = _versions(_rule(rule), above, below)
    now_ns = time.time_ns()
    from_ns, to_ns = moment_ns(from_, now_ns), moment_ns(to, now_ns)
    if from_ns >= to_ns:
        raise ConfigError(
            f"--from {as_text(from_ns)} is not before --to {as_text(to_ns)}; correct one of them"
        )
    folder = archive or Settings.load(config).archive_path
    bars = Console(stderr=True)
    with Progress(console=bars, transient=True, disable=not bars.is_terminal) as bar:
        task = bar.add_task("reading", total=to_ns - from_ns)
        done, trials, left_out = run_backtest(
            folder, versions, from_ns, to_ns, lambda at_ns: bar.update(task, completed=at_ns - from_ns)
        )
    if plot is not None:
        _write(plot, svg(trials))
    if as_json:
        head = {"rule": rule, "table": versions[0].table, "field": versions[0].field}
        reach = {"from": as_text(from_ns), "to": as_text(to_ns), "windows": done.windows, "rows": done.rows}
        tried = [told(trial) for trial in trials]
        print(json.dumps({**head, **reach, "files_left_out": left_out, "trials": tried}, ensure_ascii=False))
    else:
        console = _console()
        console.print(
            f"{rule}: {done.rows} rows of {versions[0].table} in {done.windows} windows", highlight=False
        )
        show(console, trials)
    if left_out:
        print(
            f"linkgauge: {left_out} damaged files were left out: see `linkgauge archive verify`",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def _versions(rule: Rule, above: float | None, below: float | None) -> list[Rule]:
    """The rule, and the same with the other bound."""
    if above is not None and below is not None:
        raise ConfigError("give --above or --below, not both")
    other = above if above is not None else below
    if other is None:
        return [rule]
    if not math.isfinite(other):
        raise ConfigError(f"a bound of {other} is never passed; give a number")
    side = "above" if rule.above is not None else "below"
    if (above is not None) != (side == "above"):
        raise ConfigError(f"rule {rule.name} fires {bound_text(rule)}; give --{side}")
    return [rule, rule.model_copy(update={side: other})]


def _rule(name: str) -> Rule:
    if name == SILENT:
        raise ConfigError(
            f"rule {name} is Grafana's alone: a collector that is silent writes no rows to look at"
        )
    rules = {rule.name: rule for rule in load_rules()}
    if name not in rules:
        raise ConfigError(f"there is no rule {name!r}; there are {', '.join(sorted(rules))}")
    return rules[name]


def _receiver(settings: Settings, name: str, config: Path) -> Receiver:
    made = receivers_of(settings, SystemClock(), name)
    if not made:
        names = sorted(each.name for each in (*settings.webhooks, *settings.receivers))
        there = ", ".join(names) or "none: write `receivers`"
        raise ConfigError(f"{config}: there is no receiver {name!r}; there are {there}")
    return made[0]


def _mend(err: Exception) -> str:
    """What to do where the sentence does not say it."""
    if isinstance(err, SinkBusy):
        return "an alert would be tried again until it is taken: try later, or ask who runs the far end"
    return "an alert would be given up: correct the receiver in the settings, or ask who runs the far end"


def _test_notice(receiver: Receiver) -> bytes:
    """A notice that says that it is none; the receiver's own filters do not matter."""
    at = rfc3339(time.time_ns())
    severity = (receiver.policy.severities or ("ticket",))[0]
    labels = {"rule": "test", "severity": severity, "test": "true"}
    about = f"receiver {receiver.name}"
    return msgspec.json.encode(
        {
            "version": 2, "id": f"test/{receiver.name}/-", "notification": f"test/{receiver.name}|{at}",
            "status": "firing", "rule": "test", "title": "Test of a receiver", "severity": severity,
            "about": about, "link": None, "direction": "-", "place": None, "since": at, "fired_at": at,
            "resolved_at": None, "created_at": at, "held": None, "numbers": {}, "labels": labels,
            "summary": f"this is a test: alerts reach {about} of kind {receiver.kind}; nothing is wrong",
            "first_steps": ["Nothing: this message was sent by `linkgauge alerts test`."],
            "runbook": "", "test": True,
        }
    )  # fmt: skip


def _show(console: Console, alerts: list[dict[str, Any]]) -> None:
    held = [alert for alert in alerts if is_quiet(alert)]
    console.print(f"{len(alerts) - len(held)} alerts fire, {len(held)} more are held back", highlight=False)
    if not alerts:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("severity", "rule", "about", "since", "what", "held back because"):
        table.add_column(name, overflow="fold")
    for alert in sorted(alerts, key=lambda each: (is_quiet(each), each["severity"] != "page", each["id"])):
        direction = alert["direction"] if alert["direction"] not in (None, "-") else ""
        about = f"{alert.get('about') or alert.get('link')} {direction}".strip()
        drill = (
            "drill: receivers of drills only" if (alert.get("labels") or {}).get("drill") == "true" else ""
        )
        why = alert.get("held") or drill
        cells = (alert["severity"], alert["rule"], about, readable(alert["since"]), alert["summary"], why)
        table.add_row(*(Text(cell) for cell in cells), style="dim" if why else None)
    console.print(table)


def is_quiet(alert: dict[str, Any]) -> bool:
    """Held back, or of a drill: nobody has to run."""
    return bool(alert.get("held")) or (alert.get("labels") or {}).get("drill") == "true"


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    return console


def _write(path: Path, text: str) -> None:
    if path.suffix.lower() != ".svg":
        raise ConfigError(f"{path}: the picture is an SVG; give --plot a name that ends in .svg")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be written ({err.strerror}); name another file for --plot"
        ) from None
