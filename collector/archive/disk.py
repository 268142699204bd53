"""The steps by which the archive changes what is on disk; each lasts once it has returned.

Every change goes through a function of this file, so a test can stop the world between any two of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o640, 0o750
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""renameat2(2)."""
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def make_folder(path: Path) -> None:
    """The folder and those above it, none of them open to the world."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(path.parent)


def settle(path: Path) -> None:
    """Readable by owner and group only, and on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(handle, FILE_MODE)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """What was named, renamed or removed in the folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(path: Path, place: Path) -> None:
    """Rename; what stood at `place` goes."""
    os.replace(path, place)


def link(path: Path, place: Path) -> None:
    """A second name for a file."""
    os.link(path, place)


def remove(path: Path) -> None:
    """Unlink a file if it is there."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """A folder and all in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def append(handle: int, octets: bytes) -> None:
    """Add to the end of an open file, on disk when this returns; on failure nothing is added."""
    size = os.fstat(handle).st_size
    try:
        while octets:
            octets = octets[os.write(handle, octets) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Two folders take each other's place in one step; False where the system or file system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextlib.contextmanager
def held(path: Path, make: bool = True) -> Iterator[None]:
    """While inside, no other process is: by a lock on the file; make: when it is missing."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT if make else os.O_RDONLY, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hash of a file's octets, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(path: Path) -> int:
    """What may still be written to the file system of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
