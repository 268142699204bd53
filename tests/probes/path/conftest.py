"""Fixtures of the path probe's tests."""

from __future__ import annotations

import pytest

from probes.path import exchange, probe


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from the network in memory comes at once, and needs no pause."""
    monkeypatch.setattr(exchange, "LAG_NS", 0)
    monkeypatch.setattr(probe, "LEAST_PPS", probe.MOST_PPS)
