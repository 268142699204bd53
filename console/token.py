"""`linkgauge token`: make an agent's token; the collector keeps only its hash."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from collector.tokens import issue
from linkgauge.errors import ConfigError
from linkgauge.model import NAME


def run(
    node: Annotated[str, typer.Argument(help="The node's name in the inventory.")],
    tokens: Annotated[Path, typer.Option(help="The collector's token file; made when it is missing.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the token into this file (mode 0600) instead of printing it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make a new token for a node; an older one of that node is no longer valid."""
    if not NAME.fullmatch(node):
        raise ConfigError(f"{node!r} is no node name: use lower-case letters, digits and '-'")
    made = issue(tokens, node)
    if out is not None:
        write_secret(out, made)
        print(json.dumps({"node": node, "token_file": str(out)}) if as_json else f"token of {node}: {out}")
    else:
        print(json.dumps({"node": node, "token": made}) if as_json else made)


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
