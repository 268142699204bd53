"""An address in a settings file: http or https, and no secret in it, for addresses are logged."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from linkgauge.yaml_file import HoldsSecret


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(char.isspace() for char in text):
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password:
        raise HoldsSecret("must not hold a user or password; name a file for the secret")
    return text.rstrip("/")


Url = Annotated[str, AfterValidator(_url)]
