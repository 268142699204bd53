"""The server of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.publish.server import FakeGrafana, serving


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    """A Grafana with nothing in it."""
    with serving() as server:
        yield server
