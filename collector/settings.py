"""The collector's settings: one YAML file. Relative paths in it are relative to the file itself.

Secrets stand in files of their own (mode 0600) or in the environment, never in the settings:

    LINKGAUGE_INFLUXDB_PASSWORD, LINKGAUGE_INFLUXDB_TOKEN, LINKGAUGE_WEBHOOK_<NAME>_TOKEN,
    LINKGAUGE_PEER_TOKEN, LINKGAUGE_RECEIVER_<NAME>_TOKEN, ..._SECRET, ..._PASSWORD
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from collector.receiver_settings import ReceiverSettings
from collector.secret import read_secret
from linkgauge.inventory_file import Name
from linkgauge.plan import MAX_TAKE_OVER_S
from linkgauge.probing import Model
from linkgauge.url import Url
from linkgauge.wire import MAX_BODY_BYTES
from linkgauge.yaml_file import Partly, read_partly

M = TypeVar("M", bound=Model)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def host_and_port(text: str) -> tuple[str, int]:
    """``127.0.0.1:8440``, ``[::1]:8440`` or ``name:8440`` apart; raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("must be host:port with a port of 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise ValueError("must have an IPv6 address between the brackets") from None
    if not _HOST.fullmatch(host):
        raise ValueError("must be host:port; an IPv6 address stands in brackets")
    return host, int(port)


def _listen(text: str) -> str:
    host_and_port(text)
    return text


class Tls(Model):
    """Certificate chain and private key, PEM; read again when they change.

    client_ca: authorities whose client certificates are taken; with it a client without one is refused.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class ArchiveSettings(Model):
    """compact_after_s: age of files before they are put together; keep_days: None = for good."""

    flush_s: float = Field(60, gt=0, le=3600)
    path: Path | None = None
    compact_after_s: float = Field(7200, ge=0)
    keep_days: int | None = Field(None, ge=1)
    keep_free_mb: int = Field(512, ge=0)


class InfluxSettings(Model):
    """Where the hot store is. user/password_file for 1.x, org/bucket/token_file for 2.x and 3."""

    url: Url
    database: str = Field("linkgauge", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    user: str | None = None
    password_file: Path | None = None
    org: str | None = None
    bucket: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    rollups: bool = True
    keep_days: int = Field(30, ge=1)
    keep_5m_days: int = Field(180, ge=1)
    keep_1h_days: int = Field(1095, ge=1)
    max_series: int = Field(1_000_000, ge=1000)

    @property
    def databases(self) -> tuple[tuple[str, int], ...]:
        """(name, days kept) of the raw, the 5-minute and the 1-hour database or bucket."""
        name = self.bucket or self.database
        days = (self.keep_days, self.keep_5m_days, self.keep_1h_days)
        return tuple(zip((name, f"{name}_5m", f"{name}_1h"), days, strict=True))

    def password(self) -> SecretStr | None:
        return read_secret("influxdb_password", self.password_file)

    def token(self) -> SecretStr | None:
        return read_secret("influxdb_token", self.token_file)


class Webhook(Model):
    """The short form of a receiver of kind webhook, told of every alert that is no drill."""

    name: Name
    url: Url
    token_file: Path | None = None

    def token(self) -> SecretStr | None:
        return read_secret(f"webhook_{self.name}_token", self.token_file)


class JournalSettings(Model):
    """max_mb: bodies kept at most; keep_days: how long a second copy of a batch is known as one.

    body_days: how long a body may wait for a store; keep_free_mb: what the disk keeps free.
    """

    max_mb: int = Field(2048, ge=1)
    keep_days: float = Field(9, gt=0, le=400)
    body_days: float = Field(30, gt=0, le=400)
    keep_free_mb: int = Field(256, ge=0)


class Limits(Model):
    """What one agent, and all together, may ask before anything is parsed."""

    requests_per_s: float = Field(100, gt=0)
    burst: int = Field(500, ge=1)
    body_timeout_s: float = Field(30, gt=0)
    connections: int = Field(4096, ge=16, le=100_000)


class Peer(Model):
    """Another collector that gets every batch that agents bring here, and the other way round.

    token_file: the token that it issued to this one (`linkgauge token --peer`).
    """

    url: Url
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def token(self) -> SecretStr | None:
        return read_secret("peer_token", self.token_file)


class Settings(Model):
    """collector.yaml, checked; every path absolute or as given relative to the file."""

    inventory: Path
    data_dir: Path
    tokens: Path
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8440"
    name: Name = "collector"
    tls: Tls | None = None
    archive: ArchiveSettings = ArchiveSettings()
    influxdb: InfluxSettings | None = None
    webhooks: tuple[Webhook, ...] = ()
    receivers: tuple[ReceiverSettings, ...] = ()
    runbook_url: Url | None = None
    """The address before `/link-loss.md`, for links in messages; None: they name the page in docs."""
    grafana_url: Url | None = None
    """Where the boards are, for links in messages; None: there are none."""
    max_body_bytes: int = Field(MAX_BODY_BYTES, ge=1024, le=MAX_BODY_BYTES)
    journal: JournalSettings = JournalSettings()
    limits: Limits = Limits()
    peer: Peer | None = None
    standby: bool = False
    """A standby alerts and writes verdicts only while its peer does not answer."""
    plan_take_over_s: float = Field(50, ge=0, le=MAX_TAKE_OVER_S)
    """From a changed inventory to when its plans take over: longer than agents take to ask for theirs."""
    read_access: Literal["open", "token"] | None = None
    """None: open where `listen` is loopback, else by token."""
    _file: Path = PrivateAttr(Path("collector.yaml"))

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read and check a settings file; raises ConfigError with every fault found."""
        return cls.partly(path).whole()

    @classmethod
    def partly(cls, path: Path) -> Partly[Settings]:
        """As far as the file can be read, and every fault found; raises ConfigError where it is no YAML."""
        partly = read_partly(path, cls, _same_names)
        if partly.model is None:
            return partly
        settings = _resolved(partly.model, path.parent)
        settings._file = path
        return replace(partly, model=settings)

    @property
    def file(self) -> Path:
        """The file that these settings are from, for sentences that name it."""
        return self._file

    @property
    def reads_are_open(self) -> bool:
        """Whether the read API asks for no token."""
        if self.read_access is not None:
            return self.read_access == "open"
        host, _ = host_and_port(self.listen)
        return host in ("localhost", "::1") or host.startswith("127.")

    @property
    def archive_path(self) -> Path:
        return self.archive.path or self.data_dir / "archive"


def _same_names(settings: Settings) -> Iterator[str]:
    seen: set[str] = set()
    for key, told in (("webhooks", settings.webhooks), ("receivers", settings.receivers)):
        for at, each in enumerate(told):
            if each.name in seen:
                yield (
                    f"{key}[{at}].name: webhooks and receivers must have different names; rename one of "
                    f"those called {each.name}"
                )
            seen.add(each.name)


def _resolved(model: M, folder: Path) -> M:
    """The same model with each Path in it joined to `folder`."""
    changes = {name: _joined(getattr(model, name), folder) for name in type(model).model_fields}
    return model.model_copy(update=changes)


def _joined(value: object, folder: Path) -> object:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Model):
        return _resolved(value, folder)
    if isinstance(value, tuple):
        return tuple(_joined(item, folder) for item in value)
    return value
