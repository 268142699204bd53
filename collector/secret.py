"""Secrets: from a file that only its owner can read, or from the environment; never in a log or an error."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from linkgauge.errors import ConfigError
from linkgauge.owner import give

PREFIX = "LINKGAUGE_"


def refuse_readable(path: Path) -> None:
    """Raise ConfigError when the group or others can read, write or run `path`, or it is not there."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; create it or name another") from None
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be read ({err.strerror}); let its owner run this program"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path}: others than its owner can reach this secret; run: chmod 600 {path}")


def read_secret(
    name: str, path: Path | None, environment: Mapping[str, str] = os.environ
) -> SecretStr | None:
    """The secret `name`: the variable LINKGAUGE_<NAME> when it is set, else the first line of the file.

    None when there is neither. Raises ConfigError for a file that is missing, empty or open to others.
    """
    variable = PREFIX + name.upper().replace("-", "_")
    if environment.get(variable):
        return SecretStr(environment[variable])
    if path is None:
        return None
    refuse_readable(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except PermissionError:
        raise ConfigError(f"{path}: {give(path)}") from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path}: cannot be read as UTF-8 text; put the secret alone in it") from None
    if not lines or not lines[0].strip():
        raise ConfigError(f"{path}: is empty; put the secret alone in it")
    return SecretStr(lines[0].strip())
