"""What goes wrong with a Grafana: each fault is one sentence, and what passes is tried again."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from dashboards.publish.grafana import Client, Grafana
from dashboards.publish.publisher import changes
from linkgauge.errors import ConfigError, LinkgaugeError
from tests.dashboards.publish.asked import alerting, client, published, rule, wanted
from tests.dashboards.publish.server import TOKEN, FakeGrafana, serving


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, '{"message":"Unauthorized"}', "make one for a service account with the role Admin"),
        (401, '{"message":"Invalid API key"}', "make one for a service account with the role Admin"),
        (403, '{"message":"Permissions needed: x"}', "give its service account the role Admin"),
        (404, "no such page", "answers, but not as Grafana does; check the address"),
        (302, "", "give the address that it redirects to"),
        (412, '{"message":"a folder with the same name already exists"}', "use one way of the two"),
        (500, "{}", "answered 500 to reading its version, saying 'nothing'; see Grafana's log"),
        (500, "<!DOCTYPE html>\n<html><h1>no</h1></html>", "saying 'a page of HTML'; see Grafana's log"),
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
    with pytest.raises(
        LinkgaugeError, match="401 to reading folder linkgauge, saying 'Invalid API key'; check the token"
    ):
        changes(client(fake, token="other"), wanted())
    assert caplog.records == [], "the library's own lines"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(fake: FakeGrafana, status: int) -> None:
    waits: list[float] = []
    fake.refusals = [(status, "{}"), (status, "busy")]
    assert changes(Client(Grafana(fake.url, TOKEN), pause=waits.append), wanted())
    assert waits == [1.0, 3.0]
    fake.refuse_always = (status, "busy")
    with pytest.raises(LinkgaugeError, match=f"{status} to reading its version, saying 'busy'"):
        changes(client(fake), wanted())


def test_a_sqlite_that_is_locked_for_a_moment_is_tried_again(fake: FakeGrafana) -> None:
    fake.refusals = [(500, '{"message":"failed to update alert rules: database is locked"}')]
    assert changes(client(fake), wanted())


def test_a_fault_on_the_way_tells_how_far_it_came_and_the_next_run_goes_on(fake: FakeGrafana) -> None:
    bad = wanted(alerting=alerting(rule(), {**rule("delay"), "condition": "Z"}))
    with pytest.raises(
        LinkgaugeError,
        match=r"answered 400 to adding alert rule linkgauge-delay, .*\. 8 of 10 changes were made; ",
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
