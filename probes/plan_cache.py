"""The plan: kept on disk, so that an agent that starts without its collector measures, and refreshed."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from urllib3.exceptions import HTTPError

from linkgauge.answer import retry_after_s, words
from linkgauge.aside import move_aside
from linkgauge.clock import Clock
from linkgauge.errors import StoreError, WireError
from linkgauge.plan import Plan, decode_plan, encode_plan
from probes.notice import Notice
from probes.upload.collector_client import CollectorClient, Reply, why
from probes.upload.route import Route

LONGEST_WAIT_S = 5.0
"""An address that failed is asked for a plan again after this, or with the next refresh."""
LONGEST_PLAN = 64 << 20
"""Octets of a plan that are read."""
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
    """Asks the collectors for this agent's plan, by a route of its own, the preferred address first.

    jitter: a number in 0..1 each time, spreads the questions of many agents.
    """

    def __init__(
        self,
        client: CollectorClient,
        agent: str,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._agent, self._clock, self._jitter = client, agent, clock, jitter
        # a question is small, and an agent without a plan does nothing: it waits less long than batches do
        self._route = Route(len(client.urls), longest_s=LONGEST_WAIT_S)
        self._etag: str | None = None
        self._notice = Notice(_log)

    def fetch(self) -> Plan | Answer | None:
        """A new plan, UNCHANGED, or None when no collector gives one; why is said once."""
        faults: list[str] = []
        kind = ""
        for at in self._route.order(self._clock.now().mono_ns):
            got = self._ask(at)
            if not isinstance(got, _Fault):
                self._route.answered(at)
                self._notice.over(f"{self._client.urls[at]}: the collector gives plans again")
                return got
            self._route.failed(at, self._clock.now().mono_ns, self._jitter(), got.retry_after_s)
            kind = kind or got.kind
            faults.append(f"{self._client.urls[at]}: {got.sentence}")
        if faults:
            self._notice.trouble(kind, f"{'; '.join(faults)}; the last plan, if there is one, stays in force")
        return None

    def close(self) -> None:
        self._client.close()

    def _ask(self, at: int) -> Plan | Answer | _Fault:
        try:
            reply = self._get(at)
            if reply.status == 401 and self._client.renew_token():
                reply = self._get(at)
        except HTTPError as err:
            return _Fault("unreachable", f"collector unreachable ({why(err)})")
        if reply.status == 304:
            return Answer.UNCHANGED
        if reply.status != 200:
            sentence = f"gives no plan (status {reply.status}: {words(reply.status, reply.body)})"
            return _Fault(str(reply.status), sentence, retry_after_s(reply.headers))
        try:
            plan = plan_for(self._agent, reply.body)
        except WireError as err:
            return _Fault(str(err), str(err))
        self._etag = reply.headers.get("etag")
        return plan

    def _get(self, at: int) -> Reply:
        headers = {"If-None-Match": self._etag} if self._etag else {}
        return self._client.get(at, "/v1/plan", headers, LONGEST_PLAN)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why an address gave no plan. kind: what is said once."""

    kind: str
    sentence: str
    retry_after_s: float = 0.0


def plan_for(agent: str, body: bytes) -> Plan:
    """Read a plan that must be for `agent`; raises WireError."""
    plan = decode_plan(body)
    if plan.agent != agent:
        raise WireError(
            "bad_value", f"plan is for agent {plan.agent!r}, this is {agent!r}; check the token or `node`"
        )
    return plan
