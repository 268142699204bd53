"""What a test needs of its machine: the markers root, influx and iperf skip with the reason when missing."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

from tests.influxd import influxd, influxd_with_password
from tests.influxd2 import either_influxd, influxd2

__all__ = ["either_influxd", "influxd", "influxd2", "influxd_with_password"]

# A busy machine is no fault of the code; a printed blob makes a failure findable again.
_ANY_PACE = hypothesis.settings(
    deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("linkgauge", _ANY_PACE, derandomize=True)
hypothesis.settings.register_profile("soak", _ANY_PACE, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "linkgauge"))

_NET_ADMIN, _SYS_ADMIN = 1 << 12, 1 << 21


def _may_make_namespaces() -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    capabilities = int(found[1], 16) if found else 0
    return os.geteuid() == 0 and capabilities & _NET_ADMIN > 0 and capabilities & _SYS_ADMIN > 0


def missing(marker: str) -> str | None:
    """Why tests with this marker cannot run here; None when they can."""
    if marker == "root" and not _may_make_namespaces():
        return "needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN (network namespaces)"
    for name, command in (("influx", "influxd"), ("iperf", "iperf3")):
        if marker == name and shutil.which(command) is None:
            return f"needs {command}; install it (deploy/prepare.sh does, as root)"
    return None


def pytest_configure() -> None:
    """SIGTERM ends a run as Ctrl-C does, so that fixtures take down their processes and namespaces."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers():
        reason = missing(mark.name)
        if reason is not None:
            pytest.skip(reason)
