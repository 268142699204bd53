"""The reader of certificates against what openssl says of the same, and against whatever may come."""

from __future__ import annotations

import math
import ssl
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.certificate import MAX_SIZE, MAX_SUBJECT, Certificate
from linkgauge.errors import ProtocolError
from tests.probes.authority import Authority, Issued

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("node", "/C=FR/O=Réseau d'Été/CN=node-1.example")


def told(issued: Issued, option: str) -> str:
    argv = ["openssl", "x509", "-in", str(issued.certificate), "-noout", option]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.partition("=")[2].strip()


def test_it_says_what_openssl_says(issued: Issued) -> None:
    read = Certificate.parse(issued.der)
    assert read.subject == "C=FR,O=Réseau d'Été,CN=node-1.example"
    for at_ns, option in ((read.not_before_ns, "-startdate"), (read.not_after_ns, "-enddate")):
        assert at_ns == ssl.cert_time_to_seconds(told(issued, option)) * 10**9


@pytest.mark.parametrize("until_days", [-3, 9_000, 50_000, 2_000_000])
def test_far_dates(authority: Authority, until_days: float) -> None:
    read = Certificate.parse(authority.issue("far", "/CN=far", -10, until_days).der)
    now_ns = math.floor(datetime.now(UTC).timestamp() * 1e9)
    assert (read.not_after_ns - now_ns) / DAY_NS == pytest.approx(until_days, abs=0.1)


def test_a_subject_that_names_nobody_is_empty(authority: Authority) -> None:
    assert Certificate.parse(authority.issue("nobody", "/").der).subject == ""


def test_a_subject_is_bounded_and_printable(authority: Authority) -> None:
    names = "".join(f"/O={letter * 60}" for letter in "abcd")
    read = Certificate.parse(authority.issue("long", names + "/CN=x\ny").der)
    assert len(read.subject) == MAX_SUBJECT
    read = Certificate.parse(authority.issue("line", "/CN=x\ny").der)
    assert read.subject == "CN=x?y"


def test_every_truncation_is_told(issued: Issued) -> None:
    der = issued.der
    for length in range(len(der)):
        with pytest.raises(ProtocolError, match="certificate"):
            Certificate.parse(der[:length])


def test_one_too_large_is_told() -> None:
    with pytest.raises(ProtocolError, match="is larger than 65536"):
        Certificate.parse(bytes(MAX_SIZE + 1))


@given(st.data())
def test_changed_octets_are_read_or_told(issued: Issued, data: st.DataObject) -> None:
    der = bytearray(issued.der)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 250))
        der[at] = data.draw(st.integers(0, 255))
    read_or_told(bytes(der))


@given(st.binary(max_size=200))
def test_any_octets_are_told(octets: bytes) -> None:
    read_or_told(octets)


def read_or_told(der: bytes) -> None:
    try:
        read = Certificate.parse(der)
    except ProtocolError:
        return
    assert read.subject.isprintable()
    assert len(read.subject) <= MAX_SUBJECT


def element(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def with_times(*times: tuple[int, bytes]) -> bytes:
    validity = element(0x30, b"".join(element(tag, text) for tag, text in times))
    before = element(2, b"\1") + element(0x30, b"") * 2
    return element(0x30, element(0x30, before + validity + element(0x30, b"")))


def test_years_of_two_digits() -> None:
    read = Certificate.parse(with_times((0x17, b"500101000000Z"), (0x17, b"491231235959Z")))
    assert read.not_before_ns == math.floor(datetime(1950, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert read.not_after_ns == math.floor(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    "time",
    [(0x17, b"2501010000Z"), (0x17, b"250101000000+0100"), (0x18, b"20251301000000Z"),
     (0x18, b"20250229000000Z"), (0x18, b"2025010100000xZ"),
     (0x18, b"00000101000000Z"), (0x18, b"20250101000060Z"), (0x0C, b"x")],
)  # fmt: skip
def test_what_is_no_time_is_told(time: tuple[int, bytes]) -> None:
    with pytest.raises(ProtocolError, match="certificate"):
        Certificate.parse(with_times((0x17, b"250101000000Z"), time))


@pytest.mark.parametrize("der", ["3080", "308130", "30820001", "3085000000000100", "30"])
def test_lengths_that_are_not_der_are_told(der: str) -> None:
    with pytest.raises(ProtocolError, match="certificate"):
        Certificate.parse(bytes.fromhex(der) + bytes(64))
