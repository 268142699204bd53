"""Dead letters: what a store refused for good, with its words, one JSON line each, for a person to look at.

Bounded: above `max_bytes` the file becomes ``<name>.1`` and a former one goes.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from linkgauge.errors import StoreError


class DeadLetters:
    """A file of refused rows; thread safe. Mode 0640."""

    def __init__(self, path: Path, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = threading.Lock()

    def keep(self, at_ns: int, sink: str, letters: Sequence[tuple[str, str]]) -> None:
        """Keep (what, why) pairs; on disk when it returns. Raises StoreError."""
        lines = (
            json.dumps({"at_ns": at_ns, "sink": sink, "why": why, "what": what}, ensure_ascii=False)
            for what, why in letters
        )
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        try:
            with self._lock:
                self._turn_over(len(data))
                handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as err:
            raise StoreError(
                f"{self._path}: cannot be written ({err.strerror}); make room or mend it"
            ) from None

    def _turn_over(self, coming: int) -> None:
        if self._path.exists() and self._path.stat().st_size + coming > self._max_bytes:
            os.replace(self._path, f"{self._path}.1")


def as_text(body: bytes) -> str:
    """An encoded batch as base64, so that it fits a line."""
    return base64.b64encode(body).decode("ascii")
