"""The plan kept on disk and the plan fetched."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import ProtocolError

from linkgauge.clock import NS_PER_S, Instant
from linkgauge.errors import StoreError
from linkgauge.plan import PLAN_VERSION, encode_plan
from probes.plan_cache import Answer, PlanCache, PlanFetcher
from probes.upload.collector_client import CollectorClient
from tests.probes.fake_clock import T0_NS, FakeClock
from tests.probes.fake_pool import Asked, FakePool, response
from tests.probes.plans import plan


def cache(path: Path) -> PlanCache:
    return PlanCache(path / "plan.json", "n1", FakeClock())


def test_what_is_stored_is_loaded(tmp_path: Path) -> None:
    assert cache(tmp_path).load() is None
    cache(tmp_path).store(plan())
    cache(tmp_path).store(plan(cycle_ns=7))
    assert cache(tmp_path).load() == plan(cycle_ns=7)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "plan cannot be read"),
        (encode_plan(plan())[:-1], "plan cannot be read"),
        (encode_plan(plan("n2")), "plan is for agent 'n2', this is 'n1'"),
        (encode_plan(plan()).replace(b'"version":%d' % PLAN_VERSION, b'"version":9'), "plan has version 9"),
    ],
)
def test_a_plan_that_cannot_serve_is_moved_aside(
    tmp_path: Path, body: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plan.json").write_bytes(body)
    assert cache(tmp_path).load() is None
    assert [path.name for path in tmp_path.iterdir()] == [f"plan.json.damaged-{T0_NS // 10**9}"]
    (record,) = caplog.records
    assert f"{tmp_path}/plan.json: {words}" in record.message
    assert "the collector is asked for a new plan" in record.message


def test_a_plan_that_cannot_be_kept_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"plan\.json: the plan cannot be kept"):
        cache(tmp_path / "file").store(plan())
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(StoreError, match=r"plan\.json: the plan cannot be kept"):
        cache(tmp_path).store(plan())
    assert not list(tmp_path.glob(".plan-*"))


def test_an_unreadable_plan_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "plan.json").mkdir()
    assert cache(tmp_path).load() is None
    assert "plan.json: the plan kept cannot be read" in caplog.text


class StepClock(FakeClock):
    """Half a minute later each time."""

    def now(self) -> Instant:
        self.advance(15 * NS_PER_S)
        return super().now()


def fetcher(*script: urllib3.HTTPResponse | Exception, urls: tuple[str, ...] = ("http://a",)) -> PlanFetcher:
    steps = list(script)

    def answer(asked: Asked) -> urllib3.HTTPResponse:
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        assert asked.headers.get("If-None-Match") == ('"e1"' if step.status == 304 else None)
        return step

    client = CollectorClient(urls, "secret", pool=FakePool(answer))
    return PlanFetcher(client, "n1", StepClock(), jitter=lambda: 1.0)


def good(agent: str = "n1") -> urllib3.HTTPResponse:
    return response(200, encode_plan(plan(agent)), {"etag": '"e1"'})


def test_a_new_plan_and_then_unchanged() -> None:
    asking = fetcher(good(), response(304))
    assert asking.fetch() == plan()
    assert asking.fetch() is Answer.UNCHANGED


def test_the_second_address_answers_when_the_first_does_not() -> None:
    asking = fetcher(ProtocolError("refused"), good(), urls=("http://a", "http://b"))
    assert asking.fetch() == plan()


def test_trouble_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "probes.plan_cache")
    refused = ProtocolError("refused")
    asking = fetcher(refused, refused, response(401, b'{"error": "wrong token"}'), good())
    assert [asking.fetch(), asking.fetch(), asking.fetch()] == [None, None, None]
    assert asking.fetch() == plan()
    assert [record.message for record in caplog.records] == [
        "http://a: collector unreachable (refused); the last plan, if there is one, stays in force",
        "http://a: gives no plan (status 401: wrong token); the last plan, if there is one, stays in force",
        "http://a: the collector gives plans again",
    ]


def test_a_plan_for_another_agent_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    asking = fetcher(good("n2"), good("n2"))
    assert [asking.fetch(), asking.fetch()] == [None, None]
    (record,) = caplog.records
    assert record.message == (
        "http://a: plan is for agent 'n2', this is 'n1'; check the token or `node`; "
        "the last plan, if there is one, stays in force"
    )


def test_a_damaged_plan_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert fetcher(response(200, b"{}")).fetch() is None
    assert "plan cannot be read" in caplog.text
