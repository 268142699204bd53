"""HMAC keys of authenticated STAMP, by the address of the peer: a YAML file ``address: 64 hex digits``.

The file must be its owner's alone (mode 0600). No sentence about it ever shows what stands in place of a key.
"""

from __future__ import annotations

import ipaddress
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from linkgauge.errors import ConfigError

KEY_OCTETS = 32
"""HMAC-SHA-256 takes a key of the length of its output (RFC 8762 section 4.4, RFC 2104 section 3)."""
_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_FORM = "must be a mapping of peer addresses to keys of 64 hex digits"


def read_keys(path: Path) -> Mapping[str, bytes]:
    """Key by peer address (as ipaddress writes it); raises ConfigError with every fault found."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such keys file; create it or name another") from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: the keys file cannot be read ({type(err).__name__})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path}: others can reach this keys file; run `chmod 600 {path}`")
    keys: dict[str, bytes] = {}
    faults: list[str] = []
    for line, address, key in _entries(path, text):
        try:
            peer = str(ipaddress.ip_address(address))
        except ValueError:
            faults.append(f"{path}: line {line}: what stands before the colon is no IP address; {_FORM}")
            continue
        if peer in keys:
            faults.append(f"{path}: line {line}: {peer} stands twice; remove one")
        elif not _KEY.fullmatch(key):
            faults.append(
                f"{path}: line {line}: the key of {peer} is not of 64 hex digits; make one with "
                "`openssl rand -hex 32`"
            )
        keys[peer] = bytes.fromhex(key) if _KEY.fullmatch(key) else b""
    if faults:
        raise ConfigError(*faults)
    return keys


def _entries(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """(line, address, key) as they stand, all as text: a key may look like a number."""
    try:
        top = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as err:  # its own words may quote a key
        line = f"line {err.problem_mark.line + 1}: " if err.problem_mark else ""
        raise ConfigError(f"{path}: {line}not valid YAML; {_FORM}") from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"{path}: not valid YAML; {_FORM}") from None
    if top is None:
        return
    if not isinstance(top, yaml.MappingNode):
        raise ConfigError(f"{path}: {_FORM}")
    for name, value in top.value:
        texts = [node.value if isinstance(node, yaml.ScalarNode) else "" for node in (name, value)]
        yield name.start_mark.line + 1, texts[0], texts[1]
