"""A running Grafana's HTTP API: GET, POST, PUT and DELETE with JSON, tried again where that helps.

Whatever goes wrong is one LinkgaugeError with one sentence: what was wanted, what Grafana said, what to do.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from grafana_api.api import Api
from grafana_api.model import APIModel, RequestsMethods

from linkgauge.errors import ConfigError, LinkgaugeError

OLDEST = (9, 4)
"""The oldest Grafana whose API takes all that is published."""
WAITS_S = (1.0, 3.0)
"""Waits before another try after 429 or 5xx."""
PASSING = (429, 502, 503, 504)
"""What is worth another try. 500 is not: Grafana 9.4 says it for things that are missing or refused. But for
_LOCKED, which Grafana says when its own evaluation of alerts writes to the same SQLite."""
_LOCKED = "database is locked"
_TOKEN_FAULTS = ("invalid api key", "expired api key")
"""What the library raises as a failed connection although Grafana answered 401."""


@dataclass(frozen=True, slots=True)
class Grafana:
    """Where it is. token: of a service account with the role Admin. ca: file of the authority to trust."""

    url: str
    token: str = field(repr=False)
    timeout_s: float = 10.0
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status of the reply and its JSON; text where it was none."""

    status: int
    body: Any

    @property
    def said(self) -> str:
        """Grafana's own words, short."""
        body = self.body
        words = body.get("message") or body.get("data") or "" if isinstance(body, dict) else body
        text = " ".join(str(words).split())
        return (
            "a page of HTML" if text.lower().startswith(("<!doctype", "<html")) else text[:300] or "nothing"
        )


class _Kept(Api):  # type: ignore[misc] # the library has no types
    """The library's calls over one connection that is closed at the end; it opens one for each by itself."""

    _http: httpx.Client | None = None

    def create_the_http_api_client(self, headers: dict[str, str] | None = None) -> httpx.Client:
        if self._http is None:
            self._http = super().create_the_http_api_client(headers)
        return self._http

    def close(self) -> None:
        if self._http is not None:
            self._http.close()


