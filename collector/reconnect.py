"""Connects to the hot store with the secret that its file holds now: a mended one needs no restart."""

from __future__ import annotations

from dataclasses import replace

from collector.settings import InfluxSettings
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import Transport, connect
from linkgauge.errors import ConfigError, SinkHeld


def reconnect(settings: InfluxSettings, address: InfluxAddress) -> Transport:
    """A connection to the database of `address`. Raises as `connect`, and SinkHeld for a faulty file."""
    try:
        password, token = settings.password(), settings.token()
    except ConfigError as err:
        raise SinkHeld(str(err)) from None
    return connect(replace(address, password=password, token=token))
