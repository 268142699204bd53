"""The page of the interface: everything said, nothing fetched, nothing run."""

from __future__ import annotations

from collector.http.page import page

OPENAPI = {
    "info": {"title": "a <title>", "description": "words & more"},
    "paths": {
        "/v1/links": {
            "get": {
                "summary": "Every <link>",
                "parameters": [{"name": "site", "in": "query", "schema": {"type": "string"}}],
            }
        },
        "/v1/batches": {"post": {"summary": "Report"}},
    },
}


def test_every_path_stands_there_and_nothing_is_fetched() -> None:
    text = page(OPENAPI)
    assert "<code>GET /v1/links</code>" in text
    assert "<code>POST /v1/batches</code>" in text
    assert "<td>site</td><td>query</td><td>string</td>" in text
    assert "a &lt;title&gt;" in text
    assert "words &amp; more" in text
    assert "Every &lt;link&gt;" in text
    for word in ("<script", "http://", "https://", "src="):
        assert word not in text
