"""Who may ask for what: told from the Authorization header alone, before anything of a body is read.

| token of | may |
|---|---|
| agent | bring its own batches, read its own plan |
| peer (another collector) | bring batches of any agent of the inventory |
| reader | read links, agents, alerts, status, metrics and the page of the interface |

Where reads are open (a collector that listens on loopback only), reading asks for no token.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from collector.admission import Refusal
from collector.http.allowance import Rate
from collector.http.tokens import Holder, Scope, Tokens

_MAY: dict[Scope, str] = {
    "agent": "bring its own batches and read its own plan",
    "reader": "read",
    "peer": "bring batches",
}


class Access:
    """See above. nodes: names in the inventory in force. rate: how often each agent may ask.

    A peer sends for all its agents, one batch after the other: no rate binds it. Nor does one bind readers.
    """

    def __init__(
        self, tokens: Tokens, reads_are_open: bool, nodes: Callable[[], Container[str]], rate: Rate
    ) -> None:
        self._tokens, self._reads_are_open = tokens, reads_are_open
        self._nodes, self._rate = nodes, rate

    @property
    def stale(self) -> bool:
        """The token file is another one than was read: `refresh` reads it, which may take a moment."""
        return self._tokens.stale

    def refresh(self) -> None:
        self._tokens.refresh()

    def bringer(self, authorization: str) -> Holder:
        """The agent or peer that may bring batches; raises Refusal 401, 403, 429."""
        holder = self._holder(authorization, "agent", "peer")
        if holder.scope == "agent":
            self._check(holder.name, 403)
        return holder

    def agent(self, authorization: str) -> str:
        """The node whose token it is; raises Refusal 401, 403, 429, or 404: not in the inventory."""
        holder = self._holder(authorization, "agent")
        self._check(holder.name, 404)
        return holder.name

    def reader(self, authorization: str) -> Holder | None:
        """Who reads, None where anybody may; raises Refusal 401, 403."""
        return None if self._reads_are_open else self._holder(authorization, "reader")

    def _check(self, node: str, status: int) -> None:
        if node not in self._nodes():
            raise Refusal(
                "unknown_agent", f"{node} is not in the inventory; add it there, or stop its agent", status
            )
        self._rate.take(node)

    def _holder(self, authorization: str, *scopes: Scope) -> Holder:
        scheme, _, token = authorization.partition(" ")
        holder = self._tokens.holder(token.strip()) if scheme.lower() == "bearer" else None
        if holder is None:
            shown = "the token shown is nobody's" if authorization else "no token was shown"
            raise Refusal(
                "token",
                f"{shown}; this needs one of {_one_of(scopes)}: issue it with `linkgauge token`"
                " and send it as `Authorization: Bearer`",
                401,
            )
        if holder.scope not in scopes:
            raise Refusal(
                "scope",
                f"the token of {holder.scope} {holder.name} may only {_MAY[holder.scope]};"
                f" this needs one of {_one_of(scopes)}",
                403,
            )
        return holder


def _one_of(scopes: tuple[Scope, ...]) -> str:
    return " or ".join(f"{'an' if scope == 'agent' else 'a'} {scope}" for scope in scopes)
