"""drill.yaml in an agent's data folder: the fault that its reflector is to play, on whom, until when.

Written whole by `linkgauge drill live`, read by the running agent. It never plays longer than `LONGEST_S`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Self

import yaml
from pydantic import AwareDatetime, model_validator

from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from linkgauge.probing import Model
from linkgauge.yaml_file import read_yaml
from probes.settings import Address
from probes.stamp.played_fault import PLAYABLE

NAME = "drill.yaml"
LONGEST_S = 3_600.0


class DrillOrder(Model):
    """link: whose packets, as people read it; peer: the address they come from; until: with an offset."""

    link: str
    peer: Address
    fault: str
    magnitude: float | None = None
    until: AwareDatetime

    @model_validator(mode="after")
    def _playable(self) -> Self:
        kind = PLAYABLE.get(self.fault)
        if kind is None:
            raise ValueError(f"fault {self.fault!r} cannot be played; one of {', '.join(PLAYABLE)} can")
        if not kind.least <= self.size <= kind.most:
            raise ValueError(f"magnitude {self.size:.10g}: give {kind.between}")
        return self

    @property
    def size(self) -> float:
        """The magnitude, in the fault's unit."""
        return PLAYABLE[self.fault].magnitude if self.magnitude is None else self.magnitude

    @property
    def until_ns(self) -> int:
        """Unix ns."""
        return round(self.until.timestamp() * NS_PER_S)

    def sentence(self) -> str:
        """For logs: what is played on whom."""
        size = PLAYABLE[self.fault].text(self.size)
        return f"{self.fault} ({size}) on what {self.peer} sends ({self.link}), until {_text(self.until)}"


def read_order(path: Path) -> DrillOrder | None:
    """The order there; None when there is none. Raises ConfigError for one that cannot be understood."""
    if not path.exists():
        return None
    return read_yaml(path, DrillOrder)


def write_order(path: Path, order: DrillOrder) -> None:
    """Put it in place, whole, with the folder's owner. Raises StoreError."""
    temporary = None
    try:
        owner = path.parent.stat()
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".drill-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(yaml.safe_dump(order.model_dump(mode="json"), sort_keys=False))
        with contextlib.suppress(PermissionError):
            os.chown(temporary, owner.st_uid, owner.st_gid)
        os.replace(temporary, path)
    except OSError as err:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StoreError(f"{path}: cannot be written ({err}); be the agent's user or root") from None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
