"""agent.yaml: what an agent must know before it has a plan. Relative paths are relative to the file."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from linkgauge.errors import ConfigError
from linkgauge.model import NAME
from linkgauge.owner import give
from linkgauge.probing import Model, Port
from linkgauge.url import Url
from linkgauge.yaml_file import Partly, read_partly
from probes.keys import read_keys

TOKEN_VARIABLE = "LINKGAUGE_TOKEN"  # noqa: S105 - the variable's name
NODE_VARIABLE = "LINKGAUGE_NODE"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None


Address = Annotated[str, AfterValidator(_address)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class OutboxSettings(Model):
    """catch_up_per_s: old batches sent in a second after an outage, besides those of now."""

    max_mb: int = Field(512, ge=1)
    keep_days: float = Field(7, gt=0)
    keep_free_mb: int = Field(16, ge=0)
    catch_up_per_s: float = Field(50, gt=0)


class AgentSettings(Model):
    """node: this host's name in the inventory; the environment variable LINKGAUGE_NODE stands in for it, so
    that one file serves many nodes. collectors: addresses in order of preference.

    token_file: the agent's token, readable by its owner only; the environment variable LINKGAUGE_TOKEN
    goes before it. certificate, key: of the agent, where the collector asks for one.
    keys_file: HMAC keys of authenticated STAMP by peer address (probes.keys).
    bind_ports: local address -> UDP port that the reflector binds there, not the plan's.
    """

    node: Name
    collectors: list[Url] = Field(min_length=1)
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    keys_file: Path | None = None
    data_dir: Path
    bind_ports: dict[Address, Port] = Field(default_factory=dict)
    plan_refresh_s: float = Field(30, ge=1)
    outbox: OutboxSettings = OutboxSettings()

    @model_validator(mode="before")
    @classmethod
    def _named_by_environment(cls, data: object) -> object:
        name = os.environ.get(NODE_VARIABLE)
        return {"node": name, **data} if name and isinstance(data, dict) else data


def load(path: Path) -> AgentSettings:
    """Read agent.yaml; raises ConfigError with every fault."""
    return partly(path).whole()


def partly(path: Path) -> Partly[AgentSettings]:
    """As far as the file can be read, and every fault found; raises ConfigError where it is no YAML."""
    found = read_partly(path, AgentSettings)
    if (settings := found.model) is None:
        return found
    here = path.resolve().parent
    named = ("token_file", "ca_file", "certificate", "key", "keys_file")
    files = {name: here / path for name in named if (path := getattr(settings, name)) is not None}
    absolute = {"data_dir": here / settings.data_dir, **files}
    return replace(found, model=settings.model_copy(update=absolute))


def keys(settings: AgentSettings) -> Mapping[str, bytes]:
    """HMAC key by peer address, empty without a keys file; raises ConfigError, which never quotes one."""
    return read_keys(settings.keys_file) if settings.keys_file is not None else {}


def read_token(settings: AgentSettings) -> str:
    """The token from the environment or the token file; raises ConfigError, which never quotes it."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token:
        return token
    path = settings.token_file
    if path is None:
        raise ConfigError(f"no token: set token_file in the agent's settings, or {TOKEN_VARIABLE}")
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such token file; make one on the collector's host with"
            f" `linkgauge token {settings.node} --tokens <its tokens.yaml> --out <file>` and bring it here"
        ) from None
    except PermissionError:
        raise ConfigError(f"{path}: {give(path)}") from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: the token file cannot be read ({type(err).__name__})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path}: others can read this token file; run `chmod 600 {path}`")
    if not token or any(c.isspace() for c in token):
        raise ConfigError(f"{path}: the token file must hold one token and nothing else")
    return token
