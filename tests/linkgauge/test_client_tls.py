"""Certificates of one who connects: faults named, changes followed."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from linkgauge.client_tls import ClientTls
from linkgauge.errors import ConfigError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "two"):
        argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]
        argv += ["-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run(argv, cwd=folder, capture_output=True, check=True)
        (folder / f"{name}.key").chmod(0o600)
    return folder


def copy(made: Path, name: str, to: Path) -> tuple[Path, Path, Path]:
    to.mkdir(exist_ok=True)
    for source, target in ((f"{name}.pem", "ca.pem"), (f"{name}.pem", "c.pem"), (f"{name}.key", "c.key")):
        shutil.copy(made / source, to / target)
    (to / "c.key").chmod(0o600)
    return to / "ca.pem", to / "c.pem", to / "c.key"


def test_the_context_is_the_same_until_a_file_changes(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "linkgauge.client_tls")
    tls = ClientTls(*copy(made, "one", tmp_path))
    first = tls.context()
    assert tls.context() is first
    copy(made, "two", tmp_path)
    second = tls.context()
    assert second is not first
    assert tls.context() is second
    (tmp_path / "c.pem").write_text("no certificate")
    assert tls.context() is second
    assert tls.context() is second
    said = [record.message for record in caplog.records]
    assert said[0].startswith("certificates read again: ")
    assert said[1].endswith("the former certificates stay in force")
    assert len(said) == 2


def test_faults_name_the_file(made: Path, tmp_path: Path) -> None:
    ca_file, certificate, key = copy(made, "one", tmp_path)
    with pytest.raises(ConfigError, match=r"no\.pem: the certificates to trust cannot be read"):
        ClientTls(tmp_path / "no.pem")
    with pytest.raises(ConfigError, match="go together"):
        ClientTls(ca_file, certificate, None)
    with pytest.raises(ConfigError, match=r"c\.key do not serve as certificate and key"):
        ClientTls(ca_file, made / "two.pem", key)
    with pytest.raises(ConfigError, match=r"no\.key: the key cannot be read"):
        ClientTls(ca_file, certificate, tmp_path / "no.key")
    key.chmod(0o604)
    with pytest.raises(ConfigError, match="everybody can read this key"):
        ClientTls(ca_file, certificate, key)
