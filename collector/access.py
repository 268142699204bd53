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
from collector.tokens import Holder, Scope, Tokens

_MAY: dict[Scope, str] = {
    "agent": "bring its own batches and read its own plan",
    "reader": "read",
    "peer": "bring batches",
}


class Access:
    """See above. nodes: names in the inventory in force."""

    def __init__(self, tokens: Tokens, reads_are_open: bool, nodes: Callable[[], Container[str]]) -> None:
        self._tokens, self._reads_are_open, self._nodes = tokens, reads_are_open, nodes

    def bringer(self, authorization: str) -> Holder:
        """The agent or peer that may bring batches; raises Refusal 401, 403."""
        holder = self._holder(authorization, "agent", "peer")
        if holder.scope == "agent" and holder.name not in self._nodes():
            raise _gone(holder.name, 403)
        return holder

    def agent(self, authorization: str) -> str:
        """The node whose token it is; raises Refusal 401, 403, and 404 when the inventory has it no more."""
        holder = self._holder(authorization, "agent")
        if holder.name not in self._nodes():
            raise _gone(holder.name, 404)
        return holder.name

    def reader(self, authorization: str) -> Holder | None:
        """Who reads, None where anybody may; raises Refusal 401, 403."""
        return None if self._reads_are_open else self._holder(authorization, "reader")

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


def _gone(node: str, status: int) -> Refusal:
    return Refusal(
        "unknown_agent", f"{node} is not in the inventory; add it there, or stop its agent", status
    )


def _one_of(scopes: tuple[Scope, ...]) -> str:
    return " or ".join(f"{'an' if scope == 'agent' else 'a'} {scope}" for scope in scopes)
