"""The record a world keeps of what it made, so that a later world can clear away after a crash.

`STATE_DIR/<world id>/record.json` holds the owner, the namespaces and the processes; it is there before the
first namespace is. The folder also holds the files of the world's own processes.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from lab import namespace
from lab.names import belongs, is_world_id, world_id
from lab.process import ProcessMark
from linkgauge.errors import LabError

_LOG = logging.getLogger(__name__)
_FILE = "record.json"
_TRIES = 20


class Record:
    """What one world made. `clear` unmakes it, as often as one likes."""

    def __init__(
        self, folder: Path, owner: ProcessMark, namespaces: tuple[str, ...], processes: list[ProcessMark]
    ) -> None:
        self.folder = folder
        self.owner = owner
        self.namespaces = namespaces
        self.processes = processes

    @property
    def world(self) -> str:
        """The id of the world."""
        return self.folder.name

    @classmethod
    def claim(cls, state_dir: Path, namespaces_of: Callable[[str], tuple[str, ...]]) -> Record:
        """Take an id that nobody has, write the record of the namespaces that a world of that id makes."""
        owner = ProcessMark.of(os.getpid())
        if owner is None:
            raise LabError("/proc/self/stat cannot be read: mount /proc")
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            for _ in range(_TRIES):
                world = world_id(secrets.randbits(16))
                taken = any(belongs(name, world) for name in namespace.present())
                if not taken and not (state_dir / world).exists():
                    return cls._write_first(state_dir, world, owner, namespaces_of(world))
        except OSError as error:
            raise LabError(f"cannot write the record of a world in {state_dir}: {error.strerror}") from error
        raise LabError(f"no free world id after {_TRIES} tries: run the lab's sweep on {state_dir}")

    @classmethod
    def _write_first(
        cls, state_dir: Path, world: str, owner: ProcessMark, namespaces: tuple[str, ...]
    ) -> Record:
        draft = cls(state_dir / f".{world}-{owner.pid}", owner, namespaces, [])
        draft.folder.mkdir()
        draft._write()
        draft.folder.rename(
            state_dir / world
        )  # whole or not at all, and fails where another world was faster
        draft.folder = state_dir / world
        return draft

    @classmethod
    def load(cls, folder: Path) -> Record:
        """Read a record; LabError when it is damaged or names what is not the world's."""
        path = folder / _FILE
        try:
            data = json.loads(path.read_text())
            owner = ProcessMark(**data["owner"])
            processes = [ProcessMark(**mark) for mark in data["processes"]]
            namespaces = tuple(map(str, data["namespaces"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabError(f"{path} is no record of a world ({error}): remove it by hand") from error
        if stray := [name for name in namespaces if not belongs(name, folder.name)]:
            raise LabError(f"{path} names {stray[0]}, which is not of that world: remove it by hand")
        return cls(folder, owner, namespaces, processes)

    def add_process(self, pid: int) -> None:
        """Note a process that the world started."""
        mark = ProcessMark.of(pid)
        if mark is not None:
            self.processes.append(mark)
            self._write()

    def clear(self) -> None:
        """Kill the processes, delete the namespaces with what runs in them, remove the folder."""
        for mark in self.processes:
            mark.kill()
        namespace.remove(self.namespaces)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        data = {
            "owner": _plain(self.owner),
            "namespaces": self.namespaces,
            "processes": [_plain(mark) for mark in self.processes],
        }
        draft = self.folder / f"{_FILE}.draft"
        draft.write_text(json.dumps(data))
        draft.replace(self.folder / _FILE)


def sweep(state_dir: Path) -> list[str]:
    """Clear away every world recorded in state_dir whose owner is dead, and nothing else; returns their ids.

    A record that cannot be used is left as it is, with one sentence in the log.
    """
    swept = []
    for folder in sorted(state_dir.glob("lg*")):
        if not is_world_id(folder.name):
            continue
        try:
            record = Record.load(folder)
            if record.owner.alive():
                continue
            record.clear()
        except LabError as error:
            _LOG.warning("world %s is not swept: %s", folder.name, error)
        else:
            swept.append(folder.name)
    return swept


def _plain(mark: ProcessMark) -> dict[str, int]:
    return {"pid": mark.pid, "start_ticks": mark.start_ticks}
