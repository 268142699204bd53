"""What a test needs of its machine: the markers root, influx and iperf skip with the reason when it is missing."""

from __future__ import annotations

import os
import shutil

import hypothesis
import pytest

# A busy machine is no fault of the code; repeated examples keep a failure findable.
hypothesis.settings.register_profile("linkgauge", deadline=None, print_blob=True)
hypothesis.settings.load_profile("linkgauge")


def missing(marker: str) -> str | None:
    """Why tests with this marker cannot run here; None when they can."""
    if marker == "root" and os.geteuid() != 0:
        return "needs root (network namespaces); run the tests as root"
    for name, command in (("influx", "influxd"), ("iperf", "iperf3")):
        if marker == name and shutil.which(command) is None:
            return f"needs {command}; install it (deploy/prepare.sh does, as root)"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers():
        reason = missing(mark.name)
        if reason is not None:
            pytest.skip(reason)
