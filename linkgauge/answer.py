"""What a collector's answer to a batch means for the one who brought it. Pure.

    status                              outcome    what the bringer does
    200 with ``{"duplicate": …}``       TAKEN      forgets the batch: it is in the collector's journal
    401; 403 of the token's scope;      HELD       keeps all; somebody must act on the token, or upgrade
    409 version                                    the older side
    409; 403 wrong_agent, wrong_table   DEFERRED   keeps this batch, goes on with others; a clock, a name
                                                   or an inventory is to be mended
    400, 413, 415, 422                  REFUSED    keeps this batch as a dead letter; it will never be taken
    429, 5xx, 404, 3xx, other, none     AGAIN      sends the same again, later (Retry-After) or elsewhere

403, 409, 400, 413, 415 and 422 mean this only in our collector's words, ``{"reason": …, "error": …}``, and
200 only with our collector's answer: what a proxy, a portal or another server says settles nothing (AGAIN).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

LONGEST_ANSWER = 65_536
"""Octets of an answer to a batch that are read; ours are below 1 kB."""
LONGEST_RETRY_AFTER_S = 300.0
_LONGEST_WORDS = 300
_REFUSED = (400, 413, 415, 422)
_NOT_THIS_BATCH = ("wrong_agent", "wrong_table")


class Outcome(Enum):
    """See the table above."""

    TAKEN = "taken"
    AGAIN = "again"
    HELD = "held"
    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """sentence: why not taken. retry_after_s: the least wait before the next attempt, 0 when nobody said.

    address: which of the addresses in order of preference answered, or was tried last. reason: the
    collector's fixed word, empty where it said none.
    """

    outcome: Outcome
    sentence: str = ""
    retry_after_s: float = 0.0
    address: int = 0
    reason: str = ""


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The answer that came with this status; headers: with names in any case, body: unpacked."""
    said = _json(body)
    reason = said.get("reason") if isinstance(said.get("error"), str) else None
    sentence = f"status {status}: {words(status, body)}"
    if status == 200:
        if isinstance(said.get("duplicate"), bool):
            return Answer(Outcome.TAKEN)
        sentence = f"it answered, but not as a collector does ({words(status, body)}); look at the address"
    outcome = _refusal(status, reason) if isinstance(reason, str) else None
    if status == 401:
        outcome = Outcome.HELD
    told = reason if isinstance(reason, str) else ""
    return Answer(outcome or Outcome.AGAIN, sentence, retry_after_s(headers), reason=told)


def _refusal(status: int, reason: str) -> Outcome | None:
    """Of an answer in our words, None when it refuses nothing."""
    if status == 403:
        return Outcome.DEFERRED if reason in _NOT_THIS_BATCH else Outcome.HELD
    if status == 409:
        return Outcome.HELD if reason == "version" else Outcome.DEFERRED
    return Outcome.REFUSED if status in _REFUSED else None


def words(status: int, body: bytes) -> str:
    """What the server said about an error, in one printable line of bounded length."""
    found = _json(body)
    said = found.get("error", found.get("detail"))
    text = said if isinstance(said, str) else body.decode(errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_WORDS]).split())
    return line[:_LONGEST_WORDS] or f"status {status} without a word"


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds of the Retry-After header (RFC 9110 section 10.2.3), 0 when absent or a date."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    told = text.isascii() and text.isdecimal()
    return min(float(text[:9]), LONGEST_RETRY_AFTER_S) if told else 0.0


def _json(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
