"""The `linkgauge` command. Exit codes: 0 well; 1 it ran and the answer is bad; 2 it could not run.

A command's module is imported when the command is called, not before: a reflector needs neither a database
nor a web server in its memory.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from linkgauge.errors import LinkgaugeError

COMMANDS = {
    "demo": ("console.demo.command", "Measure a lab network, break a link, check what was seen."),
    "drill": ("console.drill.command", "Break something on purpose, see whether it is noticed."),
    "agent": ("console.agent", "Run the agent of this node."),
    "collector": ("console.collector", "Run the collector: receive, keep, judge, alert."),
    "reflector": ("console.reflector", "Answer STAMP packets, without plan or collector."),
    "probe": ("console.probe.command", "Measure one far end now, without plan or collector."),
    "status": ("console.status", "Show links, agents and alerts, and what is unknown and why."),
    "alerts": ("console.alerts", "What fires; test a receiver; when a rule would have fired."),
    "check-config": ("console.check_config", "Check inventory, agent or collector settings."),
    "token": ("console.token", "Make a new token for a node."),
    "outbox": ("console.outbox", "Show what lies in an agent's outbox, and what should not."),
    "journal": ("console.journal", "Show what lies in the collector's journal, and how far each sink is."),
    "rollup": ("console.rollup", "Make roll-ups of some time again, or show which wait."),
    "store": ("console.store", "Make and check the databases of the hot store."),
    "dead-letters": ("console.dead_letters", "List, replay, forget what a store refused for good."),
    "archive": ("console.archive", "Check that nothing in the archive was altered; list, compact it."),
    "render": ("console.render", "Write boards, alert rules and more as files for Grafana."),
    "publish": ("console.publish", "Put the same into a running Grafana, over its API."),
}
"""Name of a command: the module whose `run` it is, and what it does in one line."""


class _Late(TyperGroup):
    """Knows names and lines; the command itself is made when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, made(name) if name else None, rest


def made(name: str) -> Any:
    """The command of that name, its module imported: its `app` where it has several, else its `run`."""
    module = importlib.import_module(COMMANDS[name][0])
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name)(module.run)
    return typer.main.get_command(single)


def _unmade() -> None:
    """Stands for a command until it is called."""


app = typer.Typer(
    name="linkgauge",
    cls=_Late,
    help="Measures the network between compute centres, keeps every measurement, and judges it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _name, (_, _line) in COMMANDS.items():
    app.command(_name, help=_line)(_unmade)


def main() -> None:
    """Run the command line; a fault that we know is told as its sentences, without a traceback."""
    try:
        app()
    except LinkgaugeError as err:
        for sentence in str(err).splitlines():
            print(f"linkgauge: {sentence}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
