"""Robots of chat groups: POST of JSON to an address with a token in it, answered with a code inside a 200.

What the robots differ in is a Dialect: how they sign, what a message looks like, which codes mean what. A
code that says "too fast" or "busy" means later, one that says that this message is malformed means never, and
any other (a wrong token, a signature, a word or address that the group asks for) means later as well: what
waits is told once somebody has mended it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec

from alerts.receivers.message import Links, Message, composed
from alerts.receivers.post import TIMEOUT_S, Post, address
from alerts.receivers.receiver import Policy, Secret, no_secret
from alerts.receivers.webhook import secret_of
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkBusy, SinkRejected

TOO_FAST_S = 60.0
"""How long nothing is tried after "too fast"; trying on would prolong it."""
PER_MINUTE = 20


@dataclass(frozen=True, slots=True)
class Codes:
    """What an answer's code means. key: names under which it stands; any other code than 0: see above."""

    keys: tuple[str, ...]
    words: tuple[str, ...]
    too_fast: frozenset[int]
    busy: frozenset[int]
    malformed: frozenset[int]


class Dialect(Protocol):
    """How one kind of robot is spoken to. Pure."""

    @property
    def kind(self) -> str: ...

    @property
    def url(self) -> str:
        """The public address, without a token."""
        ...

    @property
    def codes(self) -> Codes: ...

    @property
    def longest_bytes(self) -> int:
        """Of a message's text, in UTF-8."""
        ...

    def place(self, url: httpx.URL, token: str | None) -> httpx.URL:
        """The address with the token in it."""
        ...

    def body(
        self, message: Message, secret: str | None, now_ns: int
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """The JSON to post, and what is added to the address."""
        ...


class Robot:
    """One group's robot. token: the part of its address that is secret; secret: what it asks to sign with."""

    trouble = None

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        clock: Clock,
        links: Links,
        token: Secret,
        secret: Secret = no_secret,
        policy: Policy | None = None,
        url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        ca_file: Path | None = None,
    ) -> None:
        """Raises ConfigError for what is no http(s) address."""
        self.name, self.kind, self._dialect = name, dialect.kind, dialect
        self._clock, self._links, self._token, self._secret = clock, links, token, secret
        self.policy = policy or Policy(max_per_minute=PER_MINUTE)
        self._who = f"{dialect.kind} {name}"
        self._url = address(self._who, url or dialect.url)
        self._post = Post(self._who, timeout_s, ca_file)

    def deliver(self, bodies: Sequence[bytes]) -> str:
        """Tell the group; raises SinkBusy (later) or SinkRejected (never)."""
        dialect = self._dialect
        token, secret = secret_of(self._who, self._token), secret_of(self._who, self._secret)
        message = composed(bodies, self._links, dialect.longest_bytes)
        body, params = dialect.body(message, secret, self._clock.now().wall_ns)
        url = dialect.place(self._url, token)
        _, answer = self._post.send(url, msgspec.json.encode(body), params=params)
        return self._judge(answer, [each for each in (token, secret) if each])

    def close(self) -> None:
        self._post.close()

    def _judge(self, answer: bytes, secrets: Sequence[str]) -> str:
        """What the answer says; raises for any code but 0."""
        codes = self._dialect.codes
        try:
            told = msgspec.json.decode(answer, type=dict[str, Any])
            code = next(told[key] for key in codes.keys if type(told.get(key)) is int)
        except (msgspec.DecodeError, UnicodeDecodeError, StopIteration):
            raise SinkBusy(f"{self._who}: what answered is no {self.kind} robot; correct its url") from None
        words = _said(told, codes.words, secrets)
        if code == 0:
            return f"code 0 ({words})"
        sentence = f"{self._who}: answered with code {code} ({words})"
        if code in codes.too_fast:
            raise SinkBusy(sentence, TOO_FAST_S)
        if code in codes.busy:
            raise SinkBusy(sentence)
        if code in codes.malformed:
            raise SinkRejected(sentence, 1)
        raise SinkBusy(f"{sentence}; mend its token, secret, or the group's settings of this robot")


def signature(key: str, text: str) -> str:
    """HMAC-SHA256 of text under key, base64."""
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def unix_s(now_ns: int) -> str:
    return str(now_ns // NS_PER_S)


def _said(told: Mapping[str, Any], names: Sequence[str], secrets: Sequence[str]) -> str:
    """The far end's own words, short, without what is secret."""
    words = next((told[name] for name in names if isinstance(told.get(name), str)), "")
    for secret in secrets:
        words = words.replace(secret, "***")
    return " ".join(words.split())[:160] or "no words"
