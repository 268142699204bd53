"""Who may speak to the collector: a file of token hashes; a token itself is shown once and kept nowhere.

    agents:  {jinan-1: [sha256, …]}     bring their own batches, read their own plan
    readers: {wall-board: [sha256, …]}  read links, agents, alerts, status and metrics
    peers:   {guiyang: [sha256, …]}     other collectors: bring batches of any agent of the inventory

A holder has at most two hashes (hex, the older first), so that a new token can be handed out before the old
one ends. The flat form ``node: sha256`` of former versions is read too. No sentence quotes a value of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import RootModel

from collector.secret import refuse_readable
from collector.watched_file import WatchedFile
from linkgauge.errors import ConfigError
from linkgauge.model import NAME
from linkgauge.yaml_file import read_yaml

Scope = Literal["agent", "reader", "peer"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MOST_TOKENS = 2
"""Tokens of one holder that are valid at once."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Loose(RootModel[dict[str, Any]]):
    """The file before its values are looked at: they must not be quoted."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is: a node, a reader or another collector, by name."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return f"{self.scope}:{self.name}"


Hashes = Mapping[Holder, tuple[str, ...]]


class Tokens:
    """Tells whose token it is. The file is read again when it changes, so nothing here needs a restart."""

    def __init__(self, file: WatchedFile[Mapping[bytes, Holder]]) -> None:
        self._file = file

    @classmethod
    def load(cls, path: Path) -> Tokens:
        """Raises ConfigError: missing, faulty, readable by others, or one token for two holders."""
        return cls(WatchedFile(path, _read))

    def holder(self, token: str) -> Holder | None:
        """To whom this token was issued, None when to nobody.

        What is compared is the hash of the guess, so the time taken tells nothing of how much of it is right.
        """
        return self._file.value().get(hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest())

    @property
    def stale(self) -> bool:
        """The file is another one than was read."""
        return self._file.stale

    def refresh(self) -> None:
        """Read it now when it is stale."""
        self._file.value()

    @property
    def fault(self) -> str | None:
        """Why the newest version of the file was not taken, None when it was."""
        return self._file.fault

    @property
    def failures(self) -> int:
        """Versions of the file that could not be taken."""
        return self._file.failures


def issue(
    path: Path,
    name: str,
    scope: Scope = "agent",
    only: bool = False,
    hand_out: Callable[[str], None] = lambda _: None,
) -> str:
    """Make a token for `name`, put its hash into the file (made when missing) and return the token.

    Of the holder's former tokens the newest stays valid, with `only` none. The file is replaced whole, mode
    0600. Raises ConfigError when it is faulty or cannot be written. hand_out: brings the token to its place
    first; when it raises, no token has ended.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a node, reader or peer: use lower-case letters, digits, '-'"
        )
    token, holder = secrets.token_urlsafe(32), Holder(scope, name)
    with _changing(path) as hashes:
        former = () if only else hashes.get(holder, ())[-(MOST_TOKENS - 1) :]
        hashes[holder] = (*former, hashlib.sha256(token.encode()).hexdigest())
        hand_out(token)
    return token


def end(path: Path, name: str, scope: Scope = "agent") -> None:
    """End all tokens of a holder; raises ConfigError when it has none."""
    with _changing(path) as hashes:
        if hashes.pop(Holder(scope, name), None) is None:
            raise ConfigError(f"{path}: {scope} {name} has no token; see `linkgauge token --list`")


def end_former(path: Path, name: str, scope: Scope = "agent") -> None:
    """End all tokens of a holder but the newest; raises ConfigError when it has none."""
    with _changing(path) as hashes:
        holder = Holder(scope, name)
        if holder not in hashes:
            raise ConfigError(f"{path}: {scope} {name} has no token; see `linkgauge token --list`")
        hashes[holder] = hashes[holder][-1:]


def holders(path: Path) -> list[tuple[Holder, int]]:
    """Everybody who has tokens, and how many; raises ConfigError."""
    refuse_readable(path)
    return sorted(
        ((holder, len(found)) for holder, found in _hashes(path).items()),
        key=lambda one: (SCOPES.index(one[0].scope), one[0].name),
    )


def _read(path: Path) -> Mapping[bytes, Holder]:
    """Holder by hash."""
    refuse_readable(path)
    known: dict[bytes, Holder] = {}
    for holder, texts in _hashes(path).items():
        for digest in map(bytes.fromhex, texts):
            if digest in known:
                raise ConfigError(
                    f"{path}: {holder.name} and {known[digest].name} have the same token;"
                    " issue one of them anew"
                )
            known[digest] = holder
    return known


def _hashes(path: Path) -> dict[Holder, tuple[str, ...]]:
    """The file, checked; raises ConfigError with every fault, which quotes names only."""
    found = read_yaml(path, _Loose).root
    if found and all(isinstance(value, str) for value in found.values()):
        found = {"agents": {name: [value] for name, value in found.items()}}
    faults: list[str] = []
    hashes: dict[Holder, tuple[str, ...]] = {}
    for key, named in found.items():
        scope = next((scope for scope in SCOPES if key == f"{scope}s"), None)
        if scope is None or not isinstance(named, dict):
            faults.append(f"{path}: {key[:80]}: must be agents, readers or peers, with hashes by name")
            continue
        for name, texts in named.items():
            if not (isinstance(name, str) and NAME.fullmatch(name)):
                faults.append(f"{path}: {key}: {str(name)[:80]!r} is no name; correct it")
            elif not _are_hashes(texts):
                faults.append(
                    f"{path}: {key}.{name}: must be a list of one or two SHA-256 in hex;"
                    " make them with `linkgauge token`"
                )
            else:
                hashes[Holder(scope, name)] = tuple(texts)
    if faults:
        raise ConfigError(*faults)
    return hashes


def _are_hashes(texts: object) -> bool:
    return (
        isinstance(texts, list)
        and 1 <= len(texts) <= MOST_TOKENS
        and all(isinstance(text, str) and _SHA256.fullmatch(text) for text in texts)
    )


@contextmanager
def _changing(path: Path) -> Iterator[dict[Holder, tuple[str, ...]]]:
    """The holders of the file, to be changed; it is replaced when no exception was raised."""
    try:
        with _alone(path):
            hashes = _hashes(path) if path.exists() else {}
            yield hashes
            _replace(path, _text(hashes))
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be written ({err.strerror}); check the folder and its owner"
        ) from None


def _text(hashes: Hashes) -> str:
    found: dict[str, dict[str, list[str]]] = {}
    for holder, texts in hashes.items():
        found.setdefault(f"{holder.scope}s", {})[holder.name] = list(texts)
    return yaml.safe_dump(found, sort_keys=True)


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
    """Mode 0600, and the former file's owner: root may issue for a collector that runs as somebody else."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if path.exists() and os.geteuid() == 0:
            former = path.stat()
            os.fchown(file.fileno(), former.st_uid, former.st_gid)
        os.fsync(file.fileno())
    os.replace(temporary, path)
