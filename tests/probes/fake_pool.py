"""A pool of connections that hands requests to a function, and the answers it may give."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the client made it."""

    method: str
    url: urllib3.util.Url
    headers: Mapping[str, str]
    body: bytes | None


class FakePool:
    """answer: gives the response, or raises one of urllib3's errors."""

    def __init__(self, answer: Callable[[Asked], urllib3.BaseHTTPResponse]) -> None:
        self._answer = answer

    def request(self, method: str, url: str, /, **how: Any) -> urllib3.BaseHTTPResponse:
        return self._answer(Asked(method, urllib3.util.parse_url(url), how["headers"], how["body"]))

    def clear(self) -> None:
        """There is no connection."""


def response(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> urllib3.HTTPResponse:
    return urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
