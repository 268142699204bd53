"""The collector's HTTP interface.

    POST /v1/batches   an agent's batch (its token, or a peer's); answered after the journal's commit
    GET  /v1/plan      the plan of the agent whose token it is; ETag, 304
    GET  /v1/links, /v1/links/{link}, /v1/agents, /v1/nodes, /v1/status, /v1/alerts, /metrics, /docs
                       a reader's token
    GET  /healthz      anybody; the reason why not healthy is told to readers only

Every error is ``{"reason": word, "error": sentence}``. Who may ask for what: collector/http/access.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any
from urllib.parse import unquote, urlencode

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from collector.admission import Refusal
from collector.event_line import event_line
from collector.health.agent_metrics import AgentMetrics
from collector.health.metrics import Metrics
from collector.http.access import Access
from collector.http.allowance import AT_ONCE, Later, Workload, jittered_s
from collector.http.body import expected_octets, read_body
from collector.http.page import page
from collector.http.timed import Timed
from collector.intake import RETRY_S, Intake
from collector.journal.batch_log import PEER
from collector.live.live import LiveState
from collector.plans.plan_book import PlanBook
from collector.refusals import Refusals
from linkgauge.clock import Clock
from linkgauge.errors import ConfigError, StoreError
from linkgauge.model import LinkSpec

log = logging.getLogger(__name__)
PLAN_MAX_AGE_S = 30
THREADS = AT_ONCE
"""Batches that are decoded and journalled at once. Most of them wait for the disk, and those that wait for
the same commit share it: the slower the disk, the more."""
MOST_LINKS = 10_000
"""Links told in one answer."""
_BODIES = 8
"""Largest bodies that may be in memory at once; of the usual size there is room for many more."""
_NEW, _DUPLICATE = b'{"duplicate":false}', b'{"duplicate":true}'
_OF_AGENTS = ("/v1/batches", "/v1/plan")
_TOLD_ELSEWHERE = ("store", "busy", "unknown_link")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the interface shows. status, nodes: the JSON of /v1/status and /v1/nodes.

    fault: why not healthy, None when healthy. body_timeout_s: how long a body may take to come.
    """

    access: Access
    book: PlanBook
    intake: Intake
    live: LiveState
    clock: Clock
    metrics: Metrics
    alerts: Callable[[], list[dict[str, Any]]]
    status: Callable[[], dict[str, Any]]
    fault: Callable[[], str | None]
    agent_metrics: AgentMetrics
    refusals: Refusals
    nodes: Callable[[], list[dict[str, Any]]]
    body_timeout_s: float = 30


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
    app.add_exception_handler(StoreError, _unreadable)
    app.add_exception_handler(Exception, _unexpected(parts))
    app.add_middleware(Timed, metrics=parts.metrics)
    _add_agent_routes(app, parts)
    reading = APIRouter(dependencies=[Depends(_reader(parts.access))])
    _add_read_routes(reading, parts)
    _add_own_routes(reading, parts)
    _add_pages(reading, app)
    app.include_router(reading)
    _add_health(app, parts)
    return app


