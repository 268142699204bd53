"""How a command asks a running collector: its address, a reader's token, TLS; answers as JSON."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import SecretStr

from collector.secret import read_secret
from linkgauge.client_tls import ClientTls
from linkgauge.errors import LinkgaugeError

URL_VARIABLE = "LINKGAUGE_COLLECTOR"
DEFAULT_URL = "http://127.0.0.1:8440"
_MENDS = {
    401: "it wants a reader's token: issue one with `linkgauge token --reader`, give it by --token-file",
    403: "this token is not a reader's: issue one with `linkgauge token --reader`",
}
CollectorUrl = Annotated[
    str | None, typer.Option(help=f"Its address; else ${URL_VARIABLE}, else {DEFAULT_URL}.")
]
TokenFile = Annotated[
    Path | None, typer.Option(help="A reader's token (mode 0600); or $LINKGAUGE_READ_TOKEN.")
]
CaFile = Annotated[Path | None, typer.Option(help="Authorities of the collector's certificate.")]
Certificate = Annotated[Path | None, typer.Option(help="Our own, where it asks for one.")]
Key = Annotated[Path | None, typer.Option(help="Its key.")]


@dataclass(frozen=True, slots=True)
class Asking:
    """How the collector is asked. Raises LinkgaugeError with the mend."""

    url: str
    token: SecretStr | None
    tls: ssl.SSLContext | bool

    def get(self, path: str) -> Any:
        """What is told under a path; of a list that is told in pages, all of them."""
        told, following = self._page(path)
        while following:
            page, following = self._page(following)
            told += page
        return told

    def _page(self, path: str) -> tuple[Any, str | None]:
        """One page, and the path of the next, None when there is none."""
        headers = {"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {}
        try:
            reply = httpx.get(self.url + path, timeout=10, trust_env=False, headers=headers, verify=self.tls)
            reply.raise_for_status()
            return reply.json(), reply.links.get("next", {}).get("url")
        except httpx.HTTPStatusError as err:
            status = err.response.status_code
            raise LinkgaugeError(
                f"{self.url}: {_MENDS.get(status, f'it answers {status} to {path}')}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise LinkgaugeError(f"{self.url}: {_no_answer(err)}") from None
        except ValueError:
            raise LinkgaugeError(
                f"{self.url}: what answers there is no collector; name it with --collector"
            ) from None


def _no_answer(err: Exception) -> str:
    """Why there was no answer, and the mend: a faulty handshake is no collector that does not run."""
    words = str(err)
    if "CERTIFICATE_VERIFY_FAILED" in words:
        why = words.partition("CERTIFICATE_VERIFY_FAILED] ")[2] or words
        return (
            f"its certificate is not trusted here ({why}); give its authority's by --ca-file, and the name"
            " or address that the certificate has by --collector"
        )
    if "CERTIFICATE_REQUIRED" in words:
        return "it asks for a certificate of ours; give one by --certificate and --key"
    if isinstance(err, httpx.RemoteProtocolError | httpx.ReadError):
        return f"what listens there ended the connection ({err}); is it https:// there?"
    return f"no collector answers there ({err}); start it or name it with --collector"


def asking(
    collector: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    certificate: Path | None,
    key: Path | None,
) -> Asking:
    """As the options say. Raises ConfigError for a file that cannot be used."""
    url = (collector or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
    token = read_secret("read_token", token_file)
    named = ca_file is not None or certificate is not None or key is not None
    return Asking(url, token, ClientTls(ca_file, certificate, key).context() if named else True)
