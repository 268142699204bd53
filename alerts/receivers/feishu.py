"""The robot of a Feishu (Lark) group: a rich text ("post") of at most 20 KB.

POST https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN; where the robot asks for a signature the body has
`timestamp` (seconds, at most an hour off) and `sign`: base64 of the HMAC-SHA256 of nothing under the key
"SECONDS\\nSECRET". A hundred messages a minute, five a second. The answer is 200 with {"code": 0, "msg":
"success"}; older ones say StatusCode. Source: open.feishu.cn, custom bots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from alerts.receivers.message import KEYWORD, Message, cut
from alerts.receivers.robot import Codes, signature, unix_s


class Feishu:
    """See alerts.receivers.robot.Dialect."""

    kind = "feishu"
    url = "https://open.feishu.cn/open-apis/bot/v2/hook"
    longest_bytes = 12_000
    """Each line costs markup as well."""
    codes = Codes(
        keys=("code", "StatusCode"),
        words=("msg", "StatusMessage"),
        too_fast=frozenset({11232}),
        busy=frozenset({1500, 1551}),
        malformed=frozenset({9499, 19002, 11246}),
    )

    def place(self, url: httpx.URL, token: str | None) -> httpx.URL:
        return url.copy_with(path=f"{url.path.rstrip('/')}/{token}") if token else url

    def body(
        self, message: Message, secret: str | None, now_ns: int
    ) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        post = {"en_us": {"title": f"{KEYWORD}: {message.head}", "content": self._paragraphs(message)}}
        body: dict[str, Any] = {"msg_type": "post", "content": {"post": post}}
        if secret is not None:
            told_s = unix_s(now_ns)
            body |= {"timestamp": told_s, "sign": signature(f"{told_s}\n{secret}", "")}
        return body, {}

    def _paragraphs(self, message: Message) -> list[list[dict[str, str]]]:
        lines = [f"{name}: {text}" if name else text for name, text in message.lines]
        if message.steps:
            lines += ["Do first:", *(f"{at}. {step}" for at, step in enumerate(message.steps, 1))]
        texts = [[{"tag": "text", "text": cut(line, self.longest_bytes // 2)}] for line in lines]
        for name, where in message.links:
            shown = {"tag": "a", "text": name, "href": where}
            texts.append([shown if "://" in where else {"tag": "text", "text": f"{name}: {where}"}])
        return texts
