"""Whose a file has to be: the commonest slip with secrets is that root made them and only root reads them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def give(path: Path | str) -> str:
    """The mend for a file that this program may not read."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user that has only a number, as in containers
        user = str(os.geteuid())
    return f"this program runs as {user} and may not read it; run: chown {user} {path}"
