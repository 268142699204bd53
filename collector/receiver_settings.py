"""Receivers of alerts in the collector's settings: one model for each kind, its secrets beside it.

A secret stands in a file (mode 0600) or in the environment: LINKGAUGE_RECEIVER_<NAME>_TOKEN, ..._SECRET or
..._PASSWORD. Both are looked at anew with each message.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from collector.secret import PREFIX, read_secret
from linkgauge.errors import ConfigError
from linkgauge.inventory_file import Name
from linkgauge.probing import Model
from linkgauge.url import Url
from linkgauge.yaml_file import HoldsSecret

Secret = Callable[[], SecretStr | None]
KINDS = ("webhook", "alertmanager", "email", "dingtalk", "wecom", "feishu")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _without_token(text: str) -> str:
    """The address of a robot as its service shows it has the token at its end; it is a secret."""
    if "?" in text or "/hook/" in text:
        raise HoldsSecret("must not hold the robot's token; put that into a file and name it as token_file")
    return text


def _mail(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or any(char.isspace() or char in "<>,;" for char in text):
        raise ValueError("must be one e-mail address, name@domain")
    return text


RobotUrl = Annotated[Url, AfterValidator(_without_token)]
Address = Annotated[str, AfterValidator(_mail)]


class _Receiver(Model):
    """severities, teams: only such alerts; empty: all. drills: only those of drills, else only real ones."""

    name: Name
    severities: tuple[Literal["page", "ticket"], ...] = ()
    teams: tuple[str, ...] = ()
    drills: bool = False

    def _secret(self, what: str, path: Path | None) -> Secret:
        return lambda: read_secret(f"receiver_{self.name}_{what}", path)

    def _needed(self, what: str, path: Path | None) -> Secret:
        def read() -> SecretStr:
            found = read_secret(f"receiver_{self.name}_{what}", path)
            if found is None:
                variable = f"{PREFIX}RECEIVER_{self.name}_{what}".upper().replace("-", "_")
                raise ConfigError(f"receiver {self.name}: has no {what}; name {what}_file or set {variable}")
            return found

        return read


class WebhookReceiver(_Receiver):
    """max_per_minute: messages in a minute, the others gathered into one; None: as many as there are."""

    kind: Literal["webhook"]
    url: Url
    token_file: Path | None = None
    ca_file: Path | None = None
    max_per_minute: int | None = Field(None, ge=1, le=6000)

    def token(self) -> Secret:
        return self._secret("token", self.token_file)

    def secrets(self) -> tuple[Secret, ...]:
        return (self.token(),)


def _without_path(text: str) -> str:
    """What people copy from Alertmanager's own documents."""
    if "/api/" in text:
        raise ValueError("must be the address before /api/..., as in http://alertmanager:9093")
    return text


class AlertmanagerReceiver(_Receiver):
    """urls: every peer of one cluster. resend_s: how often what fires is told again."""

    kind: Literal["alertmanager"]
    urls: tuple[Annotated[Url, AfterValidator(_without_path)], ...] = Field(min_length=1, max_length=16)
    token_file: Path | None = None
    ca_file: Path | None = None
    resend_s: float = Field(60, ge=1, le=3600)

    def token(self) -> Secret:
        return self._secret("token", self.token_file)

    def secrets(self) -> tuple[Secret, ...]:
        return (self.token(),)


class EmailReceiver(_Receiver):
    """port: None: 587 with starttls, 465 with tls, 25 with none."""

    kind: Literal["email"]
    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    sender: Address
    to: tuple[Address, ...] = Field(min_length=1, max_length=50)
    max_per_minute: int = Field(20, ge=1, le=6000)

    @model_validator(mode="after")
    def _password_is_safe(self) -> EmailReceiver:
        if self.security == "none" and (self.user is not None or self.password_file is not None):
            raise ValueError("a password goes only over TLS; set security to starttls or tls, or remove user")
        if self.user is None and self.password_file is not None:
            raise ValueError("password_file goes with user; name both or none")
        return self

    @property
    def at_port(self) -> int:
        return self.port or _PORTS[self.security]

    def password(self) -> Secret:
        return (lambda: None) if self.user is None else self._needed("password", self.password_file)

    def secrets(self) -> tuple[Secret, ...]:
        return (self.password(),)


class _Robot(_Receiver):
    """url: only where a service of one's own stands between; token_file: the token of the robot's address."""

    url: RobotUrl | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    max_per_minute: int = Field(20, ge=1, le=100)

    def token(self) -> Secret:
        return self._needed("token", self.token_file)

    def secrets(self) -> tuple[Secret, ...]:
        return (self.token(),)


class _SigningRobot(_Robot):
    """secret_file: what requests are signed with, where the robot asks for that."""

    secret_file: Path | None = None

    def secret(self) -> Secret:
        return self._secret("secret", self.secret_file)

    def secrets(self) -> tuple[Secret, ...]:
        return self.token(), self.secret()


class DingTalkReceiver(_SigningRobot):
    kind: Literal["dingtalk"]
    max_per_minute: int = Field(20, ge=1, le=20)


class WeComReceiver(_Robot):
    kind: Literal["wecom"]
    max_per_minute: int = Field(20, ge=1, le=20)


class FeishuReceiver(_SigningRobot):
    kind: Literal["feishu"]


def _kind(value: object) -> str | None:
    told = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return told if isinstance(told, str) else None


ReceiverSettings = Annotated[
    Annotated[WebhookReceiver, Tag("webhook")]
    | Annotated[AlertmanagerReceiver, Tag("alertmanager")]
    | Annotated[EmailReceiver, Tag("email")]
    | Annotated[DingTalkReceiver, Tag("dingtalk")]
    | Annotated[WeComReceiver, Tag("wecom")]
    | Annotated[FeishuReceiver, Tag("feishu")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message=f"kind must be one of {', '.join(KINDS)}",
        custom_error_context={"key": "kind", "instead": KINDS[0]},
    ),
]
"""One entry of `receivers`."""
