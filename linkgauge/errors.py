"""What can go wrong, as types.

    LinkgaugeError            one sentence for the person in front of the screen: what, where, the mend
    |- ConfigError            a file of ours is wrong (inventory, settings, token); carries every fault found
    |- WireError              a batch or plan from a peer does not follow the wire format
    |- ProtocolError          a datagram does not follow the probe's protocol
    |- StoreError             outbox or journal cannot be written (disk full, damaged, locked)
    |- LabError               the lab cannot be built here
    `- SinkError
       |- SinkBusy            try the same bytes again later (carries retry_after_s)
       |- SinkHeld            nothing will help until somebody acts: hold, keep, say so
       `- SinkRejected        these rows will never be taken: dead-letter them

Network behaviour (loss, refusal, silence) is data, never an exception.
"""

from __future__ import annotations


class LinkgaugeError(Exception):
    """A fault that is told to the user as its own sentence, without a traceback."""


class ConfigError(LinkgaugeError):
    """One or more faults in a file or option; `faults` has one sentence each."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class WireError(LinkgaugeError):
    """A batch or plan that does not follow the wire format.

    `reason` is one of a few fixed words, so that it can label a counter.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class ProtocolError(LinkgaugeError):
    """A datagram that does not follow its protocol; says what was got and what is needed."""


class StoreError(LinkgaugeError):
    """A local store (outbox, journal, alert state) cannot be read or written; names the file."""


class LabError(LinkgaugeError):
    """The lab's network cannot be built or torn down; names the command and what it said."""


class SinkError(LinkgaugeError):
    """A sink did not take what it was given."""


class SinkBusy(SinkError):
    """Transient: the same bytes may be taken later. `retry_after_s` is None when the server did not say."""

    def __init__(self, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class SinkHeld(SinkError):
    """Standing: wrong password, missing database, full disk. Everything is kept until it is mended."""


class SinkRejected(SinkError):
    """Permanent: `rows` rows were refused with the server's own words in the sentence."""

    def __init__(self, sentence: str, rows: int) -> None:
        super().__init__(sentence)
        self.rows = rows
