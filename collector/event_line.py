"""One line of log for one event that matters: ``event key=value …``, readable and easy to cut apart."""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@>+%,\[\]-]+")


def event_line(event: str, **fields: object) -> str:
    """`event` and its fields on one line; a value with blanks or quotes stands in JSON quotes.

    Never hand it a token, password or header.
    """
    return " ".join([event, *(f"{key}={_value(value)}" for key, value in fields.items())])


def _value(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
