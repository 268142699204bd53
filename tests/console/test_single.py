"""One program to one data folder, and no folder of somebody else's emptied."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.demo.chain import Chain
from console.main import app
from console.single import is_held, only_one
from linkgauge.errors import ConfigError, LinkgaugeError


def test_a_second_one_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        only_one(folder, "collector", "set data_dir"),
        pytest.raises(ConfigError, match="another collector runs here; end it or set data_dir"),
        only_one(folder, "collector", "set data_dir"),
    ):
        pass
    with only_one(folder, "collector", ""):
        pass


def test_an_agent_and_a_collector_of_one_host_share_its_folder(tmp_path: Path) -> None:
    with only_one(tmp_path, "collector", ""), only_one(tmp_path, "agent", ""):
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "lock.agent"}
        with pytest.raises(ConfigError, match="another agent runs here"), only_one(tmp_path, "agent", ""):
            pass


def test_one_can_look_whether_a_folder_is_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none", "agent")
    with only_one(tmp_path, "agent", ""):
        assert is_held(tmp_path, "agent")
        assert not is_held(tmp_path, "collector")
    assert not is_held(tmp_path, "agent")


def test_a_run_does_not_take_the_folder_of_one_whose_collector_still_works(tmp_path: Path) -> None:
    home = tmp_path / "run" / "collector"
    chain = Chain(tmp_path, loopback=True)
    with only_one(home, "collector", ""), pytest.raises(LinkgaugeError, match="still works there"), chain:
        pass
    assert (home / "lock").exists()
    with chain:
        assert not home.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        only_one(tmp_path / "file" / "data", "agent", "set data_dir in a.yaml"),
    ):
        pass


def test_the_demo_empties_nobody_elses_folder(tmp_path: Path) -> None:
    precious = tmp_path / "run" / "precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(LinkgaugeError, match="is not empty and no demo's folder; name another with --folder"):
        CliRunner().invoke(app, ["demo", "--folder", str(tmp_path), "--loopback"], catch_exceptions=False)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--listen", "127.77.0.300", "--allow", "::1"], "--listen 127.77.0.300: is no IP address"),
        (["--listen", "127.0.0.1", "--allow", "10.0.0.1/24"], "is no address or prefix that can be allowed"),
        (["--listen", "192.0.2.7", "--allow", "::1"], "192.0.2.7 is no address of this host"),
        (["--listen", "127.0.0.1", "--allow", "::1", "--port", "70000"], "a port is at most 65535"),
    ],
)
def test_what_the_reflector_cannot_do_is_one_sentence(options: list[str], sentence: str) -> None:
    with pytest.raises(LinkgaugeError, match=sentence.replace(".", r"\.")):
        CliRunner().invoke(app, ["reflector", *options], catch_exceptions=False)