class Client:
    """Calls of one Grafana. Use as a context manager."""

    def __init__(self, grafana: Grafana, pause: Callable[[float], None] = time.sleep) -> None:
        """pause: how to wait, seconds. Raises ConfigError for an address or file that cannot be used."""
        self.url = grafana.url.rstrip("/")
        if not re.match(r"https?://[^/@\s]+(/\S*)?$", self.url):
            raise ConfigError(
                f"--grafana: {grafana.url!r} is no address such as https://grafana.example:3000"
            )
        self._timeout_s, self._pause = grafana.timeout_s, pause
        self._api = _Kept(
            APIModel(
                host=self.url,
                token=grafana.token,
                timeout=grafana.timeout_s,
                ssl_context=_trust(grafana.ca),
                retries=1,
                follow_redirects=False,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def get(self, path: str, what: str, missing: bool = True) -> Any | None:
        """The JSON at `path`; None when there is none. missing: whether that may be."""
        answer = self.call(RequestsMethods.GET, path, None, what)
        if answer.status == 404 and missing:
            return None
        return self.checked(answer, f"reading {what}")

    def checked(self, answer: Answer, doing: str) -> Any:
        """The answer's JSON; raises LinkgaugeError when Grafana refused."""
        if answer.status // 100 == 2:
            return answer.body
        raise LinkgaugeError(f"{self._refused(answer, doing)}; {_mend(answer.status, self.url)}")

    def post(self, path: str, body: Any, what: str) -> Any:
        """Make something."""
        return self.checked(self.call(RequestsMethods.POST, path, body, what), f"adding {what}")

    def put(self, path: str, body: Any, what: str) -> Any:
        """Change something that is there."""
        return self.checked(self.call(RequestsMethods.PUT, path, body, what), f"changing {what}")

    def put_or_post(self, path: str, collection: str, body: Any, what: str) -> None:
        """Change it, or make it when it is not there."""
        answer = self.call(RequestsMethods.PUT, path, body, what)
        if answer.status == 404:
            self.post(collection, body, what)
        else:
            self.checked(answer, f"changing {what}")

    def delete(self, path: str, what: str) -> None:
        """Remove it; well when it is gone already."""
        answer = self.call(RequestsMethods.DELETE, path, None, what)
        if answer.status != 404:
            self.checked(answer, f"removing {what}")

    def call(self, method: Any, path: str, body: Any, what: str) -> Answer:
        """One request, tried again after answers that pass; what: named in the sentence of a fault."""
        for wait_s in WAITS_S:
            answer = self._once(method, path, body, what)
            if answer.status not in PASSING and _LOCKED not in answer.said:
                return answer
            self._pause(wait_s)
        return self._once(method, path, body, what)

    def _once(self, method: Any, path: str, body: Any, what: str) -> Answer:
        text = None if body is None else json.dumps(body)
        try:
            with _hushed():
                got: Any = self._api.call_the_api(path, method, text, response_status_code=True)
        except httpx.TimeoutException:
            raise LinkgaugeError(
                f"Grafana at {self.url} did not answer within {self._timeout_s:g} s ({what}); try again, or "
                "see whether it is overloaded"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            if str(err).lower() in _TOKEN_FAULTS:
                return Answer(401, {"message": str(err)})
            raise LinkgaugeError(f"Grafana at {self.url} {_unreached(err)}") from None
        except IndexError:  # the library looks for the first of an empty list
            return Answer(200, [])
        except (LookupError, TypeError, AttributeError):  # a bare value: not Grafana's API
            raise self.no_grafana() from None
        return self._answer(got)

    def _answer(self, got: Any) -> Answer:
        if isinstance(got, list) and got and isinstance(got[0], dict):
            return Answer(int(got[0].pop("status")), got)
        if not isinstance(got, dict) or "status" not in got:
            raise self.no_grafana()
        return Answer(int(got["status"]), got)

    def no_grafana(self) -> LinkgaugeError:
        """What is said when something else answers."""
        return LinkgaugeError(f"{self.url} answers, but not as Grafana does; check the address")

    def _refused(self, answer: Answer, doing: str) -> str:
        return f"Grafana at {self.url} answered {answer.status} to {doing}, saying {answer.said!r}"


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the library's own lines of log: what it says there is told as our sentence."""

    def is_not_the_librarys(record: logging.LogRecord) -> bool:
        return "grafana_api" not in record.pathname

    logger = logging.getLogger()
    logger.addFilter(is_not_the_librarys)
    try:
        yield
    finally:
        logger.removeFilter(is_not_the_librarys)


def version(client: Client) -> str:
    """Grafana's version, empty when it hides it. Raises LinkgaugeError when it is none, or too old."""
    health = client.get("/api/health", "its version")
    if not isinstance(health, dict) or "database" not in health:
        raise client.no_grafana()
    told = str(health.get("version", ""))
    found = re.match(r"v?(\d+)\.(\d+)", told)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        raise LinkgaugeError(
            f"Grafana at {client.url} is {told}, too old: needs {OLDEST[0]}.{OLDEST[1]} or later; "
            "use a newer one, or import the boards of `linkgauge render` by hand"
        )
    return told


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return httpx.create_ssl_context() if ca is None else ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(f"--ca: {ca} cannot be used ({err}); name a PEM file of certificates") from None


def _unreached(err: Exception) -> str:
    said = " ".join(str(err).split()) or type(err).__name__
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"shows a certificate that is not trusted ({said}); name its authority's file with --ca"
    if "SSL" in said or "TLS" in said:
        return f"does not speak TLS as it should ({said}); check whether the address is http or https"
    return f"cannot be reached ({said}); check the address"


def _mend(status: int, url: str) -> str:
    if status == 401:
        return "check the token: make one for a service account with the role Admin"
    if status == 403:
        return "the token may not do that: give its service account the role Admin"
    if status == 404:
        return f"check that {url} is Grafana's root and that its unified alerting is not switched off"
    if status // 100 == 3:
        return "it sends us elsewhere: give the address that it redirects to"
    if status in (409, 412):
        return (
            "something of that name is there already, perhaps provisioned from files: use one way of the two"
        )
    return "see Grafana's log"
