"""The page of the interface: the OpenAPI document as plain HTML, without script or other hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
code, pre {{ font-family: monospace; background: #8882 }} pre {{ padding: .7rem; overflow: auto }}
table {{ border-collapse: collapse }} td {{ padding: .2rem 1rem .2rem 0; vertical-align: top }}
:root {{ color-scheme: light dark }}
</style>
<h1>{title}</h1>
<pre>{text}</pre>
"""


def page(openapi: Mapping[str, Any]) -> str:
    """HTML that lists every path of an OpenAPI 3 document with its methods, words and parameters."""
    info = openapi["info"]
    head = _HEAD.format(title=escape(info["title"]), text=escape(info.get("description", "")))
    return head + "".join(_operations(openapi["paths"])) + '<p><a href="openapi.json">openapi.json</a></p>\n'


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>\n"
            yield f"<p>{escape(operation.get('summary', ''))}</p>\n"
            yield from _parameters(operation.get("parameters", []))


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    if not parameters:
        return
    yield "<table>\n"
    for one in parameters:
        kind = one.get("schema", {}).get("type", "")
        cells = (one["name"], one["in"], kind, one.get("description", ""))
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>\n"
    yield "</table>\n"
