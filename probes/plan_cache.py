"""The plan: kept on disk, so that an agent that starts without its collector measures, and refreshed."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from enum import Enum
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from linkgauge.clock import Clock
from linkgauge.errors import StoreError, WireError
from linkgauge.plan import Plan, decode_plan, encode_plan
from linkgauge.aside import move_aside
from probes.collector_client import CollectorClient, why, words_of
from probes.notice import Notice

_log = logging.getLogger(__name__)


class Answer(Enum):
    """What the collector says when it has no new plan."""

    UNCHANGED = "unchanged"


class PlanCache:
    """The last plan of `agent`, in one file that only its owner can read."""

    def __init__(self, path: Path, agent: str, clock: Clock) -> None:
        self._path, self._agent, self._clock = path, agent, clock

    def load(self) -> Plan | None:
        """The plan kept, None when there is none. A damaged file is moved aside and said."""
        try:
            return plan_for(self._agent, self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as err:
            _log.warning("%s: the plan kept cannot be read (%s); mend its permissions", self._path, err)
            return None
        except WireError as err:
            self._discard(err)
            return None

    def store(self, plan: Plan) -> None:
        """Keep a plan; the old one stays whole until the new one is on disk. Raises StoreError."""
        temporary = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".plan-")  # mode 0600
            with os.fdopen(handle, "wb") as file:
                file.write(encode_plan(plan))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as err:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise StoreError(
                f"{self._path}: the plan cannot be kept ({err}); make room or mend its folder's permissions"
            ) from None

    def _discard(self, err: WireError) -> None:
        try:
            kept = move_aside(self._path, self._clock.now().wall_ns)
        except OSError as failed:
            _log.warning("%s: %s; it cannot be moved aside (%s)", self._path, err, failed)
        else:
            _log.warning("%s: %s; kept as %s, the collector is asked for a new plan", self._path, err, kept)


class PlanFetcher:
    """Asks the collector for this agent's plan, the preferred address first."""

    def __init__(self, client: CollectorClient, agent: str) -> None:
        self._client, self._agent = client, agent
        self._etag: str | None = None
        self._notice = Notice(_log)

    def fetch(self) -> Plan | Answer | None:
        """A new plan, UNCHANGED, or None when no collector gives one; why is said once."""
        self._client.first()
        headers = {"If-None-Match": self._etag} if self._etag else {}
        while True:
            try:
                response = self._client.get("/v1/plan", headers)
            except HTTPError as err:
                kind, fault = "unreachable", f"collector unreachable ({why(err)})"
            else:
                if response.status in (200, 304):
                    return self._taken(response)
                kind = str(response.status)
                fault = f"gives no plan (status {kind}: {words_of(response)})"
            url = self._client.url
            if not self._client.next():
                self._notice.trouble(kind, f"{url}: {fault}; the last plan stays in force")
                return None

    def _taken(self, response: urllib3.BaseHTTPResponse) -> Plan | Answer | None:
        plan: Plan | Answer = Answer.UNCHANGED
        if response.status == 200:
            try:
                plan = plan_for(self._agent, response.data)
            except WireError as err:
                self._notice.trouble(str(err), f"{self._client.url}: {err}; the last plan stays in force")
                return None
            self._etag = response.headers.get("etag")
        self._notice.over(f"{self._client.url}: the collector gives plans again")
        return plan

    def close(self) -> None:
        self._client.close()


def plan_for(agent: str, body: bytes) -> Plan:
    """Read a plan that must be for `agent`; raises WireError."""
    plan = decode_plan(body)
    if plan.agent != agent:
        raise WireError(
            "bad_value", f"plan is for agent {plan.agent!r}, this is {agent!r}; check the token or `node`"
        )
    return plan
