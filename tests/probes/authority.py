"""A certificate authority for tests: certificates made by the openssl program, valid from when until when."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_CONFIG = """
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = optional
organizationName = optional
countryName = optional
[req]
distinguished_name = empty
[empty]
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def der(self) -> bytes:
        argv = ["openssl", "x509", "-in", str(self.certificate), "-outform", "DER"]
        return subprocess.run(argv, capture_output=True, check=True).stdout


class Authority:
    """Issues certificates in `folder`; skips the test without openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs the openssl program")
        self._folder = folder
        (folder / "config").write_text(_CONFIG, encoding="utf-8")
        (folder / "index").touch()
        (folder / "serial").write_text("01\n", encoding="utf-8")
        subject = ("-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE")
        self._run("req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", *subject)

    @property
    def file(self) -> Path:
        return self._folder / "ca.pem"

    def issue(self, name: str, subject: str, from_days: float = -1, until_days: float = 10) -> Issued:
        """A certificate valid from and until so many days from now; subject as "/CN=..."."""
        request = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject, "-utf8")
        self._run("req", *_NEW_KEY, *request)
        span = ("-startdate", _at(from_days), "-enddate", _at(until_days), "-preserveDN", "-utf8")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-notext")
        self._run("ca", "-batch", "-cert", "ca.pem", "-keyfile", "ca.key", *files, *span)
        return Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def _run(self, command: str, *options: str) -> None:
        argv = ["openssl", command, "-config", "config", *options]
        done = subprocess.run(argv, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _at(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
