"""Which of a plan's addresses this host has just now: an interface that is down takes its address along."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable


def absent(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of the addresses that no socket can be bound to here because the host does not have them."""
    return tuple(address for address in addresses if not _is_here(address))


def _is_here(address: str) -> bool:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except OSError as err:
        return err.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def sentence(addresses: tuple[str, ...], links: int) -> str:
    """What to say of them, in one line."""
    return (
        f"this host does not have {', '.join(addresses)}: {links} links from there are not probed and their "
        "packets count as send_failed; bring the interface up or correct the node's addresses"
    )
