"""`linkgauge reflector`: answer STAMP packets, with no plan and no collector."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from console.running import set_up_logs, stop_event
from linkgauge.clock import SystemClock, read_clock_quality
from linkgauge.errors import ConfigError
from probes.stamp.policy import CAP_PPS, Policy
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
    stateless: Annotated[
        bool, typer.Option("--stateless", help="Repeat each request's number instead of counting replies.")
    ] = False,
    twamp_light: Annotated[
        bool, typer.Option("--twamp-light", help="Answer TWAMP-Light (RFC 5357) instead of STAMP.")
    ] = False,
    ptp: Annotated[bool, typer.Option("--ptp", help="Write PTPv2 stamps instead of NTP's.")] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(help="YAML file 'address: 64 hex digits', mode 0600: these peers must sign."),
    ] = None,
    rate_pps: Annotated[
        float, typer.Option(help="Packets a second that each peer address gets answered; 0: no cap.", min=0)
    ] = CAP_PPS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counters at the end as JSON.")] = False,
) -> None:
    """Answer STAMP packets (RFC 8762) of allowed peers until Ctrl-C; nobody else gets an answer."""
    if port > 65_535:
        raise ConfigError(f"--port {port}: a port is at most 65535")
    if twamp_light and (ptp or key_file is not None):
        other = "--ptp" if ptp else "--key-file"
        raise ConfigError(
            f"--twamp-light cannot stand with {other}: TWAMP-Light knows neither; leave one out"
        )
    set_up_logs()
    stop = stop_event()
    where = [(_address(text), port) for text in listen]
    policy = Policy(
        stateless=stateless,
        twamp_light=twamp_light,
        rate_pps=rate_pps,
        tai_offset_s=_tai_offset_s() if ptp else None,
    )
    made = StandaloneReflector(
        where, parse_allowed(allow), SystemClock(), read_clock_quality, policy, _keys(key_file)
    )
    told = ", ".join(f"{address} port {bound}" for (address, _), bound in zip(where, made.ports, strict=True))
    print(f"answering at {told}", file=sys.stderr, flush=True)
    counters = made.run(stop)
    if as_json:
        print(json.dumps(counters))
    else:
        for name, value in counters.items():
            print(f"{name:24} {value}")


def _keys(path: Path | None) -> Mapping[str, bytes]:
    if path is None:
        return {}
    from probes.keys import read_keys  # the YAML reader is not in memory where there are no keys

    return read_keys(path)


def _tai_offset_s() -> int:
    """TAI - UTC as the kernel knows it."""
    offset_s = read_clock_quality().tai_offset_s
    if not offset_s:
        raise ConfigError(
            "--ptp: the kernel does not know how far TAI is ahead of UTC; let the clock daemon tell it "
            "(chrony: `leapsectz right/UTC`), or leave --ptp out"
        )
    return offset_s


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigError(f"--listen {text}: is no IP address; give one of this host's addresses") from None
