"""`linkgauge probe`: measure one far end now, without a plan and without a collector."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from console.probe.judgement import is_fine, sentences
from console.probe.result import Result
from console.probe.shooting import Shooting, sent_size
from console.probe.shot import Shot
from console.probe.view import show
from console.running import stop_event
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError, LinkgaugeError
from linkgauge.plan import MAX_FLOWS
from probes.keys import read_keys
from probes.stamp.policy import CAP_PPS

LONGEST_SIZE = 8_972
"""Octets of UDP payload in a packet of 9 000 octets, IPv4."""
_SILENT_S = 2.0
"""A run that is longer than this shows its progress."""
_FILE_WIDTH = 160
HIGHEST_RATE_PPS = 100_000.0


def run(
    peer: Annotated[str, typer.Argument(help="Address or name of the far end.")],
    port: Annotated[int, typer.Option(help="UDP port of its reflector.", min=1, max=65_535)] = 862,
    count: Annotated[
        int, typer.Option(help="Packets of each size and class; a few more may leave.", min=1)
    ] = 100,
    rate_pps: Annotated[float, typer.Option(help="Packets per second of each size and class.")] = 50.0,
    timeout_s: Annotated[float, typer.Option(help="A reply that takes longer is late.")] = 2.0,
    sizes: Annotated[str, typer.Option(help="Octets of UDP payload: 44,512,1400; 0 is the least.")] = "0",
    dscp: Annotated[str, typer.Option(help="Classes: 0,46.")] = "0",
    flows: Annotated[
        int, typer.Option(help="Source ports that the packets are spread over.", min=1, max=MAX_FLOWS)
    ] = 1,
    twamp_light: Annotated[
        bool, typer.Option("--twamp-light", help="The far end speaks TWAMP-Light (RFC 5357 appendix I).")
    ] = False,
    stateless: Annotated[
        bool, typer.Option("--stateless", help="The far end does not number its replies itself.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="Authenticated: YAML file `address: 64 hex digits`, mode 0600.")
    ] = None,
    source: Annotated[str | None, typer.Option("--from", help="Own address to send from.")] = None,
    path: Annotated[bool, typer.Option("--path", help="Find the hops as well.")] = False,
    icmp: Annotated[bool, typer.Option("--icmp", help="Ping as well.")] = False,
    tcp: Annotated[bool, typer.Option("--tcp", help="Connect by TCP as well.")] = False,
    tcp_port: Annotated[int, typer.Option(help="Port for --tcp.", min=1, max=65_535)] = 8_620,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Send STAMP packets to PEER and say what came of them. Needs no privilege.

    Exit 0 when every packet was answered, 1 when some were not, 2 when nothing could be measured.
    """
    address, local = _ends(peer, source)
    key = _key(key_file, address)
    shot = Shot(
        peer=address,
        local=local,
        port=port,
        count=count,
        rate_pps=_between("--rate-pps", rate_pps, 0.01, HIGHEST_RATE_PPS),
        timeout_s=_between("--timeout-s", timeout_s, 0.01, 60.0),
        sizes=_numbers("--sizes", sizes, LONGEST_SIZE),
        classes=_numbers("--dscp", dscp, 63),
        flows=flows,
        reflector=_reflector(twamp_light, stateless),
        authenticated=key is not None,
        path=path,
        icmp=icmp,
        tcp_port=tcp_port if tcp else 0,
    )
    wanted_pps = shot.rate_pps * len(shot.sizes) * len(shot.classes)
    if wanted_pps > CAP_PPS:
        raise ConfigError(
            f"{wanted_pps:.0f} packets a second are more than a reflector answers one peer ({CAP_PPS}); "
            "lower --rate-pps or ask for fewer sizes and classes"
        )
    shooting = Shooting(distinct(shot), SystemClock(), key)
    stop = stop_event()
    with _progress(shot) as told:
        result = shooting.run(told, stop)
    _tell(shot, result, as_json)
    raise typer.Exit(0 if is_fine(result) else 1)


def _tell(shot: Shot, result: Result, as_json: bool) -> None:
    if as_json:
        head = {"peer": shot.peer, "local": shot.local, "port": shot.port, "fine": is_fine(result)}
        print(json.dumps({**head, "judgement": sentences(result), **result.as_dict()}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(f"from {shot.local} to {shot.peer} port {shot.port}")
    show(console, result)


def _ends(peer: str, source: str | None) -> tuple[str, str]:
    """Addresses of the far end and of our own."""
    try:
        families = socket.getaddrinfo(peer, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as err:
        raise LinkgaugeError(f"{peer}: has no address ({err}); give an address or another name") from None
    family, _, _, _, name = families[0]
    if source is not None:
        wanted = socket.AF_INET6 if ":" in source else socket.AF_INET
        family, name = next(((f, n) for f, _, _, _, n in families if f == wanted), (family, name))
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            if source is not None:
                sock.bind((source, 0))
            sock.connect((name[0], 9))  # sends nothing, finds the route
        except OSError as err:
            where = f"from {source} " if source else ""
            raise LinkgaugeError(
                f"{peer}: cannot be reached {where}({err.strerror}); see `ip route get {name[0]}`"
            ) from None
        return str(name[0]), str(sock.getsockname()[0])


def _key(path: Path | None, address: str) -> bytes | None:
    if path is None:
        return None
    keys = read_keys(path)
    if address not in keys:
        raise ConfigError(f"{path}: has no key for {address}; add the line `{address}: KEY`")
    return keys[address]


def _numbers(option: str, text: str, most: int) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and int(word) <= most for word in words):
        raise ConfigError(f"{option} {text}: give whole numbers from 0 to {most} with commas between them")
    return tuple(dict.fromkeys(int(word) for word in words))


def _between(option: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ConfigError(f"{option} {value:g}: must be between {least:g} and {most:g}")
    return value


def _reflector(twamp_light: bool, stateless: bool) -> str:
    if twamp_light and stateless:
        raise ConfigError("--twamp-light and --stateless: give one of them; TWAMP-Light is stateless or not")
    return "twamp-light" if twamp_light else "stateless" if stateless else "stateful"


def distinct(shot: Shot) -> Shot:
    """Sizes that are sent as one are sent once: a packet is never shorter than its parts."""
    sizes = {sent_size(shot, size): size for size in reversed(shot.sizes)}
    return shot if len(sizes) == len(shot.sizes) else replace(shot, sizes=tuple(sorted(sizes.values())))


@contextlib.contextmanager
def _progress(shot: Shot) -> Iterator[Callable[[float], None]]:
    """A bar on stderr while a long run goes on, where somebody can see it."""
    console = Console(stderr=True)
    if not console.is_terminal or shot.duration_s < _SILENT_S:
        yield lambda share: None
        return
    with Progress("measuring", BarColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("measuring", total=1.0)
        yield lambda share: bar.update(task, completed=share)
