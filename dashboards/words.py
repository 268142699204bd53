"""The languages of the boards, and what they have in common: every text stands here or beside its panel once,
as a pair of English and Chinese.

A board is built with `Text` values in it; `spoken` turns it into the JSON of one language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Text:
    """One text in every language of LANGUAGES."""

    en: str
    zh: str

    def __add__(self, other: Text) -> Text:
        return Text(self.en + other.en, self.zh + other.zh)


def same(text: str) -> Text:
    """What is written alike in every language: a name, a symbol."""
    return Text(text, text)


def spoken(value: Any, language: str) -> Any:
    """The value with each Text in it, at any depth, replaced by its words in `language` ("en" or "zh")."""
    if isinstance(value, Text):
        return str(getattr(value, language))
    if isinstance(value, dict):
        return {key: spoken(part, language) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [spoken(part, language) for part in value]
    return value


NO_DATA = Text("no data", "无数据")
UNKNOWN = Text("unknown", "未知")
MET = Text("met", "达标")
MISSED = Text("missed", "未达标")
DOWN = Text("down", "中断")
MAINTENANCE = Text("maintenance", "维护中")
OBJECTIVE = Text("objective", "目标")
FORWARD = Text("forward", "去程")
BACKWARD = Text("backward", "回程")
NETWORK = Text("network", "网络")
TIER = Text("tier", "等级")
LINK = Text("link", "链路")
NODE = Text("node", "节点")
SITE = Text("site", "站点")
FROM_SITE = Text("from site", "起始站点")
TO_SITE = Text("to site", "目的站点")
FROM_NODE = Text("from node", "起始节点")
TO_NODE = Text("to node", "目的节点")
REGION = Text("region", "区域")
OPERATOR = Text("operator", "运营商")
TIME = Text("time", "时间")
VERDICT = Text("verdict", "判定")
DELAY = Text("delay", "时延")
LOSS = Text("loss", "丢包")
THROUGHPUT = Text("throughput", "吞吐")
