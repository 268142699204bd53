"""Tokens of agents: the file holds ``node: sha256`` (hex), a token itself is shown once, kept nowhere."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, RootModel

from collector.secret import refuse_readable
from collector.watched_file import WatchedFile
from linkgauge.errors import ConfigError
from linkgauge.inventory import Name
from linkgauge.yaml_file import read_yaml


class TokenFile(RootModel[dict[Name, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]]):
    """What the token file must look like."""


class Tokens:
    """Tells whose token it is. The file is read again when it changes, so adding a node needs no restart."""

    def __init__(self, file: WatchedFile[Mapping[bytes, str]]) -> None:
        self._file = file

    @classmethod
    def load(cls, path: Path) -> Tokens:
        """Raises ConfigError: missing, faulty, readable by others, or one token for two nodes."""
        return cls(WatchedFile(path, _read))

    def agent_of(self, token: str) -> str | None:
        """The node that this token was issued to, None when to nobody.

        What is compared is the hash of the guess, so the time taken tells nothing of how much of it is right.
        """
        return self._file.value().get(hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest())

    @property
    def fault(self) -> str | None:
        """Why the newest version of the file was not taken, None when it was."""
        return self._file.fault

    @property
    def failures(self) -> int:
        """Versions of the file that could not be taken."""
        return self._file.failures


def issue(path: Path, node: str) -> str:
    """Make a token for `node`, put its hash into the file (made when missing) and return the token.

    A former token of that node stops working. The file is replaced whole, mode 0600.
    Raises ConfigError when the file is faulty or cannot be written.
    """
    token = secrets.token_urlsafe(32)
    try:
        with _alone(path):
            hashes = dict(_hashes(path)) if path.exists() else {}
            hashes[node] = hashlib.sha256(token.encode()).hexdigest()
            TokenFile.model_validate(hashes)
            _replace(path, yaml.safe_dump(hashes, sort_keys=True))
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be written ({err.strerror}); check the folder and its owner"
        ) from None
    except ValueError:
        raise ConfigError(f"node {node!r} is no name of a node; give one that is in the inventory") from None
    return token


def _read(path: Path) -> Mapping[bytes, str]:
    """Node by hash."""
    refuse_readable(path)
    nodes: dict[bytes, str] = {}
    for node, text in _hashes(path).items():
        digest = bytes.fromhex(text)
        if digest in nodes:
            raise ConfigError(
                f"{path}: {node} and {nodes[digest]} have the same token; issue one of them anew"
            )
        nodes[digest] = node
    return nodes


def _hashes(path: Path) -> Mapping[str, str]:
    return read_yaml(path, TokenFile).root


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two programs that issue tokens at once take turns: a lock on the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
