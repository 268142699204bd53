"""How links are probed: the part `probing` of the inventory, one model for each kind of probe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]
MOST_RATE_PPS = 100_000


def _switch(value: object) -> object:
    """YAML reads a bare on and off as true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Model(BaseModel):
    """Frozen, and a key that is not known is a fault: a misspelt objective must not be ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StampProbing(Model):
    rate_pps: float = Field(10, ge=0.001, le=MOST_RATE_PPS)
    timeout_s: float = Field(2, ge=0.001, le=60)
    port: Port = 862
    classes: list[Annotated[int, Field(ge=0, le=63)]] = Field([0], min_length=1, max_length=8)
    """DSCPs; the first is the one that is judged."""
    paths: int = Field(1, ge=1, le=32)
    """Equal-cost paths to be covered; the number of flows (source ports) follows from it."""
    spacing: Literal["periodic", "poisson"] = "periodic"
    authenticated: bool = False
    size_bytes: int = Field(0, ge=0, le=8972)
    """Of the UDP payload; 0: as small as it goes."""
    transmit_stamps: Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)] = "auto"


class EchoProbing(Model):
    interval_s: float = Field(2, ge=0.1, le=3600)
    timeout_s: float = Field(2, ge=0.001, le=60)


class TcpProbing(EchoProbing):
    port: Port = 8620


class TlsProbing(EchoProbing):
    interval_s: float = Field(60, ge=1, le=86_400)
    port: Port = 443


class PathProbing(Model):
    interval_s: float = Field(60, ge=5, le=86_400)
    flows: int = Field(4, ge=1, le=64)
    """Flows of each link that are swept."""
    max_hops: int = Field(30, ge=1, le=64)


class ThroughputProbing(Model):
    every_s: float = Field(3600, ge=0.001, le=31_622_400)
    duration_s: float = Field(10, ge=0.001, le=600)
    limit_bps: int = Field(0, ge=0, lt=2**62)
    """The sender sends no faster, so that a test does not fill what others use; 0: as fast as it goes."""
    port: Port = 5201


class Probing(Model):
    """How links are probed; a kind set to null is switched off."""

    stamp: StampProbing = StampProbing()
    icmp: EchoProbing | None = EchoProbing()
    tcp: TcpProbing | None = TcpProbing()
    tls: TlsProbing | None = None
    path: PathProbing | None = PathProbing()
    throughput: ThroughputProbing | None = ThroughputProbing()
