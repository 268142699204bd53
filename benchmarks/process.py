"""What a process has used so far, by proc(5)."""

from __future__ import annotations

import os
from pathlib import Path


def usage(pid: int | str = "self") -> dict[str, float]:
    """cpu_s: user and system. peak_mb: the most that was resident."""
    return {"cpu_s": cpu_s(pid), "peak_mb": peak_mb(pid)}


def cpu_s(pid: int | str = "self") -> float:
    """Processor seconds, threads included, children not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int | str = "self") -> float:
    """The most that was resident, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1_000, 1)
