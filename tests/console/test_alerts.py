"""`linkgauge alerts`: lists, tests of receivers, backtests of real archives; exit codes and sentences."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from collector.sinks.archive import Archive
from collector.sinks.sink import Delivery
from console.main import app
from linkgauge.errors import ConfigError, LinkgaugeError, StoreError
from linkgauge.frame import Frame
from tests.alerts.notices import notice
from tests.alerts.receivers.chat import TOKEN, chatting
from tests.alerts.server import receiving
from tests.alerts.world import series, specs

LINKS = specs(3)
BAD, OK = 0.13, -0.001
FROM, TO = "2025-11-21T12:03", "2025-11-21T12:30"


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["alerts", *map(str, words)])
    if isinstance(result.exception, LinkgaugeError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def archived(folder: Path, *deliveries: list[Frame]) -> Path:
    """An archive with a file for each delivery."""
    cursor = 0
    for frames in deliveries:
        archive = Archive(folder, "abc", cursor, lambda link: {"link": link, "network": "backbone"})
        numbered = [
            Delivery(cursor + at, "j1", "boot", cursor + at, {"state": frame})
            for at, frame in enumerate(frames, 1)
        ]
        archive.write(numbered)
        archive.close()
        cursor += len(frames)
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen minutes of three links: twice five windows of loss, one of them not much."""
    slight = 0.02
    excesses = [*[OK] * 10, *[BAD] * 5, *[OK] * 25, *[slight] * 5, *[OK] * 45]
    frames = series(excesses, LINKS)
    return archived(tmp_path_factory.mktemp("a") / "archive", frames[:50], frames[50:])


