"""The agent's token: read again when its file changes, so that it is rotated without a restart.

It is in no log line, error text or representation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from linkgauge.errors import ConfigError
from linkgauge.file_mark import FileMark, file_mark

_log = logging.getLogger(__name__)


class Token:
    """read: gives the token or raises ConfigError, without quoting it. path: its file, None when it has none.

    The first reading raises ConfigError; when a later one fails that is said once and the former token stays.
    """

    def __init__(self, read: Callable[[], str], path: Path | None = None) -> None:
        self._read, self._path = read, path
        self._stamp = self._now()
        self._secret = SecretStr(_checked(read()))

    def value(self) -> str:
        """The newest token."""
        if self._now() != self._stamp:
            self.renew()
        return self._secret.get_secret_value()

    def renew(self) -> bool:
        """Read it again, whatever the file's date says; True when it is another one."""
        self._stamp = self._now()
        try:
            secret = _checked(self._read())
        except ConfigError as err:
            _log.warning("%s; the former token stays in use", err)
            return False
        if secret == self._secret.get_secret_value():
            return False
        self._secret = SecretStr(secret)
        _log.info("%s: the token was changed, the new one is in use", self._path)
        return True

    def _now(self) -> FileMark | None:
        return file_mark(self._path) if self._path else None


def _checked(token: str) -> str:
    if not token.isascii() or not token.isprintable() or not token.strip():
        raise ConfigError("the agent's token has characters that no token has; copy it again")
    return token
