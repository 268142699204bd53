"""The `linkgauge` command. Exit codes: 0 well; 1 it ran and the answer is bad; 2 it could not run."""

from __future__ import annotations

import sys

import typer

from console import agent, check_config, collector, reflector, render, status, token
from console.demo import command as demo
from linkgauge.errors import LinkgaugeError

app = typer.Typer(
    name="linkgauge",
    help="Measures the network between compute centres, keeps every measurement, and judges it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.run)
app.command("agent")(agent.run)
app.command("collector")(collector.run)
app.command("reflector")(reflector.run)
app.command("status")(status.run)
app.command("check-config")(check_config.run)
app.command("token")(token.run)
app.command("render")(render.run)


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