def _add_agent_routes(app: FastAPI, parts: Parts) -> None:
    intake = parts.intake
    work = Workload(_BODIES * intake.max_body_bytes)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")

    @app.post("/v1/batches", summary="Report a batch of windows")
    async def post_batch(request: Request) -> Response:
        """Nothing of the body is read before the token is known, nothing parsed before all of it came."""
        for file in (parts.access, parts.book):  # to be read again, or waited for, away from the event loop
            if file.stale:
                await run_in_threadpool(file.refresh)
        holder = request.state.holder = parts.access.bringer(_shown(request))
        most = intake.max_body_bytes
        async with work.room(str(holder), expected_octets(request, most)):
            body = await read_body(request, most, parts.body_timeout_s)
            encoding = request.headers.get("Content-Encoding", "").strip().lower()
            accepting = asyncio.get_running_loop().run_in_executor(
                pool, intake.accept, holder.name, encoding, body, PEER if holder.scope == "peer" else ""
            )
            duplicate = await accepting
        return Response(_DUPLICATE if duplicate else _NEW, media_type="application/json")

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
    @app.get("/v1/links", summary="Expected links, their verdicts and last numbers")
    def get_links(
        site: str = "",
        network: str = "",
        verdict: str = "",
        after: str = "",
        limit: Annotated[int, Query(ge=1, le=MOST_LINKS)] = MOST_LINKS,
    ) -> Response:
        """At most `limit`, behind the link `after`; where there are more, the header Link names the rest."""

        def wanted(spec: LinkSpec) -> bool:
            here = not site or site in (spec.tags.get("src_site"), spec.tags.get("dst_site"))
            return here and (not network or spec.link.network == network)

        found = parts.live.links(parts.clock.now().wall_ns, after, wanted)
        told = list(islice((each for each in found if verdict in ("", each["verdict"])), limit + 1))
        headers = {}
        if len(told) > limit:
            asked = {"site": site, "network": network, "verdict": verdict, "after": told[limit - 1]["link"]}
            query = urlencode({**{name: each for name, each in asked.items() if each}, "limit": limit})
            headers["Link"] = f'</v1/links?{query}>; rel="next"'
        return Response(msgspec.json.encode(told[:limit]), headers=headers, media_type="application/json")

    @app.get("/v1/links/{link}", summary="One link, src>dst@network, URL-encoded")
    def get_link(link: str) -> dict[str, Any]:
        found = parts.live.link(unquote(link), parts.clock.now().wall_ns)
        if found is None:
            raise Refusal("unknown_link", f"no link {unquote(link)[:200]!r} is in the inventory", 404)
        return found

    @app.get("/v1/agents", summary="Every node, and when its agent last reported")
    def get_agents() -> list[dict[str, Any]]:
        return parts.live.agents(parts.clock.now().wall_ns)

    @app.get("/v1/nodes", summary="Every node as of the last window: silent, down, unfit")
    def get_nodes() -> list[dict[str, Any]]:
        return parts.nodes()

    @app.get("/v1/alerts", summary="Alerts that fire, those held back and why among them")
    def get_alerts() -> list[dict[str, Any]]:
        return parts.alerts()


def _add_own_routes(app: APIRouter, parts: Parts) -> None:
    @app.get("/v1/status", summary="Journal, sinks and counters of the collector")
    def get_status() -> dict[str, Any]:
        return parts.status()

    @app.get("/metrics", summary="Metrics of collector and, unless agents=false, agents")
    def get_metrics(agents: bool = True) -> Response:
        text = parts.metrics.exposition() + (parts.agent_metrics.exposition() if agents else b"")
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


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


def _refused(parts: Parts) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Not in a thread: who is refused most, in a crowd, is to cost least."""

    async def answer(request: Request, err: Exception) -> Response:
        assert isinstance(err, Refusal)
        if request.url.path == "/v1/batches":
            parts.metrics.refused(err.reason)
        if err.reason not in _TOLD_ELSEWHERE:
            who = getattr(request.state, "holder", None) or (request.client and request.client.host)
            if request.url.path in _OF_AGENTS:
                parts.refusals.note(str(who), err.reason, str(err))
            log.warning(
                event_line("refused", reason=err.reason, who=who, path=request.url.path[:80], error=err)
            )
        headers = {}
        if isinstance(err, Later):
            headers["Retry-After"] = str(err.retry_after_s)
        elif err.status in (503, 507):
            headers["Retry-After"] = str(jittered_s(RETRY_S))
        if err.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if err.status == 408:
            headers["Connection"] = "close"
        return JSONResponse({"reason": err.reason, "error": str(err)}, err.status, headers)

    return answer


def _unreadable(_request: Request, err: Exception) -> Response:
    """A store of ours cannot be read: told as its own sentence."""
    return JSONResponse(
        {"reason": "store", "error": str(err)}, 503, {"Retry-After": str(jittered_s(RETRY_S))}
    )


def _unexpected(parts: Parts) -> Callable[[Request, Exception], Response]:
    def answer(_request: Request, _err: Exception) -> Response:
        parts.metrics.fault("api")  # the server logs the traceback
        return JSONResponse({"reason": "fault", "error": "the collector failed; its log tells why"}, 500)

    return answer


def _http_error(_request: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    return JSONResponse({"reason": "http", "error": str(err.detail)}, err.status_code, err.headers)
