"""Counts and times every request, around the whole application; the labels are few fixed words."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.health.metrics import Metrics

_WORDS: Mapping[str, str] = {
    "/v1/batches": "batches",
    "/v1/plan": "plan",
    "/v1/links": "links",
    "/v1/agents": "agents",
    "/v1/alerts": "alerts",
    "/v1/status": "status",
    "/metrics": "metrics",
    "/healthz": "health",
}
_CUT_OFF = 499
"""What is counted where the client went away before it had an answer."""


class Timed:
    """The application `app`, its requests told to `metrics` by the word of their path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status = time.perf_counter(), _CUT_OFF

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.requested(_word(scope["path"]), status, time.perf_counter() - began_s)


def _word(path: str) -> str:
    if path.startswith("/v1/links/"):
        return "links"
    return _WORDS.get(path, "other")
