"""Faults that nftables makes: a table of our own in one namespace, read anew as a whole. Pure texts.

A table counts what its rules did, so that a test can compare.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.faults.fault import Fault

TABLE = "lab_fault"
_PARTS = 1_000_000
_PRIORITY = {"prerouting": -350, "input": -350, "forward": -350, "output": -350}
_BURST_OCTETS = 15_000

Rule = tuple[str, str]
"""(hook, what nft matches and does)."""


def table(rules: Sequence[Rule]) -> str:
    """The `nft -f` text. It takes the place of an earlier table of ours; without rules there is none then."""
    lines = [f"table ip {TABLE}", f"delete table ip {TABLE}"]
    if rules:
        lines.append(f"table ip {TABLE} {{")
        for hook in dict.fromkeys(hook for hook, _ in rules):
            lines.append(
                f"chain {hook} {{ type filter hook {hook} priority {_PRIORITY[hook]}; policy accept;"
            )
            lines += [text for of, text in rules if of == hook]
            lines.append("}")
        lines.append("}")
    return "\n".join([*lines, ""])


def at_target(fault: Fault, src: str, dst: str, flow_ports: Sequence[int] = ()) -> list[Rule]:
    """Rules in the namespace of a link's far end. src, dst: addresses. flow_ports: for flow-blackhole."""
    pair = f"ip saddr {src} ip daddr {dst}"
    match fault.kind:
        case "loss" | "blackhole":
            text = f"{_share(fault.size)} counter drop"
        case "flow-blackhole":
            text = f"udp sport {{ {', '.join(map(str, flow_ports))} }} counter drop"
        case "remark":
            text = f"counter ip dscp set {round(fault.size)}"
        case "mark-ce":
            text = f"ip ecn ect0 {_share(fault.size)} counter ip ecn set ce"
        case _:
            octets = round(fault.size / 8)
            text = f"limit rate over {octets} bytes/second burst {_BURST_OCTETS} bytes counter drop"
    return [("prerouting", f"{pair} {text}")]


def in_node(fault: Fault, interface: str) -> list[Rule]:
    """Rules in the namespace of a node: all of it, or what comes in by one interface."""
    if fault.kind == "node-down":
        return [("input", 'iifname != "lo" counter drop'), ("output", 'oifname != "lo" counter drop')]
    if fault.kind == "port-remark":
        return [("prerouting", f'iifname "{interface}" counter ip dscp set {round(fault.size)}')]
    return [("prerouting", f'iifname "{interface}" {_share(fault.size)} counter drop')]


def in_site_router() -> list[Rule]:
    """Rules in the router of a site that is cut off: nothing passes its trunks."""
    return [
        ("prerouting", 'iifname "t*" counter drop'),
        ("forward", 'oifname "t*" counter drop'),
        ("output", 'oifname "t*" counter drop'),
    ]


def in_bad_router(interface: str) -> list[Rule]:
    """Rules in a router that loses all that comes by one interface."""
    return [("prerouting", f'iifname "{interface}" counter drop')]


def _share(ratio: float) -> str:
    """The match of that share of packets; empty for all, as nft wants less than the modulus."""
    parts = round(ratio * _PARTS)
    return "" if parts >= _PARTS else f"numgen random mod {_PARTS} < {parts}"
