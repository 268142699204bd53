"""Why a UDP address could not be bound, for people. Pure."""

from __future__ import annotations

import errno
import os


def sentence(address: str, port: int, err: OSError) -> str:
    """One sentence with the address, the port and the mend."""
    where = f"UDP {address} port {port}"
    if err.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program; stop it or choose another port"
    if err.errno == errno.EACCES:
        return (
            f"{where} needs root or CAP_NET_BIND_SERVICE; choose a port from 1024 on or grant the capability"
        )
    if err.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this host; correct the address"
    return f"{where} cannot be bound: {os.strerror(err.errno or 0)}"
