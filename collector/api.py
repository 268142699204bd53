"""The collector's HTTP interface.

    POST /v1/batches   an agent's batch (its token, or a peer's); answered after the journal's commit
    GET  /v1/plan      the plan of the agent whose token it is; ETag, 304
    GET  /v1/links, /v1/links/{link}, /v1/agents, /v1/status, /v1/alerts, /metrics, /docs   a reader's token
    GET  /healthz      anybody; the reason why not healthy is told to readers only

Every error is ``{"reason": word, "error": sentence}``. Who may ask for what: collector/access.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from collector.access import Access
from collector.admission import Refusal
from collector.intake import RETRY_S, Intake
from collector.live import LiveState
from collector.metrics import Metrics
from collector.page import page
from collector.plan_book import PlanBook
from linkgauge.clock import Clock
from linkgauge.errors import ConfigError

PLAN_MAX_AGE_S = 30
BUSIEST = 32
"""Batches in work at once; more are asked to come again, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the interface shows. status: the JSON of /v1/status. fault: why not healthy, None when healthy."""

    access: Access
    book: PlanBook
    intake: Intake
    live: LiveState
    clock: Clock
    metrics: Metrics
    alerts: Callable[[], list[dict[str, Any]]]
    status: Callable[[], dict[str, Any]]
    fault: Callable[[], str | None]


def create_app(parts: Parts) -> FastAPI:
    """The application; its handlers only hand on to the parts."""
    app = FastAPI(
        title="linkgauge collector",
        version="1",
        description=__doc__ or "",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(Refusal, _refused(parts))
    app.add_exception_handler(HTTPException, _http_error)
    _add_agent_routes(app, parts)
    reading = APIRouter(dependencies=[Depends(_reader(parts.access))])
    _add_read_routes(reading, parts)
    _add_own_routes(reading, parts)
    _add_pages(reading, app)
    app.include_router(reading)
    _add_health(app, parts)
    return app


def _add_agent_routes(app: FastAPI, parts: Parts) -> None:
    working = 0

    @app.post("/v1/batches", summary="Report a batch of windows")
    async def post_batch(request: Request) -> dict[str, bool]:
        nonlocal working
        agent = parts.access.bringer(_shown(request)).name
        if working >= BUSIEST:
            raise Refusal("busy", "the collector has too many batches in work; send it again", 503)
        working += 1
        try:
            body = await _body(request, parts.intake.max_body_bytes)
            encoding = request.headers.get("Content-Encoding", "").strip().lower()
            duplicate = await run_in_threadpool(parts.intake.accept, agent, encoding, body)
        finally:
            working -= 1
        return {"duplicate": duplicate}

    @app.get("/v1/plan", summary="The plan of the agent whose token this is")
    def get_plan(request: Request) -> Response:
        agent = parts.access.agent(_shown(request))
        try:
            body, tag = parts.book.plan(agent)
        except ConfigError as err:
            raise Refusal("unknown_agent", str(err), 404) from None
        headers = {"ETag": tag, "Cache-Control": f"private, max-age={PLAN_MAX_AGE_S}"}
        wanted = request.headers.get("If-None-Match", "")
        if wanted.strip() == "*" or tag in (word.strip().removeprefix("W/") for word in wanted.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)


def _add_read_routes(app: APIRouter, parts: Parts) -> None:
    @app.get("/v1/links", summary="Every expected link, its verdict and last numbers")
    def get_links(site: str = "", network: str = "", verdict: str = "") -> list[dict[str, Any]]:
        return [
            link
            for link in parts.live.links(parts.clock.now().wall_ns)
            if (not site or site in (link["tags"].get("src_site"), link["tags"].get("dst_site")))
            and (not network or link["tags"]["network"] == network)
            and (not verdict or link["verdict"] == verdict)
        ]

    @app.get("/v1/links/{link}", summary="One link, src>dst@network, URL-encoded")
    def get_link(link: str) -> dict[str, Any]:
        for found in parts.live.links(parts.clock.now().wall_ns):
            if found["link"] == unquote(link):
                return found
        raise Refusal("unknown_link", f"no link {unquote(link)[:200]!r} is in the inventory", 404)

    @app.get("/v1/agents", summary="Every node, and when its agent last reported")
    def get_agents() -> list[dict[str, Any]]:
        return parts.live.agents(parts.clock.now().wall_ns)

    @app.get("/v1/alerts", summary="Alerts that are active")
    def get_alerts() -> list[dict[str, Any]]:
        return parts.alerts()


def _add_own_routes(app: APIRouter, parts: Parts) -> None:
    @app.get("/v1/status", summary="Journal, sinks and counters of the collector")
    def get_status() -> dict[str, Any]:
        return parts.status()

    @app.get("/metrics", summary="The collector's own metrics, Prometheus text")
    def get_metrics() -> Response:
        return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_pages(router: APIRouter, app: FastAPI) -> None:
    @router.get("/openapi.json", summary="This interface, for programs")
    def get_openapi() -> dict[str, Any]:
        return app.openapi()

    @router.get("/docs", summary="This interface, for people", response_class=HTMLResponse)
    def get_docs() -> str:
        return page(app.openapi())


def _add_health(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz", summary="200 when the collector works, else 503; the reason is told to readers")
    def get_health(request: Request) -> Response:
        fault = parts.fault()
        if fault is None:
            return PlainTextResponse("ok")
        try:
            parts.access.reader(_shown(request))
        except Refusal:
            fault = "the collector does not work as it should; a reader's token shows why"
        return PlainTextResponse(fault, 503)


def _reader(access: Access) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        access.reader(_shown(request))

    return check


def _shown(request: Request) -> str:
    """The header that tells who asks."""
    return request.headers.get("Authorization", "")


async def _body(request: Request, most: int) -> bytes:
    """The body as it came, never more than `most` octets of it in memory."""
    told = request.headers.get("Content-Length", "0")
    if told.isdigit() and int(told) > most:
        raise Refusal("too_large", f"the body has {told} octets, at most {most} are taken", 413)
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            raise Refusal("too_large", f"the body has more than {most} octets", 413)
    return bytes(parts)


def _refused(parts: Parts) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, err: Exception) -> Response:
        assert isinstance(err, Refusal)
        if request.url.path == "/v1/batches":
            parts.metrics.refused(err.reason)
        headers = {"Retry-After": str(RETRY_S)} if err.status in (503, 507) else {}
        if err.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({"reason": err.reason, "error": str(err)}, err.status, headers)

    return answer


def _http_error(_request: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    return JSONResponse({"reason": "http", "error": str(err.detail)}, err.status_code, err.headers)
