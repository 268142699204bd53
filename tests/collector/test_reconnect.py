"""The hot store is connected to with the secret that its file holds now."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.reconnect import reconnect
from collector.settings import InfluxSettings
from collector.sinks.influx_address import InfluxAddress
from console.token import write_secret
from linkgauge.errors import SinkHeld


def test_a_changed_password_counts_from_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def connect(address: InfluxAddress) -> None:
        assert address.password is not None
        shown.append(address.password.get_secret_value())

    monkeypatch.setattr("collector.reconnect.connect", connect)
    file = tmp_path / "password"
    settings = InfluxSettings(url="http://127.0.0.1:9", user="linkgauge", password_file=file)
    address = InfluxAddress(settings.url, user=settings.user)
    for secret in ("former", "new"):
        write_secret(file, secret)
        reconnect(settings, address)
    assert shown == ["former", "new"]
    file.chmod(0o644)
    with pytest.raises(SinkHeld, match="chmod 600"):
        reconnect(settings, address)
