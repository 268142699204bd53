"""`linkgauge token`: make, list, end the tokens of agents, readers and peers; only their hashes are kept."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from collector.http.tokens import Scope, end, end_former, holders, issue
from linkgauge.errors import ConfigError
from linkgauge.model import NAME


def run(
    tokens: Annotated[Path, typer.Option(help="The collector's token file; made when it is missing.")],
    node: Annotated[str | None, typer.Argument(help="The node's name in the inventory.")] = None,
    reader: Annotated[str | None, typer.Option(help="Instead of a node: who reads the API.")] = None,
    peer: Annotated[str | None, typer.Option(help="Instead of a node: another collector.")] = None,
    only: Annotated[bool, typer.Option("--only", help="End all former tokens at once.")] = False,
    ends: Annotated[bool, typer.Option("--end", help="End all tokens, make none.")] = False,
    ends_former: Annotated[
        bool, typer.Option("--end-former", help="End all tokens but the newest, make none.")
    ] = False,
    lists: Annotated[bool, typer.Option("--list", help="Tell who has tokens, and how many.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the token into this file (mode 0600) instead of printing it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make a token for NODE, a reader or a peer. Its newest former token stays valid, so that the new one can
    be brought to its place without a gap; an older one ends. The running collector takes it up by itself.
    """
    if lists:
        _list(tokens, as_json)
        return
    scope, name = _whose(node, reader, peer)
    if ends:
        end(tokens, name, scope)
        print(json.dumps({scope: name, "ended": True}) if as_json else f"{scope} {name} has no token now")
        return
    if ends_former:
        end_former(tokens, name, scope)
        said = f"{scope} {name} has its newest token only"
        print(json.dumps({scope: name, "former_ended": True}) if as_json else said)
        return
    key, new = "node" if scope == "agent" else scope, not tokens.exists()
    made = issue(tokens, name, scope, only, lambda token: write_secret(out, token) if out else None)
    if new:
        print(f"{tokens}: made, there was none", file=sys.stderr)
    if out is not None:
        print(json.dumps({key: name, "token_file": str(out)}) if as_json else f"token of {name}: {out}")
    else:
        print(json.dumps({key: name, "token": made}) if as_json else made)


def _whose(node: str | None, reader: str | None, peer: str | None) -> tuple[Scope, str]:
    named: list[tuple[Scope, str | None]] = [("agent", node), ("reader", reader), ("peer", peer)]
    given = [(scope, name) for scope, name in named if name is not None]
    if len(given) != 1:
        raise ConfigError("name one holder: a node, --reader NAME or --peer NAME; or ask for --list")
    scope, name = given[0]
    if not NAME.fullmatch(name):
        what = "node" if scope == "agent" else scope
        raise ConfigError(f"{name!r} is no {what} name: use lower-case letters, digits and '-'")
    return scope, name


def _list(tokens: Path, as_json: bool) -> None:
    found = holders(tokens)
    if as_json:
        rows = [{"scope": who.scope, "name": who.name, "tokens": count} for who, count in found]
        print(json.dumps({"holders": rows}))
        return
    for who, count in found:
        how_many = "2 tokens: --end-former ends the older" if count > 1 else "1 token"
        print(f"{who.scope:<6}  {who.name}  {how_many}")


def write_secret(path: Path, text: str) -> None:
    """Write a secret that only its owner can read; raises ConfigError."""
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text + "\n")
    except OSError as err:
        raise ConfigError(
            f"{path}: the token cannot be written ({err.strerror}); name another place"
        ) from None
