"""The robot of a WeCom (WeChat Work) group: a markdown message of at most 4096 octets.

POST https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY; it asks for no signature. Twenty messages a
minute. The answer is 200 with {"errcode": 0, "errmsg": "ok"}. Source: developer.work.weixin.qq.com, group
robots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from alerts.receivers.message import Message
from alerts.receivers.robot import Codes


class WeCom:
    """See alerts.receivers.robot.Dialect."""

    kind = "wecom"
    url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
    longest_bytes = 4096
    codes = Codes(
        keys=("errcode",),
        words=("errmsg",),
        too_fast=frozenset({45009, 45033}),
        busy=frozenset({-1}),
        malformed=frozenset({40008, 40058, 44004, 45002, 47001}),
    )

    def place(self, url: httpx.URL, token: str | None) -> httpx.URL:
        return url.copy_set_param("key", token) if token else url

    def body(
        self, message: Message, secret: str | None, now_ns: int
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        return {"msgtype": "markdown", "markdown": {"content": message.markdown(self.longest_bytes)}}, {}