def test_backtest_tells_when_it_would_have_fired_and_with_another_bound(
    archive: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "plot.svg"
    options = ("--from", FROM, "--to", TO, "--archive", archive, "--above", 0.05)
    code, text, _ = run("backtest", "link-loss", *options, "--json", "--plot", picture)
    told = json.loads(text)
    assert code == 0
    assert (told["table"], told["windows"], told["rows"], told["files_left_out"]) == ("state", 90, 270, 0)
    own, other = told["trials"]
    assert (own["above"], own["fired"], own["things"], other["above"], other["fired"]) == (0, 6, 3, 0.05, 3)
    assert own["firings"][0] == {
        "about": str(LINKS[0].link), "direction": "forward", "since": "2025-11-21T12:04:40Z",
        "fired_at": "2025-11-21T12:05:00Z", "ended_at": "2025-11-21T12:06:30Z", "no_longer_judged": False,
    }  # fmt: skip
    assert other["firings"] == own["firings"][:3]
    drawn = ElementTree.parse(picture).getroot()  # our own file
    bars = [each for each in drawn.iter("{http://www.w3.org/2000/svg}rect") if len(each)]
    assert len(bars) == 9


def test_backtest_is_a_table_and_a_timeline(archive: Path) -> None:
    options = ("--from", FROM, "--to", TO, "--archive", archive, "--above", 0.05)
    code, text, errors = run("backtest", "link-loss", *options)
    assert (code, errors) == (0, "")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "link-loss: 270 rows of state in 90 windows"
    assert "above 0 % 6 576 3 things 90 s 90 s 9 min" in lines
    assert "above 5 % 3 288 3 things 90 s 90 s 4.5 min" in lines
    assert any("│" in line and "█" in line for line in lines)
    assert f"{LINKS[0].link} forward 2 times, 3 min 1 time, 90 s" in lines


def test_backtest_without_anything_to_tell(archive: Path) -> None:
    code, text, _ = run("backtest", "link-delay", "--from", FROM, "--to", TO, "--archive", archive, "--json")
    assert (code, json.loads(text)["trials"][0]["fired"]) == (0, 0)
    code, text, _ = run("backtest", "link-delay", "--from", FROM, "--to", TO, "--archive", archive)
    assert code == 0


def test_a_time_without_trouble_is_an_answer_where_windows_were_judged(archive: Path) -> None:
    for rule in ("common-cause", "common-mtu"):
        code, text, _ = run("backtest", rule, "--from", FROM, "--to", TO, "--archive", archive, "--json")
        said = json.loads(text)
        assert (code, said["trials"][0]["fired"], said["rows"]) == (0, 0, 0)
        assert said["windows"] == 90
    assert run("backtest", "common-cause", "--from", FROM, "--to", TO, "--archive", archive)[0] == 0
    span = ("--from", "2024-01-01", "--to", "2024-01-01T01:00")
    with pytest.raises(StoreError, match="has no rows of state from"):
        run("backtest", "common-cause", *span, "--archive", archive)


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        (["link-los"], ConfigError, "there is no rule 'link-los'; there are agent-backlog, .*link-loss"),
        (["collector-silent"], ConfigError, "collector-silent is Grafana's alone"),
        (["link-loss", "--below", "1"], ConfigError, "rule link-loss fires above 0 %; give --above"),
        (["link-loss", "--below", "1", "--above", "1"], ConfigError, "give --above or --below, not both"),
        (["link-loss", "--above", "nan"], ConfigError, "a bound of nan is never passed; give a number"),
        (
            ["link-loss", "--plot", "loss.png"],
            ConfigError,
            r"loss.png: the picture is an SVG; give --plot .*",
        ),
        (["certificate-expiring", "--above", "1"], ConfigError, "fires below .*; give --below"),
        (["node-down"], StoreError, "has no rows of node from .*; see `linkgauge archive list`"),
    ],
)
def test_what_cannot_be_done_is_said(
    archive: Path, words: list[str], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        run("backtest", *words, "--from", FROM, "--to", TO, "--archive", archive)


def test_a_span_that_is_none_or_empty_and_a_folder_that_is_none(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--from 2025-11-21T12:30:00Z is not before --to 2025-11-21T12:03:00Z"
    ):
        run("backtest", "link-loss", "--from", TO, "--to", FROM, "--archive", archive)
    span = ("--from", "2024-01-01", "--to", "2024-01-01T01:00")
    with pytest.raises(StoreError, match=r"has no rows of state from 2024-01-01T00:00:00Z to 2024-01-01T01"):
        run("backtest", "link-loss", *span, "--archive", archive)
    with pytest.raises(StoreError, match="nowhere: there is no such folder"):
        run("backtest", "link-loss", "--from", FROM, "--archive", tmp_path / "nowhere")


def test_damaged_files_are_left_out_and_told(tmp_path: Path) -> None:
    frames = series([BAD] * 8, LINKS)
    folder = archived(tmp_path / "archive", frames[:6], frames[6:])
    next(folder.rglob("abc-7-8.parquet")).write_bytes(b"PAR1 no more")
    options = ("--from", FROM, "--to", TO, "--archive", folder)
    code, text, errors = run("backtest", "link-loss", *options, "--json")
    assert code == 1
    assert (json.loads(text)["windows"], json.loads(text)["files_left_out"]) == (6, 1)
    assert "1 damaged files were left out" in errors
    next(folder.rglob("abc-1-6.parquet")).write_bytes(b"PAR1 no more")
    with pytest.raises(StoreError, match="2 of its files are damaged and were left out"):
        run("backtest", "link-loss", *options)


def settings(folder: Path, receivers: str) -> Path:
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(TOKEN)
    file = folder / "collector.yaml"
    file.write_text(f"inventory: i.yaml\ndata_dir: d\ntokens: t.yaml\nreceivers: [{receivers}]\n")
    return file


def test_a_test_message_is_marked_and_the_answer_is_told(tmp_path: Path) -> None:
    with chatting() as chat:
        ding = f"{{name: ding, kind: dingtalk, url: '{chat.url}/robot/send', token_file: token}}"
        code, text, _ = run("test", "ding", "--config", settings(tmp_path, ding))
        assert (code, text) == (0, "dingtalk ding took it: code 0 (ok)\n")
        chat.token = "another"
        code, text, _ = run("test", "ding", "--config", settings(tmp_path, ding))
    assert code == 1
    assert text.startswith("not taken: dingtalk ding: answered with code 300005 (token is not exist); mend")
    assert "TEST TICKET firing: Test of a receiver" in str(chat.taken)
    with receiving(204) as received:
        hook = f"{{name: hook, kind: webhook, url: '{received.url}', severities: [page]}}"
        assert run("test", "hook", "--config", settings(tmp_path, hook))[:2] == (
            0,
            "webhook hook took it: status 204\n",
        )
    assert (received.bodies[0]["test"], received.bodies[0]["severity"]) == (True, "page")


@pytest.mark.parametrize(
    ("status", "mend"),
    [(429, "tried again until it is taken: try later"), (500, "ask who runs"), (401, "mend its url"),
     (400, "given up: correct the receiver")],
)  # fmt: skip
def test_who_does_not_take_a_test_message_is_told_with_what_to_do(
    tmp_path: Path, status: int, mend: str
) -> None:
    with receiving(status) as received:
        hook = f"{{name: hook, kind: webhook, url: '{received.url}'}}"
        code, text, _ = run("test", "hook", "--config", settings(tmp_path, hook))
    assert code == 1
    assert f"with status {status}" in text
    assert mend in text


def test_a_receiver_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no receiver 'x'; there are none: write `receivers`"):
        run("test", "x", "--config", settings(tmp_path, ""))
    one = settings(tmp_path, "{name: a, kind: webhook, url: 'http://127.0.0.1:9'}")
    with pytest.raises(ConfigError, match=r"there is no receiver 'x'; there are a$"):
        run("test", "x", "--config", one)


@contextmanager
def collector(alerts: list[dict[str, Any]]) -> Iterator[str]:
    """What answers /v1/alerts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(alerts).encode()
            self.send_response(200 if self.path == "/v1/alerts" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_list_tells_what_fires_and_what_is_held_back_and_why() -> None:
    held = notice(id="link-delay/a>b@net/-", severity="ticket", about="a>b@net", direction="-")
    alerts = [
        {**held, "told": False, "held": "explained by node-down/b/-"},
        {**notice(), "told": True, "held": None},
    ]
    with collector(alerts) as url:
        code, text, _ = run("list", "--collector", url)
        assert code == 1
        assert run("list", "--collector", url, "--json")[:2] == (1, json.dumps(alerts) + "\n")
    with collector(alerts[:1]) as url:
        assert run("list", "--collector", url)[0] == 0
    drill = {**notice(labels={"drill": "true"}), "told": True, "held": None}
    with collector([drill]) as url:
        code, words, _ = run("list", "--collector", url)
    assert code == 0
    assert words.startswith("0 alerts fire, 1 more are held back")
    assert "drill: receivers of drills only" in words
    lines = text.splitlines()
    assert lines[0] == "1 alerts fire, 1 more are held back"
    assert lines[2].split()[:3] == ["page", "link-loss", "jinan-1>guiyang-1@backbone"]
    assert "2025-11-21 12:03:00 UTC" in lines[2]
    assert "explained by node-down/b/-" in " ".join(text.split())


def test_list_of_nothing_and_of_nobody() -> None:
    with collector([]) as url:
        assert run("list", "--collector", url)[:2] == (0, "0 alerts fire, 0 more are held back\n")
    with pytest.raises(LinkgaugeError, match="no collector answers there"):
        run("list", "--collector", url)
