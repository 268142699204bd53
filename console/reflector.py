"""`linkgauge reflector`: answer STAMP packets, with no plan and no collector."""

from __future__ import annotations

import ipaddress
import json
import sys
from typing import Annotated

import typer

from console.running import set_up_logs, stop_event
from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.errors import ConfigError
from probes.standalone import StandaloneReflector, parse_allowed


def run(
    allow: Annotated[
        list[str],
        typer.Option(help="Address or prefix of peers that get an answer; may stand several times."),
    ],
    listen: Annotated[list[str], typer.Option(help="Own address to answer at; may stand several times.")],
    port: Annotated[
        int, typer.Option(help="UDP port; 862 is STAMP's own and needs a privilege.", min=0)
    ] = 862,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counters at the end as JSON.")] = False,
) -> None:
    """Answer STAMP packets (RFC 8762) of allowed peers until Ctrl-C; nobody else gets an answer."""
    if port > 65_535:
        raise ConfigError(f"--port {port}: a port is at most 65535")
    set_up_logs()
    stop = stop_event()
    where = [(_address(text), port) for text in listen]
    made = StandaloneReflector(where, parse_allowed(allow), SystemClock(), read_clock_quality)
    told = ", ".join(f"{address} port {bound}" for (address, _), bound in zip(where, made.ports, strict=True))
    print(f"answering at {told}", file=sys.stderr, flush=True)
    made.run(stop)
    counters = made.counters()
    if as_json:
        print(json.dumps(counters))
    else:
        for name, value in counters.items():
            print(f"{name:24} {value}")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"--listen {text}: is no IP address; give one of this host's addresses") from None
