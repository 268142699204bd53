"""The robot of a DingTalk group: a markdown message.

POST https://oapi.dingtalk.com/robot/send?access_token=TOKEN, where the robot asks for a signature with
`&timestamp=MS&sign=SIGN`: HMAC-SHA256 of "MS\\nSECRET" under SECRET, base64, URL-encoded; the far end takes
an hour of difference between the clocks. Twenty messages a minute; more, and it takes none for ten minutes.
The answer is 200 with {"errcode": 0, "errmsg": "ok"}. Source: open.dingtalk.com, custom robots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from alerts.receivers.message import Message
from alerts.receivers.robot import Codes, signature


class DingTalk:
    """See alerts.receivers.robot.Dialect."""

    kind = "dingtalk"
    url = "https://oapi.dingtalk.com/robot/send"
    longest_bytes = 5000
    codes = Codes(
        keys=("errcode",),
        words=("errmsg",),
        too_fast=frozenset({130101, 410100}),
        busy=frozenset({-1, 34015}),
        malformed=frozenset({40035, 43004, 400105, 34014, 34016, 430101, 430102, 430103, 430104}),
    )

    def place(self, url: httpx.URL, token: str | None) -> httpx.URL:
        return url.copy_set_param("access_token", token) if token else url

    def body(
        self, message: Message, secret: str | None, now_ns: int
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        markdown = {"title": message.head[:64], "text": message.markdown(self.longest_bytes)}
        body = {"msgtype": "markdown", "markdown": markdown, "at": {"isAtAll": False}}
        if secret is None:
            return body, {}
        told_ms = str(now_ns // 1_000_000)
        return body, {"timestamp": told_ms, "sign": signature(secret, f"{told_ms}\n{secret}")}
