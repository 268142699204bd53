"""Every course is run once for all tests."""

from __future__ import annotations

import pytest

from tests.probes.simulation.runs import COURSES, Run, run


@pytest.fixture(scope="session", params=list(COURSES))
def each_run(request: pytest.FixtureRequest) -> Run:
    return run(request.param, COURSES[request.param])
