"""Publishing to a server that answers as Grafana 9.4 does."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.publish.change import Change, covers, differences
from dashboards.publish.grafana import Client, Grafana
from dashboards.publish.publisher import carry_out, changes
from dashboards.publish.wanted import Alerting, Group, Wanted
from linkgauge.errors import ConfigError, LinkgaugeError
from tests.dashboards.publish.server import TOKEN, FakeGrafana, serving

Json = dict[str, Any]
ROUTE: Json = {
    "receiver": "linkgauge-page",
    "object_matchers": [["grafana_folder", "=", "linkgauge alerts"]],
    "routes": [
        {
            "receiver": "linkgauge-page",
            "object_matchers": [["severity", "=", "page"], ["link", "=~", ".+"]],
            "mute_time_intervals": ["linkgauge-work"],
        }
    ],
}
POINT: Json = {
    "uid": "linkgauge-page-webhook",
    "name": "linkgauge-page",
    "type": "webhook",
    "settings": {"url": "http://127.0.0.1:9/", "password": "of-the-webhook"},
}
TIMING: Json = {
    "name": "linkgauge-work",
    "time_intervals": [{"times": [{"start_time": "18:00", "end_time": "24:00"}]}],
}
OTHERS: Json = {"receiver": "grafana-default-email", "object_matchers": [["team", "=", "web"]]}


def board(title: str = "Network overview", uid: str = "linkgauge-overview") -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["linkgauge"],
        "schemaVersion": 36,
        "version": 1,
        "panels": [],
    }


def rule(name: str = "loss", bound: float = 2.5) -> Json:
    return {
        "uid": f"linkgauge-{name}",
        "folderUID": "linkgauge-alerts",
        "ruleGroup": "linkgauge-links",
        "title": name,
        "condition": "C",
        "data": [
            {"refId": "A", "datasourceUid": "linkgauge-influx", "model": {"query": "SELECT 1"}},
            {"refId": "C", "datasourceUid": "__expr__", "model": {"conditions": [{"params": [bound]}]}},
        ],
        "noDataState": "OK",
        "execErrState": "OK",
        "for": "0s",
    }


def alerting(
    *rules: Json, points: Sequence[Json] = (POINT,), timings: Sequence[Json] = (TIMING,)
) -> Alerting:
    group = Group("linkgauge-alerts", "linkgauge-links", 10, rules or (rule(), rule("delay")))
    return Alerting([group], points, ROUTE, timings)


def wanted(**changed: Any) -> Wanted:
    source = {
        "uid": "linkgauge-influx",
        "name": "linkgauge",
        "url": "http://x",
        "secureJsonData": {"password": "p"},
    }
    made = Wanted(
        folders={"linkgauge": "linkgauge", "linkgauge-alerts": "linkgauge alerts"},
        board_folder="linkgauge",
        boards={"overview": board()},
        spared=frozenset({"linkgauge-overview-zh"}),
        data_sources={"linkgauge-influx": source},
        alerting=alerting(),
    )
    return replace(made, **changed)


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with serving() as server:
        yield server


def client(fake: FakeGrafana, **changed: Any) -> Client:
    return Client(replace(Grafana(fake.url, TOKEN), **changed), pause=lambda _: None)


def published(fake: FakeGrafana, asked: Wanted) -> list[str]:
    """Publish; the first line of each change that was made."""
    with client(fake) as calls:
        todo = changes(calls, asked)
        carry_out(todo)
    return [f"{change.sign} {change.what}" for change in todo]


def test_everything_is_made_in_an_order_that_grafana_takes(fake: FakeGrafana) -> None:
    assert published(fake, wanted()) == [
        "+ folder linkgauge",
        "+ folder linkgauge alerts",
        "+ data source linkgauge-influx",
        "+ board linkgauge-overview",
        "+ contact point linkgauge-page-webhook",
        "+ mute timing linkgauge-work",
        "+ notification policy linkgauge",
        "+ alert rule linkgauge-loss",
        "+ alert rule linkgauge-delay",
        "+ alert rule group linkgauge-links",
    ]
    state = fake.state
    assert set(state.rules) == {"linkgauge-loss", "linkgauge-delay"}
    assert state.intervals == {("linkgauge-alerts", "linkgauge-links"): 10}
    assert state.boards["linkgauge-overview"][1] == "linkgauge"
    assert state.points["linkgauge-page-webhook"]["settings"]["password"] == "of-the-webhook"
    assert state.policies["receiver"] == "grafana-default-email"


def test_a_second_time_nothing_is_sent(fake: FakeGrafana) -> None:
    published(fake, wanted())
    before = len(fake.writes)
    assert published(fake, wanted()) == []
    assert len(fake.writes) == before


def test_reading_alone_changes_nothing(fake: FakeGrafana) -> None:
    assert changes(client(fake), wanted())
    assert fake.writes == []


def test_what_differs_is_shown_and_sent_and_nothing_else(fake: FakeGrafana) -> None:
    published(fake, wanted())
    asked = wanted(boards={"overview": board("Overview")}, alerting=alerting(rule(bound=3.5), rule("delay")))
    told = "\n".join(map(str, changes(client(fake), asked)))
    assert "~ board linkgauge-overview\n    -title: Network overview\n    +title: Overview" in told
    assert "-      - 2.5" in told
    assert "+      - 3.5" in told
    assert published(fake, asked) == [
        "~ board linkgauge-overview",
        "~ alert rule linkgauge-loss",
        "~ alert rule group linkgauge-links",
    ]
    assert fake.state.rules["linkgauge-loss"] == rule(bound=3.5)


def test_only_what_is_ours_is_pruned(fake: FakeGrafana) -> None:
    published(fake, wanted(alerting=alerting(rule(), rule("old"))))
    state = fake.state
    state.boards["linkgauge-old"] = (board(uid="linkgauge-old"), "linkgauge")
    state.boards["linkgauge-overview-zh"] = (board(uid="linkgauge-overview-zh"), "linkgauge")
    state.boards["linkgauge-mine"] = (board(uid="linkgauge-mine"), "elsewhere")
    state.boards["theirs"] = (board(uid="theirs"), "linkgauge")
    state.rules["theirs"] = {**rule("theirs"), "uid": "theirs", "ruleGroup": "theirs"}
    state.points["theirs"] = {**POINT, "uid": "theirs", "name": "theirs"}
    state.timings["theirs"] = {**TIMING, "name": "theirs"}
    state.timings["linkgauge-past"] = {**TIMING, "name": "linkgauge-past"}
    state.points["linkgauge-page-email"] = {**POINT, "uid": "linkgauge-page-email"}
    assert published(fake, wanted(alerting=alerting(rule()))) == [
        "- board linkgauge-old",
        "- alert rule linkgauge-old",
        "- mute timing linkgauge-past",
        "- contact point linkgauge-page-email",
    ]
    assert set(state.boards) == {"linkgauge-overview", "linkgauge-overview-zh", "linkgauge-mine", "theirs"}
    assert set(state.rules) == {"linkgauge-loss", "theirs"}
    assert set(state.points) == {"linkgauge-page-webhook", "theirs"}
    assert set(state.timings) == {"linkgauge-work", "theirs"}


def test_the_routes_of_others_stay(fake: FakeGrafana) -> None:
    fake.state.policies["routes"] = [OTHERS]
    published(fake, wanted())
    assert [route["receiver"] for route in fake.state.policies["routes"]] == [
        "linkgauge-page",
        OTHERS["receiver"],
    ]
    fake.state.policies["routes"] = [OTHERS, {**ROUTE, "receiver": "grafana-default-email"}, ROUTE]
    assert published(fake, wanted()) == ["~ notification policy linkgauge"]
    assert [route["receiver"] for route in fake.state.policies["routes"]] == [
        OTHERS["receiver"],
        "linkgauge-page",
    ]
    assert fake.state.policies["receiver"] == "grafana-default-email"


def test_a_mute_timing_goes_after_the_policy_that_named_it(fake: FakeGrafana) -> None:
    published(fake, wanted())
    quiet = {**ROUTE, "routes": [{"receiver": "linkgauge-page"}]}
    asked = replace(alerting(timings=()), route=quiet)
    assert published(fake, wanted(alerting=asked)) == [
        "~ notification policy linkgauge",
        "- mute timing linkgauge-work",
    ]


def test_without_alerting_it_is_left_alone(fake: FakeGrafana) -> None:
    published(fake, wanted(alerting=None))
    assert [path for _, path in fake.asked if "provisioning" in path] == []


def test_a_data_source_that_is_there_stays_and_a_missing_one_is_told(fake: FakeGrafana) -> None:
    with pytest.raises(
        LinkgaugeError, match=r"has no data source of uid linkgauge-influx, which .*--influxdb"
    ):
        changes(client(fake), wanted(data_sources={"linkgauge-influx": None}))
    fake.state.sources["linkgauge-influx"] = {"name": "mine", "url": "http://mine"}
    published(fake, wanted())
    assert fake.state.sources["linkgauge-influx"]["url"] == "http://mine"


def test_a_contact_point_whose_secret_changed_is_written_when_asked(fake: FakeGrafana) -> None:
    published(fake, wanted())
    point = {**POINT, "settings": {**POINT["settings"], "password": "a new one"}}
    asked = wanted(alerting=alerting(points=[point]))
    assert changes(client(fake), asked) == []
    todo = changes(client(fake), asked, rewrite=True)
    assert [change.what for change in todo] == ["contact point linkgauge-page-webhook"]
    carry_out(todo)
    assert fake.state.points["linkgauge-page-webhook"]["settings"]["password"] == "a new one"


def test_values_of_contact_points_are_never_shown(fake: FakeGrafana) -> None:
    published(fake, wanted())
    point = {**POINT, "settings": {"url": "http://127.0.0.1:9/?access_token=very-secret"}}
    told = "\n".join(map(str, changes(client(fake), wanted(alerting=alerting(points=[point])))))
    assert "settings.url changes" in told
    assert "very-secret" not in told


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, '{"message":"Unauthorized"}', "make one for a service account with the role Admin"),
        (401, '{"message":"Invalid API key"}', "make one for a service account with the role Admin"),
        (403, '{"message":"Permissions needed: x"}', "give its service account the role Admin"),
        (404, "no such page", "is Grafana's root and that its unified alerting is not switched off"),
        (302, "", "give the address that it redirects to"),
        (412, '{"message":"a folder with the same name already exists"}', "use one way of the two"),
        (500, "{}", "answered reading its version with 500, saying 'nothing'; see Grafana's log"),
        (200, "[]", "answers, but not as Grafana does; check the address"),
        (200, "3", "answers, but not as Grafana does; check the address"),
        (200, "<html>hello</html>", "answers, but not as Grafana does; check the address"),
        (200, '{"name":"influxdb","status":"pass"}', "answers, but not as Grafana does; check the address"),
        (200, '{"database":"ok","version":"9.3.6"}', "by hand"),
    ],
)  # fmt: skip
def test_refusals_are_one_sentence(fake: FakeGrafana, status: int, body: str, sentence: str) -> None:
    fake.refuse_always = (status, body)
    with pytest.raises(LinkgaugeError) as caught:
        changes(client(fake), wanted())
    assert str(caught.value).endswith(sentence)
    assert fake.url in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_old_a_grafana_says_what_is_needed(fake: FakeGrafana) -> None:
    fake.state.version = "9.3.6"
    with pytest.raises(LinkgaugeError, match=r"is 9\.3\.6, too old: needs 9\.4 or later"):
        changes(client(fake), wanted())
    fake.state.version = "13.0.0"
    assert changes(client(fake), wanted())


def test_a_wrong_token_is_told(fake: FakeGrafana, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LinkgaugeError, match="with 401, saying 'Invalid API key'; check the token"):
        changes(client(fake, token="other"), wanted())
    assert caplog.records == [], "the library's own lines"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(fake: FakeGrafana, status: int) -> None:
    waits: list[float] = []
    fake.refusals = [(status, "{}"), (status, "busy")]
    assert changes(Client(Grafana(fake.url, TOKEN), pause=waits.append), wanted())
    assert waits == [1.0, 3.0]
    fake.refuse_always = (status, "busy")
    with pytest.raises(LinkgaugeError, match=f"with {status}, saying 'busy'"):
        changes(client(fake), wanted())


def test_a_sqlite_that_is_locked_for_a_moment_is_tried_again(fake: FakeGrafana) -> None:
    fake.refusals = [(500, '{"message":"failed to update alert rules: database is locked"}')]
    assert changes(client(fake), wanted())


def test_a_fault_on_the_way_tells_how_far_it_came_and_the_next_run_goes_on(fake: FakeGrafana) -> None:
    bad = wanted(alerting=alerting(rule(), {**rule("delay"), "condition": "Z"}))
    with pytest.raises(
        LinkgaugeError, match=r"adding alert rule linkgauge-delay with 400, .*\(8 of 10 changes"
    ):
        published(fake, bad)
    assert published(fake, wanted()) == [
        "+ alert rule linkgauge-delay",
        "~ alert rule group linkgauge-links",
    ]
    assert set(fake.state.rules) == {"linkgauge-loss", "linkgauge-delay"}


def test_silence_is_told_with_the_time_waited(fake: FakeGrafana) -> None:
    fake.stands_still.clear()
    with pytest.raises(LinkgaugeError, match=r"did not answer within 0\.2 s \(its version\)"):
        changes(client(fake, timeout_s=0.2), wanted())


def test_nobody_there_and_no_tls(fake: FakeGrafana) -> None:
    with pytest.raises(LinkgaugeError, match=r"does not speak TLS as it should .*http or https"):
        changes(client(fake, url=fake.url.replace("http", "https", 1)), wanted())
    with pytest.raises(LinkgaugeError, match=r"cannot be reached .*check the address"):
        changes(client(fake, url="http://127.0.0.1:1"), wanted())


def test_a_certificate_is_trusted_when_its_authority_is_named(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out ca.pem -days 2"
    name = "-subj /CN=grafana -addext subjectAltName=IP:127.0.0.1"
    argv = ["openssl", "req", "-x509", *new.split(), *name.split()]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    with serving(context) as fake:
        url = fake.url.replace("http", "https", 1)
        with pytest.raises(LinkgaugeError, match=r"shows a certificate that is not trusted .* --ca"):
            changes(client(fake, url=url), wanted())
        with client(fake, url=url, ca=tmp_path / "ca.pem") as trusting:
            assert changes(trusting, wanted())
    with pytest.raises(ConfigError, match=r"--ca: .* cannot be used"):
        client(fake, ca=tmp_path / "none")


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://x", "http://user:secret@x", "http://", ""])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="--grafana"):
        Client(Grafana(url, TOKEN))


def test_the_token_is_never_printed() -> None:
    assert TOKEN not in repr(Grafana("http://127.0.0.1:1", TOKEN))


@pytest.mark.parametrize(
    ("there", "asked", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({}, {"a": [], "b": "", "c": False}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": "[REDACTED]"}, {"a": "secret"}, True),
        ({"a": None}, {"a": 1}, False),
    ],
)
def test_what_grafana_adds_is_no_difference(there: Json, asked: Json, same: bool) -> None:
    assert covers(there, asked) is same


def test_a_label_that_is_no_longer_wanted_goes(fake: FakeGrafana) -> None:
    labelled = {**rule(), "labels": {"severity": "page", "drill": "true"}}
    published(fake, wanted(alerting=alerting(labelled)))
    plain = {**rule(), "labels": {"severity": "page"}}
    assert published(fake, wanted(alerting=alerting(plain)))
    assert fake.state.rules["linkgauge-loss"]["labels"] == {"severity": "page"}


def test_a_long_difference_is_cut() -> None:
    lines = differences({}, {str(at): at for at in range(100)})
    assert len(lines) == 41
    assert lines[-1] == "... and 61 lines more"
    assert str(Change("-", "board x", lambda: None)) == "- board x"
