"""install.sh: what it writes is what the programs read, and it never writes over a person's work."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collector.settings import Settings
from probes.settings import load

SCRIPT = Path(__file__).parents[2] / "deploy" / "install.sh"


def install(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", SCRIPT, *map(str, words)], capture_output=True, text=True, check=False)


def test_an_agent(tmp_path: Path) -> None:
    token, ca = tmp_path / "n1.token", tmp_path / "authority.pem"
    token.write_text("secret-word\n")
    ca.write_text("certificate\n")
    done = install(
        "agent", "--root", tmp_path, "--node", "n1", "--collector", "https://a:8440", "--collector",
        "https://b:8440", "--token", token, "--ca", ca,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "etc/linkgauge"
    settings = load(folder / "agent.yaml")
    assert settings.node == "n1"
    assert settings.collectors == ["https://a:8440", "https://b:8440"]
    assert settings.token_file == folder / "token"
    assert settings.ca_file == folder / "ca.pem"
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "etc/systemd/system/linkgauge-agent.service").exists()
    assert "secret-word" not in done.stdout


def test_a_second_run_keeps_what_a_person_wrote(tmp_path: Path) -> None:
    assert install("collector", "--root", tmp_path).returncode == 0
    file = tmp_path / "etc/linkgauge/collector.yaml"
    file.write_text(file.read_text() + "name: mine\n")
    again = install("collector", "--root", tmp_path, "--listen", "192.0.2.1:8440")
    assert f"kept     {file}" in again.stdout
    settings = Settings.load(file)
    assert (settings.name, settings.listen) == ("mine", "127.0.0.1:8440")


def test_a_reflector(tmp_path: Path) -> None:
    assert install(
        "reflector", "--root", tmp_path, "--listen", "192.0.2.1", "--allow", "192.0.2.0/24"
    ).returncode == 0  # fmt: skip
    options = (tmp_path / "etc/linkgauge/reflector.env").read_text()
    assert options == "REFLECTOR_OPTIONS=--listen 192.0.2.1 --allow 192.0.2.0/24\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("probe",), "there is no role probe"),
        (("agent", "--node", "n1"), "an agent needs --node and --collector"),
        (("agent", "--colector", "x"), "there is no option --colector"),
        (("agent", "--node"), "--node needs a value"),
        (("reflector",), "a reflector needs --listen and --allow"),
        (("agent", "--node", "n", "--collector", "https://c", "--ca", "/no/such"), "/no/such cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = install(*words, *(() if words[-1] == "--node" else ("--root", tmp_path)))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "etc").exists()
